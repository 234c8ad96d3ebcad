import { CopyRow } from '@hotloop/platform/postgres/copy-row.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PredictionRow, predictionTable } from './prediction-row.ts';

const fewTexts = fc.constantFrom('a', 'b', 'ü');
const someTexts = fc.array(fewTexts, { maxLength: 2 });
const bytes = fc.option(fc.uint8Array({ maxLength: 8 }));
/** Values from small sets, so that neighbours often agree. */
const row: fc.Arbitrary<PredictionRow> = fc.record({
  predictionId: fc.uuid(),
  at: fc.integer({ min: Date.UTC(2024, 0), max: Date.UTC(2034, 0) }),
  model: fewTexts,
  version: fc.integer({ min: 1, max: 2 }),
  variant: fc.constantFrom('live', 'pinned'),
  caller: fewTexts,
  entities: fc.oneof(fc.constant({}), fc.record({ user: fewTexts })),
  candidates: fc.oneof(fc.constant([]), someTexts),
  rows: fc.integer({ min: 1, max: 2 }),
  columns: fc.integer({ min: 1, max: 2 }),
  features: bytes,
  statuses: bytes,
  outputs: fc.option(fc.array(fc.uint8Array({ maxLength: 8 }), { maxLength: 2 })),
  outputSpec: fc.constantFrom('[]', '[{"name":"y"}]'),
  degraded: fc.oneof(fc.constant([]), someTexts),
  queueUs: fc.nat(),
  runUs: fc.nat(),
  errorCode: fc.option(fc.constantFrom('INTERNAL', 'UNAVAILABLE')),
  errorMessage: fc.option(fewTexts),
  node: fewTexts,
});

function encoded(rows: readonly PredictionRow[], tableOf: () => ReturnType<typeof predictionTable>): Buffer {
  const into = new CopyRow();
  for (const one of rows) {
    const table = tableOf();
    into.begin();
    table.encode(one, into);
    into.end(table.columns.length);
  }
  return Buffer.from(into.bytes());
}

describe('rows of the prediction log', () => {
  it('are the same bytes whatever rows came before them', () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 12 }), (rows) => {
        const table = predictionTable();
        expect(encoded(rows, () => table)).toEqual(encoded(rows, predictionTable));
      }),
    );
  });
});
