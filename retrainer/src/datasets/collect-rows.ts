import {
  type InputSpec,
  loggedRows,
  type RowInput,
  rowInputs,
  type TextTable,
} from '@hotloop/model/features/flat-rows.ts';
import { columnKeys } from '@hotloop/model/manifest/column-keys.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { type LabelRule, labelRule } from '@hotloop/model/outcome/label-rule.ts';
import { trainingSpec } from '@hotloop/model/training/training-settings.ts';
import { type BinaryRow, copyOut } from '@hotloop/platform/postgres/copy-out.ts';
import type { PoolClient } from '@hotloop/platform/postgres/pool.ts';
import { firstPredictionIdAt } from '@hotloop/proto/prediction-id.ts';
import { countOutcomes, outcomeCut, readOutcomesOf, type StoredOutcome } from '../outcomes/outcome-store.ts';
import { listManifests } from '../registry/version-store.ts';
import {
  CLOCK_SKEW_MS,
  ITEM_KEY,
  isAnalyst,
  type JoinPrediction,
  type JoinSpec,
  joinOutcomes,
  type LabelledExample,
} from './join.ts';
import { type ColumnMap, mapColumns } from './map-columns.ts';
import type { RowSpool } from './row-spool.ts';
import { readShown, type Shown } from './shown-candidates.ts';
import { isFrozenKey } from './split-rows.ts';
import { missingNote, type RowUse, rowUse } from './usable-rows.ts';

export interface CollectOptions {
  /** The newest predictions that are looked at. */
  readonly maxPredictions: number;
  /** Rows (candidates) of them at most. */
  readonly maxRows: number;
  /** Bytes of feature vectors of one dataset; older examples beyond it are left out. */
  readonly maxFeatureBytes: number;
}

export interface CollectedRows {
  /** The newest outcome that could count, by sequence. */
  readonly cut: number;
  /** Rows whose window is still open, and rows held back with them. */
  readonly pending: number;
  /** Outcomes that match no prediction that was looked at. */
  readonly unmatched: number;
  /** Labelled rows that could not be used: their logged vector is missing, of another width, or not finite. */
  readonly unusable: number;
  /** What was filled in, dropped or left out because versions have other features, one sentence each. */
  readonly notes: readonly string[];
}

/** Predictions joined at once, which bounds the memory of the join. */
const SLICE_PREDICTIONS = 20_000;
const SLICE_BYTES = 48 * 1024 * 1024;

interface LoggedPrediction extends JoinPrediction {
  readonly version: number;
  readonly columns: number;
  /** In memory of their own. */
  readonly features: Uint8Array<ArrayBuffer>;
  readonly inputSpec: InputSpec;
}

/** How the rows that a version served become rows of the wanted columns. */
interface VersionRows {
  readonly inputs: readonly RowInput[];
  /** `columns` of its rows in the log. */
  readonly logged: number;
  readonly map: ColumnMap;
}

/**
 * Joins a model's predictions with its outcomes and appends the labelled rows to the spool, in the order of their prediction ids,
 * which begin with their time. Works through slices of predictions, so that memory does not grow with the log: a label
 * depends on a prediction's own outcomes alone. `log` streams predictions while `lookups` answers questions about each
 * slice; both must see the same snapshot.
 */
export async function collectRows(
  { log, lookups }: { readonly log: PoolClient; readonly lookups: PoolClient },
  manifest: Manifest,
  spool: RowSpool,
  now: number,
  options: CollectOptions,
): Promise<CollectedRows> {
  const rule = labelRule(manifest);
  const { maps, notes } = await versionRows(lookups, manifest, spool.texts);
  const cut = await outcomeCut(lookups, manifest.name);
  const first = await firstPrediction(lookups, manifest, maps, now, options);
  if (first?.hasOlder)
    notes.push(
      `older predictions are not used: a dataset is made of the newest ${options.maxPredictions} predictions, ${options.maxRows} rows at most`,
    );
  const totals = { pending: 0, unusable: 0, missing: 0 };
  const useOf = rowUse(manifest);
  const matched = new Bits();
  let earliest = now;
  let slice: LoggedPrediction[] = [];
  let bytes = 0;
  let joining = Promise.resolve();
  // A slice is joined while the next is read: Postgres works meanwhile.
  const join = async () => {
    await joining;
    if (slice.length === 0) return;
    for (const { at } of slice) earliest = Math.min(earliest, at);
    joining = joinSlice(slice, { lookups, manifest, rule, maps, spool, now, cut, totals, matched, useOf });
    joining.catch(() => undefined);
    slice = [];
    bytes = 0;
  };
  if (first !== null) {
    const select = predictionsFrom(log, manifest, first.predictionId, maps);
    for await (const rows of copyOut(log, select, predictionOf)) {
      for (const prediction of rows) {
        if (!maps.has(prediction.version)) continue;
        slice.push(prediction);
        bytes += prediction.features.length;
        if (slice.length >= SLICE_PREDICTIONS || bytes >= SLICE_BYTES) await join();
      }
    }
    await join();
    await joining;
  }
  const total = await countOutcomes(lookups, manifest.name, cut, earliest - CLOCK_SKEW_MS);
  notes.push(...missingNote(totals.missing));
  const { pending, unusable } = totals;
  return { cut, pending, unusable, unmatched: Math.max(0, total - matched.count), notes };
}

interface Slice {
  readonly lookups: PoolClient;
  readonly manifest: Manifest;
  readonly rule: LabelRule;
  readonly maps: ReadonlyMap<number, VersionRows>;
  readonly spool: RowSpool;
  readonly now: number;
  readonly cut: number;
  readonly totals: { pending: number; unusable: number; missing: number };
  readonly matched: Bits;
  readonly useOf: (vector: Float32Array) => RowUse;
}

async function joinSlice(predictions: readonly LoggedPrediction[], slice: Slice): Promise<void> {
  const { lookups, manifest, rule, maps, spool, now, cut, totals, matched, useOf } = slice;
  const windowMs = durationMs(manifest.outcome.window);
  const times = predictions.map(({ at }) => at);
  const [from, to] = [times.reduce((a, b) => Math.min(a, b)), times.reduce((a, b) => Math.max(a, b))];
  const events = await readOutcomesOf(lookups, {
    model: manifest.name,
    cut,
    firstId: predictions[0]!.predictionId,
    lastId: predictions.at(-1)!.predictionId,
    keyed: manifest.outcome.join === undefined ? null : [from - CLOCK_SKEW_MS, to + windowMs + CLOCK_SKEW_MS],
  });
  const asksShown = manifest.task === 'ranking';
  const shown = asksShown ? await readShown(lookups, predictions) : new Map<string, Shown>();
  const byId = new Map(predictions.map((prediction) => [prediction.predictionId, prediction]));
  const asked = asksShown
    ? predictions.map((prediction) => ({
        ...prediction,
        shown: shown.get(prediction.predictionId)?.items ?? null,
      }))
    : predictions;
  const spec: JoinSpec = {
    keys: manifest.outcome.join ?? [],
    windowMs,
    otherwise: rule.otherwise,
    labelOf: (event) => rule.labelOf(event),
  };
  const joined = joinOutcomes(asked, events, spec, now);
  const unmatched = new Set(joined.unmatched.map(({ event }) => event));
  for (const event of events) if (!unmatched.has(event)) matched.set((event as StoredOutcome).sequence);
  totals.pending += joined.pending;
  const { data } = trainingSpec(manifest);
  const keyOf = ({ predictionId, entities }: LoggedPrediction) =>
    (data.entity === undefined ? undefined : entities[data.entity]) ?? predictionId;
  const isFrozen = ({ predictionId }: LabelledExample) => isFrozenKey(keyOf(byId.get(predictionId)!), data);
  // The frozen holdout knows no corrections: what analysts say must not move what versions are measured by.
  const observed = () =>
    joinOutcomes(
      asked,
      events.filter(({ source }) => !isAnalyst(source)),
      spec,
      now,
    );
  const decided =
    data.frozen === 0
      ? [...joined.examples]
      : [...joined.examples.filter((example) => !isFrozen(example)), ...observed().examples.filter(isFrozen)];
  const vector = new Float32Array(columnsOf(manifest).width);
  const examples = decided.sort((a, b) => compare(a.predictionId, b.predictionId) || a.row - b.row);
  let served: { of: LoggedPrediction | null; rows: Float32Array | null } = { of: null, rows: null };
  for (const example of examples) {
    // Where only positives are reported, a recent label is known only if it is positive. Recent rows would then all be
    // positive, so every row waits until its window has ended.
    if (rule.isOneSided && example.open) {
      totals.pending++;
      continue;
    }
    const prediction = byId.get(example.predictionId)!;
    const { inputs, map } = maps.get(prediction.version)!;
    if (served.of !== prediction) {
      served = { of: prediction, rows: servedRows(prediction, inputs, spool.texts) };
    }
    if (served.rows === null) {
      totals.unusable++;
      continue;
    }
    map.write(served.rows, example.row * map.width, vector, 0);
    const use = useOf(vector);
    if (use !== 'usable') {
      if (use === 'missing') totals.missing++;
      else totals.unusable++;
      continue;
    }
    const propensity = shown
      .get(example.predictionId)
      ?.propensityOf(prediction.candidates[example.row] ?? '');
    const full = spool.append(
      {
        predictionId: example.predictionId,
        row: example.row,
        at: example.at,
        label: example.label,
        weight: data.propensity && propensity ? Math.min(data.propensity.clip, 1 / propensity) : 1,
        source: example.outcome?.source ?? '',
        version: prediction.version,
        key: keyOf(prediction),
      },
      vector,
    );
    if (full) await full;
  }
}

/** The rows of a prediction, all inputs side by side; null for what is not as its version's inputs. */
function servedRows(
  prediction: LoggedPrediction,
  inputs: readonly RowInput[],
  texts: TextTable,
): Float32Array | null {
  const { rows, columns, features, inputSpec } = prediction;
  if (columns === 0) return loggedRows(inputs, { rows, columns, features, input_spec: inputSpec }, texts);
  return features.length === rows * columns * 4 ? new Float32Array(features.buffer) : null;
}

/**
 * The versions whose rows can be used, each with how its columns become those of `manifest`; and what to say of the others.
 */
async function versionRows(
  client: PoolClient,
  manifest: Manifest,
  texts: TextTable,
): Promise<{ maps: Map<number, VersionRows>; notes: string[] }> {
  const maps = new Map<number, VersionRows>();
  const notes: string[] = [];
  for (const { version, manifest: older } of await listManifests(client, manifest.name)) {
    if (older.task !== manifest.task) {
      notes.push(`rows of version ${version} are not used: its task was ${older.task}`);
      continue;
    }
    const map = mapColumns(
      columnKeys(older).map(({ key }) => key),
      manifest,
      older,
      texts,
    );
    if ('problem' in map) notes.push(`rows of version ${version} are not used: ${map.problem}`);
    else {
      const layout = columnsOf(older);
      const inputs = rowInputs(layout, older.input);
      maps.set(version, { inputs, map, logged: layout.isMatrix ? layout.width : 0 });
      if (map.note !== null)
        notes.push(`rows of version ${version} are used with other columns: ${map.note}`);
    }
  }
  return { maps, notes };
}

/**
 * Predictions that may be learnt from: those whose answer the caller saw. So live, canary and pinned ones; not shadow ones, whose live
 * counterpart is in the log too, and none that failed.
 */
const USABLE = `variant IN ('live', 'canary', 'pinned') AND error_code IS NULL AND features IS NOT NULL`;

// Input: model, most predictions, most rows, first id. Output: the oldest prediction within them; whether there are older ones.
const FIRST = `
  SELECT prediction_id, EXISTS (
    SELECT FROM prediction WHERE model = $1 AND prediction_id >= $4 AND prediction_id < counted.prediction_id
      AND ${USABLE} AND version = ANY ($5) AND "columns" = ANY ($6)) AS "hasOlder"
  FROM (
    SELECT prediction_id, sum("rows") OVER (ORDER BY prediction_id DESC) AS rows_so_far FROM (
      SELECT prediction_id, "rows" FROM prediction
      WHERE model = $1 AND prediction_id >= $4 AND ${USABLE} AND version = ANY ($5) AND "columns" = ANY ($6)
      ORDER BY prediction_id DESC LIMIT $2) newest) counted
  WHERE rows_so_far <= $3 ORDER BY prediction_id LIMIT 1`;

async function firstPrediction(
  client: PoolClient,
  manifest: Manifest,
  maps: ReadonlyMap<number, VersionRows>,
  now: number,
  options: CollectOptions,
): Promise<{ readonly predictionId: string; readonly hasOlder: boolean } | null> {
  const { data } = trainingSpec(manifest);
  const since = data.max_age === undefined ? 0 : Math.max(0, now - durationMs(data.max_age));
  const { rows } = await client.query<{ prediction_id: string; hasOlder: boolean }>(FIRST, [
    manifest.name,
    options.maxPredictions,
    options.maxRows,
    firstPredictionIdAt(since),
    [...maps.keys()],
    [...new Set([...maps.values()].map(({ logged }) => logged))],
  ]);
  const [found] = rows;
  return found ? { predictionId: found.prediction_id, hasOlder: found.hasOlder } : null;
}

function predictionsFrom(
  client: PoolClient,
  manifest: Manifest,
  first: string,
  maps: ReadonlyMap<number, VersionRows>,
): string {
  const widths = new Set([...maps.values()].map(({ logged }) => logged));
  const list = (numbers: Iterable<number>) =>
    `ANY (ARRAY[${[...numbers].map(Number).join(', ')}]::integer[])`;
  const { outcome } = manifest;
  // What is not needed is not decoded, which takes longer than everything else.
  const asksEntities =
    trainingSpec(manifest).data.entity !== undefined || outcome.join?.some((key) => key !== ITEM_KEY);
  const entities = asksEntities ? 'entities' : `'{}'::jsonb`;
  const spec = [...maps.values()].some(({ logged }) => logged === 0) ? 'input_spec' : `'[]'::jsonb`;
  return `SELECT prediction_id, at, version, ${entities}, candidates, "rows", features, "columns", ${spec} FROM prediction
    WHERE model = ${client.escapeLiteral(manifest.name)} AND prediction_id >= ${client.escapeLiteral(first)}
      AND version = ${list(maps.keys())} AND "columns" = ${list(widths)} AND ${USABLE}
    ORDER BY prediction_id`;
}

function predictionOf(row: BinaryRow): LoggedPrediction {
  return {
    predictionId: row.uuid(0),
    at: row.timestampMs(1),
    version: row.integer(2),
    entities: row.record(3),
    candidates: row.texts(4),
    rows: row.integer(5),
    features: row.copy(6),
    columns: row.integer(7),
    inputSpec: row.length(8) <= 3 ? [] : (row.json(8) as InputSpec),
    shown: null,
  };
}

/** A set of sequence numbers. */
class Bits {
  #words = new Uint32Array(1024);
  count = 0;

  set(number: number): void {
    const word = Math.floor(number / 32);
    if (word >= this.#words.length) {
      const larger = new Uint32Array(Math.max(word + 1, this.#words.length * 2));
      larger.set(this.#words);
      this.#words = larger;
    }
    const bit = 1 << (number % 32);
    if (((this.#words[word] ?? 0) & bit) !== 0) return;
    this.#words[word] = (this.#words[word] ?? 0) | bit;
    this.count++;
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
