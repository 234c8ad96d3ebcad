import { silentLog } from '@hotloop/platform/log.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { createMigratedDatabase } from '@hotloop/platform/testing/test-services.ts';
import { describe, expect, it } from 'vitest';
import { postgresNodeReport, type VersionReport } from './node-report.ts';

const READY: VersionReport = {
  model: 'm',
  version: 1,
  state: 'ready',
  memoryBytes: 10.4,
  detail: '',
  reason: '',
};
const FAILED: VersionReport = {
  ...READY,
  version: 2,
  state: 'failed',
  detail: "golden.examples.0: output 'score' gave 0.25 in row 0, expected 0.5",
  reason: 'golden_mismatch',
};

describe('what a node reports', () => {
  it('replaces its previous report in Postgres, and leaves other nodes alone', async () => {
    await using database = await createMigratedDatabase();
    const log = silentLog();
    await using pool = openPool(database.url, { max: 2, queryTimeoutMs: 10_000, application: 'test', log });
    const [one, other] = [postgresNodeReport(pool, 'one'), postgresNodeReport(pool, 'other')];
    const reported = async () => {
      const { rows } = await pool.query(
        'SELECT node, version, state, memory_bytes::int AS memory, detail, reason FROM node_version ORDER BY node, version',
      );
      return rows;
    };
    await other.write([READY]);
    const others = { node: 'other', version: 1, state: 'ready', memory: 10, detail: '', reason: '' };
    await one.write([READY, FAILED]);
    const { detail, reason } = FAILED;
    const failed = { node: 'one', version: 2, state: 'failed', memory: 10, detail, reason };
    expect(await reported()).toEqual([{ ...others, node: 'one' }, failed, others]);
    await one.write([{ ...FAILED, state: 'ready', detail: '', reason: '' }]);
    expect(await reported()).toEqual([{ ...failed, state: 'ready', detail: '', reason: '' }, others]);
    await one.clear();
    expect(await reported()).toEqual([others]);
  });
});
