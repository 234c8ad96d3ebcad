import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sqlName, sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import type { SqlDatabase } from '@hotloop/platform/duckdb/sql-database.ts';
import { copyQueryToCsv } from '@hotloop/platform/postgres/copy-query.ts';
import { ARCHIVE_VIEWS, declareArchiveView, refreshArchiveView, type SqlArchive } from './archive-views.ts';
import { listsTables } from './postgres-catalog.ts';
import { scanSql } from './sql-scan.ts';

/** The loop's tables in SQL: the newest rows of each, read from Postgres when a statement names the table. */
const TABLES: Readonly<Record<string, string>> = {
  predictions: `SELECT prediction_id, at, model, version, variant, propensity, caller, entities::text AS entities,
    array_to_string(candidates, ',') AS candidates, "rows", "columns", array_to_string(degraded, ',') AS degraded,
    queue_us, run_us, error_code, node FROM prediction ORDER BY prediction_id DESC`,
  decisions: `SELECT prediction_id, at, model, version, variant, label, score, shown::text AS shown, node
    FROM decision ORDER BY prediction_id DESC`,
  outcomes: `SELECT sequence, id, model, source, kind, prediction_id, keys::text AS keys, value::text AS value,
    attributes::text AS attributes, occurred_at, received_at FROM outcome ORDER BY sequence DESC`,
  labels: `SELECT m.prediction_id, m."row", m.model, m.at, o.kind, o.source, o.value::text AS value, o.occurred_at
    FROM outcome_match m JOIN outcome o ON o.model = m.model AND o.sequence = m.sequence ORDER BY o.sequence DESC`,
  corrections: `SELECT u.model, c.prediction_id, c.item, c.value::text AS value, c.label, c.state, c.note, u.uploaded_by, u.approved_by
    FROM correction c JOIN correction_upload u USING (upload_id) ORDER BY u.created_at DESC, c.line`,
  reference_rows: `SELECT r.table_name, r.key, r.fields::text AS fields FROM reference_row r
    JOIN reference_table t ON t.name = r.table_name AND t.live_version = r.version ORDER BY r.table_name, r.key`,
  batches: `SELECT run_id, model, version, schedule, state, source, sink, rows, dataset_sha256, message, created_at, ended_at
    FROM batch_run ORDER BY created_at DESC`,
  versions: `SELECT v.model, v.version, v.bundle_sha256, v.parent_version, v.dataset_sha256, v.run_id, v.note, v.created_at,
    CASE v.version WHEN m.live_version THEN 'live' WHEN m.target_version THEN 'candidate'
      WHEN m.previous_version THEN 'previous' END AS label
    FROM model_version v JOIN model m ON m.name = v.model ORDER BY v.model, v.version`,
};

/** Names that only the platform writes. */
export const KEPT_TABLES: readonly string[] = [...Object.keys(TABLES), ...Object.keys(ARCHIVE_VIEWS)];

const FRESH_MS = 2_000;
const MOST_ROWS = 1_000_000;

export interface LoopTables extends AsyncDisposable {
  /** Refreshes the tables that a statement names, and makes all of them for one that lists tables. True if it names one. */
  refresh(sql: string, signal: AbortSignal): Promise<boolean>;
}

export async function openLoopTables(
  database: SqlDatabase,
  databaseUrl: string,
  folder?: string,
  archive?: SqlArchive,
): Promise<LoopTables> {
  const work = folder ?? (await mkdtemp(join(tmpdir(), 'hotloop-sql-tables-')));
  const readAt = new Map<string, number>();
  const declared = new Set<string>();
  let turn: Promise<void> = Promise.resolve();

  async function read(name: string, query: string, signal: AbortSignal): Promise<void> {
    if (performance.now() - (readAt.get(name) ?? Number.NEGATIVE_INFINITY) < FRESH_MS) return;
    const path = join(work, `${name}.csv`);
    const types = await copyQueryToCsv(databaseUrl, `${query} LIMIT ${MOST_ROWS}`, path, signal);
    const list = Object.entries(types).map(([column, type]) => `${sqlName(column)}: '${type}'`);
    using connection = await database.connect();
    await connection.run(
      `CREATE OR REPLACE TABLE ${name} AS SELECT * FROM read_csv(${sqlText(path)}, header = true, types = {${list.join(', ')}})`,
    );
    readAt.set(name, performance.now());
    await rm(path, { force: true });
  }

  async function readArchive(name: string, from: SqlArchive): Promise<void> {
    if (performance.now() - (readAt.get(name) ?? Number.NEGATIVE_INFINITY) < FRESH_MS) return;
    await refreshArchiveView(name, database, from, join(work, 'archive'));
    readAt.set(name, performance.now());
  }

  /** Makes the tables that nothing has named yet, without rows, so that a list of all tables has them. */
  async function declare(signal: AbortSignal): Promise<void> {
    for (const [name, query] of Object.entries(TABLES)) {
      if (declared.has(name) || readAt.has(name)) continue;
      const path = join(work, `${name}.csv`);
      const types = await copyQueryToCsv(databaseUrl, `${query} LIMIT 0`, path, signal);
      await rm(path, { force: true });
      const columns = Object.entries(types).map(([column, type]) => `${sqlName(column)} ${type}`);
      using connection = await database.connect();
      await connection.run(`CREATE TABLE IF NOT EXISTS ${name} (${columns.join(', ')})`);
      declared.add(name);
    }
    for (const name of archive ? Object.keys(ARCHIVE_VIEWS) : []) {
      if (declared.has(name) || readAt.has(name)) continue;
      await declareArchiveView(name, database);
      declared.add(name);
    }
  }

  return {
    async refresh(sql, signal) {
      const words = new Set(scanSql(sql).map(({ text }) => text.toLowerCase().replaceAll('"', '')));
      const named = Object.entries(TABLES).filter(([name]) => words.has(name));
      const archived = Object.keys(ARCHIVE_VIEWS).filter((name) => words.has(name));
      const work = turn.then(async () => {
        if (listsTables(sql)) await declare(signal);
        for (const [name, query] of named) await read(name, query, signal);
        if (archive) for (const name of archived) await readArchive(name, archive);
      });
      turn = work.catch(() => undefined);
      await work;
      return named.length > 0 || archived.length > 0;
    },
    [Symbol.asyncDispose]: () => rm(work, { recursive: true, force: true }),
  };
}
