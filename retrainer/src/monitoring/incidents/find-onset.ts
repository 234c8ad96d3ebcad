import { type LoggedInputs, TextTable } from '@hotloop/model/features/flat-rows.ts';
import { changePoint } from '@hotloop/model/statistics/change-point.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { firstPredictionIdAt } from '@hotloop/proto/prediction-id.ts';
import { MINUTE_MS } from '@hotloop/proto/time-units.ts';
import { LOGGED_INPUTS, loggedColumns, loggedValues } from '../logged-values.ts';
import { readCalls } from '../sketches/call-store.ts';
import { type SketchedFeature, type SketchLayout, sketchLayout } from '../sketches/feature-sketch.ts';

/** The window is read as this many parts of about as many calls each, so that its cost does not grow with the number of calls. */
const PARTS = 40;
/** Rows read of each part, and rows of any model among which they are looked for. */
const ROWS_OF_PART = 25;
const SEARCHED_OF_PART = 2_000;
/** Rows needed on either side of the change. */
const LEAST_ROWS = 20;
/** A change less certain than this is not reported. */
const MOST_P = 1e-6;
/** Numbers are compared by the tenths of the rows that were read. */
const BINS = 10;

// Input: the first and the last id of each part; model, version, logged columns. Output: the first rows of each part.
const ROWS = `
  SELECT extract(epoch FROM one.at) * 1000 AS at_ms, one.*
  FROM unnest($1::uuid[], $2::uuid[]) AS part (first, last) CROSS JOIN LATERAL (
    SELECT at, statuses, ${LOGGED_INPUTS} FROM (
      SELECT * FROM prediction WHERE prediction_id >= first AND prediction_id < last
      ORDER BY prediction_id LIMIT ${SEARCHED_OF_PART}) AS searched
    WHERE model = $3 AND version = $4 AND "columns" = $5 AND features IS NOT NULL AND error_code IS NULL
    LIMIT ${ROWS_OF_PART}) AS one
  ORDER BY one.at`;

interface ReadRow extends LoggedInputs {
  readonly at_ms: string;
  readonly statuses: Buffer | null;
}

interface TimedRow {
  readonly at: number;
  /** Values of the whole prediction, float32[rows x width]. */
  readonly values: Float32Array;
  readonly statuses: Buffer | null;
}

export interface OnsetQuestion {
  readonly record: VersionRecord;
  readonly features: readonly string[];
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly now: number;
}

/**
 * When the values of features changed within a time, in milliseconds since 1970: the earliest change among them, read first
 * from a sample of the whole time, then from one of the gap in which it lies. Null if they changed before it, or if no
 * clear change is found.
 */
export async function findOnset(pool: Pool, question: OnsetQuestion): Promise<number | null> {
  const layout = sketchLayout(question.record.manifest);
  const named = layout.features.filter(({ name }) => question.features.includes(name));
  const found: number[] = [];
  for (const feature of named) {
    const about = await changeOf(pool, question, layout, feature);
    const exact = about && (await changeOf(pool, { ...question, ...about }, layout, feature));
    const onset = exact ?? about;
    if (onset) found.push(onset.now);
  }
  return found.length === 0 ? null : Math.min(...found);
}

/** The last row before a change and the first one after it, as `since` and `now`. */
async function changeOf(
  pool: Pool,
  { record, since, now }: OnsetQuestion,
  layout: SketchLayout,
  feature: SketchedFeature,
): Promise<{ since: number; now: number } | null> {
  const texts = new TextTable();
  const rows = await readRows(pool, { record, since, now }, layout, texts);
  const place = layout.features.indexOf(feature);
  const { categories, count } = categoriesOf(rows, feature, place);
  const change = changePoint(categories, count, LEAST_ROWS);
  if (!change || change.p > MOST_P) return null;
  return { since: rows[change.at - 1]!.at, now: rows[change.at]!.at };
}

async function readRows(
  pool: Pool,
  { record, since, now }: Omit<OnsetQuestion, 'features'>,
  layout: SketchLayout,
  texts: TextTable,
): Promise<TimedRow[]> {
  const minutes = await readCalls(pool, record.model, 'minute', since - MINUTE_MS, now + 1);
  const bounds = partsOf(minutes, since, now + 1).map((at) => firstPredictionIdAt(Math.floor(at)));
  const { rows } = await pool.query<ReadRow>(ROWS, [
    ...[bounds.slice(0, -1), bounds.slice(1)],
    ...[record.model, record.version, loggedColumns(layout)],
  ]);
  return rows.flatMap((row): TimedRow[] => {
    const values = loggedValues(row, layout, texts);
    return values && values.length > 0
      ? [{ at: Math.round(Number(row.at_ms)), values, statuses: row.statuses }]
      : [];
  });
}

/**
 * Bounds of the parts of a time, from the first to the last: they hold about as many calls each, and are equally long where
 * the calls are not counted yet. Pure.
 */
export function partsOf(
  minutes: readonly { readonly at: number; readonly calls: number }[],
  since: number,
  until: number,
): number[] {
  const spans = minutes
    .map(({ at, calls }) => ({
      ...{ from: Math.max(at, since), to: Math.min(at + MINUTE_MS, until), calls },
    }))
    .filter(({ from, to, calls }) => to > from && calls > 0);
  const total = spans.reduce((sum, { calls }) => sum + calls, 0);
  const bounds = [since];
  let [passed, span] = [0, 0];
  for (let part = 1; part < PARTS; part++) {
    if (total === 0) {
      bounds.push(since + ((until - since) * part) / PARTS);
      continue;
    }
    const wanted = (total * part) / PARTS;
    while (span < spans.length - 1 && passed + spans[span]!.calls < wanted) passed += spans[span++]!.calls;
    const { from, to, calls } = spans[span]!;
    bounds.push(from + (to - from) * Math.min(1, (wanted - passed) / calls));
  }
  return [...bounds, until];
}

/** One category for each prediction, by its first row: the status of the feature, and of a value that is there its bin. */
function categoriesOf(rows: readonly TimedRow[], feature: SketchedFeature, place: number) {
  const statusOf = ({ statuses }: TimedRow) => statuses?.[place] ?? 0;
  const valueIn = ({ values }: TimedRow) => {
    if (feature.width === 1) return values[feature.offset]!;
    let most = -1;
    for (let column = 0; column < feature.width; column++)
      if (values[feature.offset + column]! > (most < 0 ? 0 : values[feature.offset + most]!)) most = column;
    return most;
  };
  const values = rows.map(valueIn);
  const binOf = feature.isText ? frequent(values) : binning(values);
  const keys = rows.map((row, at) => `${statusOf(row)} ${binOf(values[at]!)}`);
  const names = [...new Set(keys)];
  const placeOf = new Map(names.map((name, at) => [name, at]));
  return { categories: keys.map((key) => placeOf.get(key)!), count: names.length };
}

/** A bin for each of the ten most frequent texts, and one for the others. */
function frequent(texts: readonly number[]): (text: number) => number {
  const counted = [...Map.groupBy(texts, (text) => text)].sort(([, a], [, b]) => b.length - a.length);
  const kept = counted.slice(0, BINS).map(([text]) => text);
  return (text) => kept.indexOf(text);
}

/** Up to ten different values are a bin each; of more, each bin holds a tenth of them. */
function binning(values: readonly number[]): (value: number) => number {
  const different = [...new Set(values)];
  if (different.length <= BINS) return (value) => different.indexOf(value);
  const sorted = values.toSorted((a, b) => a - b);
  const edges = Array.from(
    { length: BINS - 1 },
    (_v, edge) => sorted[Math.floor((sorted.length * (edge + 1)) / BINS)]!,
  );
  return (value) => edges.findLastIndex((edge) => value >= edge);
}
