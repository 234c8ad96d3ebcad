import { createHash } from 'node:crypto';
import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { SqlOutcomes } from '@hotloop/model/manifest/outcome-schema.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import {
  type OutsideDatabase,
  type OutsideRow,
  openOutside,
} from '@hotloop/platform/postgres/outside-rows.ts';
import { type Pool, transaction } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import { type AcceptedOutcome, acceptOutcome } from '../accept-outcome.ts';
import type { ModelRule } from '../model-rules.ts';
import { insertOutcomes } from '../outcome-store.ts';
import { outcomeOfRow } from './outcome-row.ts';
import { advanceSource, failSource, keepSource, lockSource } from './sql-source-store.ts';

/** The address in a variable; undefined if it is not set. */
export type Databases = (variable: string) => string | undefined;

export interface SqlOutcomeDependencies {
  readonly pool: Pool;
  readonly databases: Databases;
  readonly clock: Clock;
  /** Called for each new outcome. */
  readonly onAccepted?: (outcome: AcceptedOutcome) => void;
}

const PAGE_ROWS = 2_000;
const MOST_PROBLEMS = 10;
const RETRY_MS = 30_000;
/** Overlap of readings: transactions that began earlier may commit later, so their rows have watermarks below the position. */
const OVERLAP_MS = 300_000;

/**
 * Reads new rows of a model's outcome query, if it is due, page by page. The outcomes of a page and the position after it are
 * stored in one transaction, and a row that is read twice is one outcome, so each counts exactly once even if a process is killed.
 * An error is stored with the source, without the address. Returns the number of new outcomes.
 */
export async function readSqlOutcomes(
  rule: ModelRule,
  spec: SqlOutcomes,
  dependencies: SqlOutcomeDependencies,
): Promise<number> {
  const { pool, databases } = dependencies;
  const model = rule.manifest.name;
  const everyMs = durationMs(spec.every);
  await keepSource(pool, model, createHash('sha256').update(JSON.stringify(spec)).digest('hex'));
  if (!(await isDue(pool, model))) return 0;
  try {
    const url = databases(spec.url_env);
    if (url === undefined || url === '')
      throw new HotloopError(
        'FAILED_PRECONDITION',
        `the retrainer has no variable ${spec.url_env}: set it to the address of the database and restart`,
        { reason: 'no_source_url' },
      );
    await using source = await openOutside(url);
    let added = 0;
    for (let isFirst = true; ; isFirst = false) {
      const page = await readPage(rule, spec, source, isFirst, everyMs, dependencies);
      added += page.added;
      if (page.isLast) return added;
    }
  } catch (error) {
    await failSource(pool, model, toHotloopError(error).message, Math.min(everyMs, RETRY_MS));
    return 0;
  }
}

async function isDue(pool: Pool, model: string): Promise<boolean> {
  const { rowCount } = await pool.query('SELECT 1 FROM outcome_source WHERE model = $1 AND due_at <= now()', [
    model,
  ]);
  return rowCount === 1;
}

async function readPage(
  rule: ModelRule,
  spec: SqlOutcomes,
  source: OutsideDatabase,
  isFirst: boolean,
  everyMs: number,
  { pool, clock, onAccepted }: SqlOutcomeDependencies,
): Promise<{ readonly added: number; readonly isLast: boolean }> {
  const model = rule.manifest.name;
  const fresh: AcceptedOutcome[] = [];
  const result = await transaction(pool, async (client) => {
    const locked = await lockSource(client, model, isFirst);
    if (!locked) return { added: 0, isLast: true };
    const query = { query: spec.query, watermark: spec.watermark, id: spec.id, overlapMs: OVERLAP_MS };
    const rows = await source.read(query, locked.position, isFirst, PAGE_ROWS);
    const { accepted, refused, problems } = acceptRows(rows, rule, spec, clock.now());
    const keys = await insertOutcomes(client, accepted);
    if (keys.size > 0) fresh.push(...accepted);
    const last = rows.at(-1) ?? null;
    // A page of the overlap moves the position back for a while; rows that are read twice count once.
    const isLast = rows.length < PAGE_ROWS;
    await advanceSource(client, model, {
      position: last,
      added: keys.size,
      refused,
      problems,
      nextMs: isLast ? everyMs : null,
    });
    return { added: keys.size, isLast };
  });
  for (const outcome of fresh) onAccepted?.(outcome);
  return result;
}

function acceptRows(
  rows: readonly OutsideRow[],
  { manifest, rule }: ModelRule,
  spec: SqlOutcomes,
  now: number,
): { readonly accepted: AcceptedOutcome[]; readonly refused: number; readonly problems: string[] } {
  const accepted: AcceptedOutcome[] = [];
  const problems: string[] = [];
  let refused = 0;
  for (const row of rows) {
    try {
      const report = outcomeOfRow(row, spec.watermark, `sql:${spec.url_env}`);
      const outcome = acceptOutcome(report, manifest, rule, now);
      // Rows for which `positive` is false are no outcomes; most rows of a business table are like that.
      if (outcome.kind === 'retract' || rule.labelOf(outcome) !== null) accepted.push(outcome);
    } catch (error) {
      refused++;
      if (problems.length < MOST_PROBLEMS)
        problems.push(`row ${row.id.slice(0, 80)}: ${toHotloopError(error).message}`);
    }
  }
  return { accepted, refused, problems };
}
