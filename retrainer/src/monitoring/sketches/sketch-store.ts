import type { Queryable } from '@hotloop/platform/postgres/pool.ts';
import {
  type FeatureSketch,
  type FeatureSketches,
  restoreFeatureSketch,
  type StoredFeatureSketch,
  storeFeatureSketch,
} from './feature-sketch.ts';

/** Lengths of the spans that rows are summarised in, in seconds. */
export const SPANS = { recent: 300, hour: 3600 } as const;

export interface SpanKey {
  readonly model: string;
  readonly version: number;
  /** Empty for all rows. */
  readonly slice: string;
  readonly span: number;
  /** Milliseconds since 1970 of its start. */
  readonly at: number;
}

interface StoredRow {
  readonly feature: string;
  readonly version: number;
  readonly at_ms: string;
  readonly sketch: StoredFeatureSketch;
}

/** Merges sketches into the stored ones of their span, inside the transaction that moves the position. */
export async function addToSpan(database: Queryable, key: SpanKey, sketches: FeatureSketches): Promise<void> {
  const { model, version, slice, span, at } = key;
  const { rows } = await database.query<StoredRow>(
    `SELECT feature, sketch FROM monitor_sketch
     WHERE model = $1 AND version = $2 AND slice = $5 AND span = $3 AND at = to_timestamp($4 / 1000.0)`,
    [model, version, span, at, slice],
  );
  const stored = new Map(rows.map((row) => [row.feature, row.sketch]));
  const merged = [...sketches].map(([feature, added]) => {
    const before = stored.get(feature);
    if (!before) return { feature, sketch: storeFeatureSketch(added) };
    const sketch = restoreFeatureSketch(before);
    sketch.merge(added);
    return { feature, sketch: storeFeatureSketch(sketch) };
  });
  await database.query(
    `INSERT INTO monitor_sketch (model, version, slice, feature, span, at, sketch)
     SELECT $1, $2, $6, feature, $3, to_timestamp($4 / 1000.0), sketch
     FROM jsonb_to_recordset($5::jsonb) AS one (feature text, sketch jsonb)
     ON CONFLICT (model, span, at, version, slice, feature) DO UPDATE SET sketch = EXCLUDED.sketch`,
    [model, version, span, at, JSON.stringify(merged), slice],
  );
}

export interface SketchQuery {
  readonly model: string;
  /** Absent for all versions. */
  readonly versions?: readonly number[];
  readonly span: number;
  /** Spans that start at or after it and before `until`, milliseconds since 1970. */
  readonly since: number;
  readonly until: number;
  readonly feature?: string;
  /** Absent for all rows. */
  readonly slice?: string;
}

const SELECT = `
  SELECT feature, version, extract(epoch FROM at) * 1000 AS at_ms, sketch FROM monitor_sketch
  WHERE model = $1 AND span = $2 AND at >= to_timestamp($3 / 1000.0) AND at < to_timestamp($4 / 1000.0)
    AND ($5::integer[] IS NULL OR version = ANY($5)) AND ($6::text IS NULL OR feature = $6)
    AND slice = $7
  ORDER BY at`;

function parametersOf(query: SketchQuery): unknown[] {
  const { model, span, since, until, versions, feature, slice } = query;
  return [model, span, since, until, versions ?? null, feature ?? null, slice ?? ''];
}

/** The merged sketches of a period, by feature. */
export async function readSketches(database: Queryable, query: SketchQuery): Promise<FeatureSketches> {
  const { rows } = await database.query<StoredRow>(SELECT, parametersOf(query));
  const merged: FeatureSketches = new Map();
  for (const row of rows) {
    const sketch = restoreFeatureSketch(row.sketch);
    const sum = merged.get(row.feature);
    if (sum) sum.merge(sketch);
    else merged.set(row.feature, sketch);
  }
  return merged;
}

export interface SketchAt {
  readonly at: number;
  readonly version: number;
  readonly feature: string;
  readonly sketch: FeatureSketch;
}

/** Each span separately, in chronological order: for charts. */
export async function listSketches(database: Queryable, query: SketchQuery): Promise<SketchAt[]> {
  const { rows } = await database.query<StoredRow>(SELECT, parametersOf(query));
  return rows.map((row) => ({
    at: Number(row.at_ms),
    version: row.version,
    feature: row.feature,
    sketch: restoreFeatureSketch(row.sketch),
  }));
}

export interface StoredBaseline {
  readonly source: string;
  readonly sketches: FeatureSketches;
}

/** Stores the baseline of a version's features from its training; replaces an earlier one. */
export async function writeBaseline(
  database: Queryable,
  model: string,
  version: number,
  source: string,
  sketches: FeatureSketches,
  slice = '',
): Promise<void> {
  const list = [...sketches].map(([feature, sketch]) => ({ feature, sketch: storeFeatureSketch(sketch) }));
  await database.query(
    `INSERT INTO monitor_baseline (model, version, slice, feature, source, sketch)
     SELECT $1, $2, $5, feature, $3, sketch FROM jsonb_to_recordset($4::jsonb) AS one (feature text, sketch jsonb)
     ON CONFLICT (model, version, slice, feature) DO UPDATE SET source = EXCLUDED.source, sketch = EXCLUDED.sketch`,
    [model, version, source, JSON.stringify(list), slice],
  );
}

export async function readBaseline(
  database: Queryable,
  model: string,
  version: number,
  slice = '',
): Promise<StoredBaseline | null> {
  const { rows } = await database.query<{ feature: string; source: string; sketch: StoredFeatureSketch }>(
    'SELECT feature, source, sketch FROM monitor_baseline WHERE model = $1 AND version = $2 AND slice = $3',
    [model, version, slice],
  );
  if (!rows[0]) return null;
  return {
    source: rows[0].source,
    sketches: new Map(rows.map((row) => [row.feature, restoreFeatureSketch(row.sketch)])),
  };
}

/** Deletes spans past their retention. */
export async function dropOldSpans(database: Queryable, now: number): Promise<void> {
  for (const [span, keptMs] of [
    [SPANS.recent, 6 * 3_600_000],
    [SPANS.hour, 400 * 86_400_000],
  ] as const)
    await database.query('DELETE FROM monitor_sketch WHERE span = $1 AND at < to_timestamp($2 / 1000.0)', [
      span,
      now - keptMs,
    ]);
}

/** Slices with sketches of a version since a given time. */
export async function listSlices(
  database: Queryable,
  model: string,
  version: number,
  since: number,
): Promise<string[]> {
  const { rows } = await database.query<{ slice: string }>(
    `SELECT DISTINCT slice FROM monitor_sketch WHERE model = $1 AND version = $2 AND span = $3
       AND at >= to_timestamp($4 / 1000.0) AND slice <> '' ORDER BY slice`,
    [model, version, SPANS.hour, since],
  );
  return rows.map(({ slice }) => slice);
}

/** Rows x columns, float32, row by row. */
export interface SampledRows {
  readonly rows: number;
  readonly columns: number;
  readonly features: Float32Array;
}

/** Stores rows of a version's training; replaces earlier ones. */
export async function writeSample(
  database: Queryable,
  model: string,
  version: number,
  { rows, columns, features }: SampledRows,
): Promise<void> {
  const bytes = Buffer.from(features.buffer, features.byteOffset, features.byteLength);
  await database.query(
    `INSERT INTO monitor_sample (model, version, "rows", "columns", features) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (model, version) DO UPDATE SET "rows" = $3, "columns" = $4, features = $5`,
    [model, version, rows, columns, bytes],
  );
}

export async function readSample(
  database: Queryable,
  model: string,
  version: number,
): Promise<SampledRows | null> {
  const { rows } = await database.query<{ rows: number; columns: number; features: Buffer }>(
    'SELECT "rows", "columns", features FROM monitor_sample WHERE model = $1 AND version = $2',
    [model, version],
  );
  const [found] = rows;
  return found
    ? {
        ...{ rows: found.rows, columns: found.columns },
        features: new Float32Array(new Uint8Array(found.features).buffer),
      }
    : null;
}
