import { canonicalJson } from '@hotloop/model/canonical-json.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';
import { sha256 } from '@hotloop/platform/registry/bundle-store.ts';

/** What the first row's previous_hash is. */
export const LEDGER_GENESIS = '0'.repeat(64);

/** Any number, the same in every retrainer: makes writers of the ledger wait for each other. */
const LEDGER_LOCK = 7_403_001;
const PAGE = 1_000;

export type LedgerAction =
  | 'push'
  | 'promote'
  | 'rollback'
  | 'run'
  | 'rollout'
  | 'label'
  | 'archive'
  | 'delete'
  | 'forget'
  | 'waive_corrections'
  | 'backup'
  | 'restore'
  | 'key'
  | 'project';

export interface LedgerEntry {
  readonly at: number;
  readonly actor: string;
  readonly action: LedgerAction;
  readonly model: string;
  readonly version: number | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface LedgerRow extends Omit<LedgerEntry, 'action'> {
  readonly action: string;
  readonly sequence: number;
  readonly previousHash: string;
  readonly hash: string;
}

/**
 * Hash of a row: SHA-256 over the JSON of [previous_hash, sequence, at (ISO 8601, milliseconds), actor, action, model,
 * version, detail], the keys of objects sorted. Pure.
 */
export function ledgerHash(row: Omit<LedgerRow, 'hash'>): string {
  const { previousHash, sequence, at, actor, action, model, version, detail } = row;
  const content = [previousHash, sequence, new Date(at).toISOString(), actor, action, model, version, detail];
  return sha256(canonicalJson(content));
}

/**
 * Adds a row to the chain. Must run inside the transaction that does what the row tells, so that neither stands without
 * the other. Writers wait for each other until that transaction ends.
 */
export async function appendLedger(client: Queryable, entry: LedgerEntry): Promise<void> {
  await client.query('SELECT pg_advisory_xact_lock($1)', [LEDGER_LOCK]);
  const { rows } = await client.query<{ sequence: string; hash: string }>(
    'SELECT sequence, hash FROM ledger ORDER BY sequence DESC LIMIT 1',
  );
  const last = rows[0];
  const unsealed = {
    ...entry,
    // What is hashed must be what Postgres keeps, and it keeps no half of a surrogate pair.
    actor: entry.actor.toWellFormed(),
    sequence: Number(last?.sequence ?? 0) + 1,
    previousHash: last?.hash ?? LEDGER_GENESIS,
  };
  await client.query(
    `INSERT INTO ledger (sequence, at, actor, action, model, version, detail, previous_hash, hash)
     VALUES ($1, to_timestamp($2 / 1000.0), $3, $4, $5, $6, $7, $8, $9)`,
    [
      unsealed.sequence,
      entry.at,
      unsealed.actor,
      entry.action,
      entry.model,
      entry.version,
      JSON.stringify(entry.detail),
      unsealed.previousHash,
      ledgerHash(unsealed),
    ],
  );
}

export interface LedgerVerdict {
  /** How many rows were read, from the first. */
  readonly rows: number;
  /** The first row that is not what was written, and what is wrong with it; null for a sound chain. */
  readonly broken: { readonly sequence: number; readonly problem: string } | null;
  /** Hash of the last row: kept elsewhere, it tells whether rows were cut off at the end. */
  readonly head: string;
}

/** Checks links one after another. Pure; `previous` is where the chain stood before these rows. */
export function verifyChain(
  rows: readonly LedgerRow[],
  previous: { readonly sequence: number; readonly hash: string } = { sequence: 0, hash: LEDGER_GENESIS },
): LedgerVerdict {
  let { sequence, hash } = previous;
  for (const [index, row] of rows.entries()) {
    const problem =
      row.sequence !== sequence + 1
        ? `row ${sequence + 1} is missing`
        : row.previousHash !== hash
          ? 'it does not follow from the row before'
          : row.hash !== ledgerHash(row)
            ? 'its content does not match its hash'
            : null;
    if (problem !== null) return { rows: index, broken: { sequence: row.sequence, problem }, head: hash };
    sequence = row.sequence;
    hash = row.hash;
  }
  return { rows: rows.length, broken: null, head: hash };
}

/** Reads the whole ledger, a page at a time, and checks it. */
export async function verifyLedger(database: Queryable): Promise<LedgerVerdict> {
  let previous = { sequence: 0, hash: LEDGER_GENESIS };
  let count = 0;
  for (;;) {
    const rows = await readLedger(database, previous.sequence, PAGE);
    const verdict = verifyChain(rows, previous);
    count += verdict.rows;
    const last = rows.at(-1);
    if (verdict.broken !== null || last === undefined) return { ...verdict, rows: count };
    previous = { sequence: last.sequence, hash: last.hash };
  }
}

export interface StoredRow {
  readonly sequence: string;
  readonly at: Date;
  readonly actor: string;
  readonly action: string;
  readonly model: string;
  readonly version: number | null;
  readonly detail: Record<string, unknown>;
  readonly previous_hash: string;
  readonly hash: string;
}

async function readLedger(database: Queryable, after: number, limit: number): Promise<LedgerRow[]> {
  const { rows } = await database.query<StoredRow>(
    'SELECT * FROM ledger WHERE sequence > $1 ORDER BY sequence LIMIT $2',
    [after, limit],
  );
  return rows.map(ledgerRowOf);
}

export function ledgerRowOf(row: StoredRow): LedgerRow {
  return {
    sequence: Number(row.sequence),
    at: row.at.getTime(),
    actor: row.actor,
    action: row.action,
    model: row.model,
    version: row.version,
    detail: row.detail,
    previousHash: row.previous_hash,
    hash: row.hash,
  };
}

/** What happened to a model, the newest first. */
export async function modelHistory(database: Queryable, model: string, limit: number): Promise<LedgerRow[]> {
  const { rows } = await database.query<StoredRow>(
    'SELECT * FROM ledger WHERE model = $1 ORDER BY sequence DESC LIMIT $2',
    [model, limit],
  );
  return rows.map(ledgerRowOf);
}

/** The versions of a model that were live at some time. */
export async function versionsThatWereLive(database: Queryable, model: string): Promise<ReadonlySet<number>> {
  const { rows } = await database.query<{ version: number }>(
    `SELECT DISTINCT version FROM ledger
     WHERE model = $1 AND action IN ('promote', 'rollback') AND version IS NOT NULL`,
    [model],
  );
  return new Set(rows.map(({ version }) => version));
}

/** The newest version of a model that the ledger names, deleted ones included; 0 without one. */
export async function newestVersionEver(database: Queryable, model: string): Promise<number> {
  const { rows } = await database.query<{ newest: number | null }>(
    'SELECT max(version) AS newest FROM ledger WHERE model = $1',
    [model],
  );
  return rows[0]?.newest ?? 0;
}
