import { CopyRow } from '@hotloop/platform/postgres/copy-row.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PredictionRow, predictionTable } from './prediction-row.ts';

const fewTexts = fc.constantFrom('a', 'b', 'ü');
const someTexts = fc.array(fewTexts, { maxLength: 2 });
const bytes = fc.option(fc.uint8Array({ maxLength: 8 }));
const fields: { [Field in keyof PredictionRow]: fc.Arbitrary<PredictionRow[Field]> } = {
  predictionId: fc.uuid(),
  at: fc.integer({ min: Date.UTC(2024, 0), max: Date.UTC(2034, 0) }),
  model: fewTexts,
  version: fc.integer({ min: 1, max: 2 }),
  variant: fc.constantFrom('live', 'pinned'),
  propensity: fc.constantFrom(1, 0.25),
  caller: fewTexts,
  entities: fc.oneof(fc.constant({}), fc.record({ user: fewTexts })),
  candidates: fc.oneof(fc.constant([]), someTexts),
  rows: fc.integer({ min: 1, max: 2 }),
  columns: fc.integer({ min: 1, max: 2 }),
  features: bytes,
  statuses: bytes,
  outputs: fc.option(fc.array(fc.uint8Array({ maxLength: 8 }), { maxLength: 2 })),
  inputSpec: fc.constantFrom('[]', '[{"name":"x"}]'),
  outputSpec: fc.constantFrom('[]', '[{"name":"y"}]'),
  degraded: fc.oneof(fc.constant([]), someTexts),
  queueUs: fc.nat(),
  runUs: fc.nat(),
  errorCode: fc.option(fc.constantFrom('INTERNAL', 'UNAVAILABLE')),
  errorMessage: fc.option(fewTexts),
  node: fewTexts,
};
/** Each row differs from the previous one in some fields only, so that neighbours often agree. */
const rowsInARow: fc.Arbitrary<readonly PredictionRow[]> = fc
  .tuple(
    fc.record(fields),
    fc.array(fc.record(fields, { requiredKeys: [] }), { minLength: 10, maxLength: 20 }),
  )
  .map(([first, changes]) => {
    const rows = [first];
    for (const change of changes) rows.push({ ...(rows.at(-1) ?? first), ...change });
    return rows;
  });

/** Writes field by field, without reusing repeated fields: the expected bytes. */
function writePlainly(one: PredictionRow, into: CopyRow): void {
  const bytesOrNothing = (value: Uint8Array | null) => (value ? into.bytea(value) : into.nothing());
  const textOrNothing = (value: string | null) => (value === null ? into.nothing() : into.text(value));
  into.uuid(one.predictionId);
  into.timestamp(one.at);
  into.int4(one.queueUs);
  into.int4(one.runUs);
  bytesOrNothing(one.features);
  bytesOrNothing(one.statuses);
  bytesOrNothing(one.outputs && Buffer.concat(one.outputs));
  into.text(one.model);
  into.int4(one.version);
  into.text(one.variant);
  into.float8(one.propensity);
  into.text(one.caller);
  into.json(JSON.stringify(one.entities));
  into.textArray(one.candidates);
  into.textArray(one.degraded);
  into.int4(one.rows);
  into.int4(one.columns);
  into.json(one.inputSpec);
  into.json(one.outputSpec);
  textOrNothing(one.errorCode);
  textOrNothing(one.errorMessage);
  into.text(one.node);
}

function encoded(rows: readonly PredictionRow[], write: (one: PredictionRow, into: CopyRow) => void): Buffer {
  const into = new CopyRow();
  for (const one of rows) {
    into.begin();
    write(one, into);
    into.end(predictionTable().columns.length);
  }
  return into.bytes();
}

describe('rows of the prediction log', () => {
  it('have each field in its column, whatever the previous rows were', () => {
    fc.assert(
      fc.property(rowsInARow, (rows) => {
        const table = predictionTable();
        const written = encoded(rows, (one, into) => table.encode(one, into));
        expect(written).toEqual(encoded(rows, writePlainly));
      }),
      { numRuns: 300 },
    );
  });
});
