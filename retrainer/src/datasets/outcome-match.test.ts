import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linearModel, logPredictions, manifestText, openStores, push } from '../testing/fixture.ts';
import { type JoinPrediction, joinOutcomes, type OutcomeEvent } from './join.ts';

const WINDOW_MS = 60_000;
const T0 = Date.now() - 600_000;
const JOINS: Record<string, readonly string[]> = { none: [], user: ['user'], both: ['user', 'item'] };

const name = fc.constantFrom('a', 'b', 'c');
const time = fc.integer({ min: -WINDOW_MS, max: 2 * WINDOW_MS }).map((ms) => T0 + ms);
const predictions = fc.array(
  fc.record({
    at: time,
    entities: fc.record({ user: name, item: name }, { requiredKeys: [] }),
    candidates: fc.oneof(fc.constant([]), fc.uniqueArray(name, { minLength: 1, maxLength: 3 })),
  }),
  { maxLength: 8 },
);
const events = fc.array(
  fc.record({
    source: fc.constantFrom('sdk', 'analyst', 'analyst:ada', 'analysts'),
    kind: fc.constantFrom('label', 'retract'),
    about: fc.option(fc.nat(8)),
    keys: fc.record({ user: name, item: name }, { requiredKeys: [] }),
    occurredAt: time,
  }),
  { maxLength: 12 },
);

/** Which rows each event reaches, by join.ts: every event joined alone labels or retracts exactly its rows. */
function matchesOf(all: readonly JoinPrediction[], event: OutcomeEvent, keys: readonly string[]): string[] {
  const asLabel: OutcomeEvent = { ...event, kind: 'label', value: 1 };
  const spec = { keys, windowMs: WINDOW_MS, otherwise: null, labelOf: () => 1 };
  const isExempt = event.kind === 'retract' && event.predictionId !== null;
  // A retraction by id counts after the window, as an analyst's label does.
  const judged = isExempt ? { ...asLabel, source: 'analyst' } : asLabel;
  const { examples } = joinOutcomes(all, [judged], spec, Number.MAX_SAFE_INTEGER);
  return examples.map(({ predictionId, row }) => `${predictionId} ${row}`).sort();
}

describe('the view outcome_match', () => {
  it('matches what join.ts matches, for any predictions, outcomes and declared keys', async () => {
    await using stores = await openStores();
    for (const [model, join] of Object.entries(JOINS)) {
      const declared = join.length === 0 ? '' : `, join: [${join.join(', ')}]`;
      await push(stores, manifestText(model, `outcome: {window: 1m${declared}}\n`), linearModel());
    }
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...Object.keys(JOINS)),
        predictions,
        events,
        async (model, asked, happened) => {
          await stores.pool.query('TRUNCATE prediction, outcome, outcome_waiting');
          const ids = await logPredictions(
            stores.pool,
            asked.map((one) => ({
              ...one,
              model,
              entities: one.entities as Record<string, string>,
              features: Array.from({ length: 2 * Math.max(1, one.candidates.length) }, () => 0),
            })),
          );
          const all = asked.map(
            (one, index): JoinPrediction => ({
              ...one,
              predictionId: ids[index]!,
              entities: one.entities as Record<string, string>,
              rows: Math.max(1, one.candidates.length),
              shown: null,
            }),
          );
          const reports = happened.map(
            (one, index): OutcomeEvent => ({
              id: String(index),
              source: one.source,
              kind: one.kind as 'label' | 'retract',
              predictionId:
                one.about === null ? null : (ids[one.about] ?? '018bcfe5-6800-7000-8000-000000000001'),
              keys: one.keys as Record<string, string>,
              value: null,
              attributes: {},
              occurredAt: one.occurredAt,
            }),
          );
          for (const report of reports)
            await stores.pool.query(
              `INSERT INTO outcome (id, model, source, kind, prediction_id, keys, occurred_at)
               VALUES ($1, $2, $3, $4, $5, $6, to_timestamp($7 / 1000.0))`,
              [
                report.id,
                model,
                report.source,
                report.kind,
                report.predictionId,
                JSON.stringify(report.keys),
                report.occurredAt,
              ],
            );
          const { rows } = await stores.pool.query<{ id: string; matched: string }>(
            `SELECT outcome.id, outcome_match.prediction_id || ' ' || "row" AS matched
             FROM outcome_match JOIN outcome USING (sequence) WHERE outcome_match.model = $1`,
            [model],
          );
          for (const report of reports) {
            const inSql = rows.filter((row) => row.id === report.id).map((row) => row.matched);
            expect(inSql.sort()).toEqual(matchesOf(all, report, JOINS[model]!));
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
