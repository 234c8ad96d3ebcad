import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../log.ts';
import { CopyRow } from '../postgres/copy-row.ts';
import { CopyRows } from '../postgres/copy-rows.ts';
import { openPool } from '../postgres/pool.ts';
import { createMigratedDatabase } from '../testing/test-services.ts';
import { preparePartitions, shipRows } from './ship-rows.ts';

const COLUMNS = [
  'prediction_id',
  'at',
  'model',
  'version',
  'variant',
  'rows',
  'columns',
  'error_code',
  'node',
];

function rowsOf(rows: readonly { id: string; model: string; error?: string }[]): CopyRows {
  const encoded = rows.map(({ id, model, error }) => {
    const row = new CopyRow(1024);
    row.begin();
    row.uuid(id);
    row.timestamp(Date.now());
    row.text(model);
    row.int4(1);
    row.text('live');
    row.int4(1);
    row.int4(2);
    if (error === undefined) row.nothing();
    else row.text(error);
    row.text('node-1');
    row.end(COLUMNS.length);
    return row.bytes();
  });
  let end = 0;
  return new CopyRows(
    Buffer.concat(encoded),
    Uint32Array.from(encoded, (row) => (end += row.length)),
  );
}

describe('the counts of shipped rows', () => {
  it('match the rows in the table, also when some are repeated or replace others', async () => {
    await using database = await createMigratedDatabase();
    await using pool = openPool(database.url, {
      max: 1,
      queryTimeoutMs: 10_000,
      application: 'test',
      log: silentLog(),
    });
    const client = await pool.connect();
    try {
      const ids = randomPredictionIds();
      const [a, b, c, d] = [0, 0, 0, 0].map(() => ids.next(Date.now())) as [string, string, string, string];
      const known = new Set<number>();
      const shipment = {
        description: { table: 'prediction', columns: COLUMNS },
        from: { segment: 0, offset: 0 },
        next: undefined,
        provisional: 'error_code',
      };
      const ship = async (journal: string, rows: Parameters<typeof rowsOf>[0]) => {
        const encoded = rowsOf(rows);
        await preparePartitions(client, 'prediction', encoded, known);
        await shipRows(client, { ...shipment, journal, rows: encoded });
      };
      await ship('one', [
        { id: a, model: 'm' },
        { id: b, model: 'm' },
        { id: c, model: 'n', error: 'CANCELLED' },
      ]);
      await ship('two', [
        { id: a, model: 'm' },
        { id: c, model: 'n' },
        { id: d, model: 'm' },
      ]);
      const { rows } = await client.query(
        'SELECT journal, model, predictions::int FROM logged_count ORDER BY 1, 2',
      );
      expect(rows).toEqual([
        { journal: 'one', model: 'm', predictions: 2 },
        { journal: 'one', model: 'n', predictions: 1 },
        { journal: 'two', model: 'm', predictions: 1 },
      ]);
    } finally {
      client.release();
    }
  });
});
