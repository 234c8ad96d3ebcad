import { fuseModel } from '@hotloop/model/fused/fuse-model.ts';
import { ABSENT_TEXT } from '@hotloop/model/fused/fused-column.ts';
import { type FusedInput, rowsInputOf } from '@hotloop/model/fused/fused-input.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import {
  type DistinctTexts,
  NULL_INT8,
  type PlainColumn,
  plainColumn,
} from '@hotloop/platform/duckdb/read-column.ts';
import type { ColumnData, ColumnType } from '@hotloop/platform/duckdb/sql-database.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { type Feeds, openSynchronousSession, tensorOf } from './synchronous-session.ts';

/** Results of the rows of one chunk. Refused rows have accepted 0, score NaN and an empty label. */
export interface ScoredRows {
  readonly score: Float64Array;
  readonly accepted: Uint8Array;
  /** Binary and multiclass. */
  readonly label?: readonly string[];
  /** Multiclass: rows x classes, row major. */
  readonly scores?: Float64Array;
}

/** One loaded version that scores whole columns of raw fields. */
export interface VersionScorer extends Disposable {
  readonly record: VersionRecord;
  readonly manifest: Manifest;
  readonly inputs: readonly FusedInput[];
  /** Parameters of the database function, one for each input, in order. */
  readonly parameters: readonly ColumnType[];
  /** One column for each input, in order; null means absent. */
  answer(columns: readonly ColumnData[], rows: number): ScoredRows;
  /** Only the scores, NaN for a refused row. Labels of many rows would cost as much time as a small network. */
  score(columns: readonly ColumnData[], rows: number): Float64Array;
}

/** A chunk of 2,048 rows then takes some 70 MB for each step between features and network. */
const MOST_COLUMNS = 8192;

/**
 * Loads a version as its fused file. Throws FAILED_PRECONDITION `not_fusable`, also for features whose values do not fit a column
 * of raw fields (lists of history, precomputed columns of several numbers), and for more columns than fit into memory.
 */
export async function openVersionScorer(
  bundles: BundleStore,
  record: VersionRecord,
  threads = 1,
): Promise<VersionScorer> {
  const bundle = await bundles.get(record.bundleSha256);
  const manifest = parseManifest(bundle.manifestYaml);
  const fused = fuseModel(manifest, bundle.onnx, record, { distinctTexts: true });
  const { onnx, inputs, outputs, columns: width } = fused;
  if (width > MOST_COLUMNS)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${record.model} has ${width} columns, too many for whole chunks of rows (at most ${MOST_COLUMNS}); ask the front door`,
      { reason: 'not_fusable' },
    );
  for (const input of inputs)
    if (input.width !== 1)
      throw new HotloopError(
        'FAILED_PRECONDITION',
        `model ${record.model}: ${input.name} is a list of ${input.width} values, which rows of single values do not hold; ask the front door`,
        { reason: 'not_fusable' },
      );
  const session = openSynchronousSession(onnx, threads);
  const run = (columns: readonly ColumnData[], rows: number, wanted: readonly string[]): Feeds => {
    const { feeds, refused } = feedsOf(inputs, columns, rows);
    const out = session.run(feeds, wanted);
    for (const row of refused) {
      (out.score?.data as Float64Array)[row] = Number.NaN;
      if (out.accepted) (out.accepted.data as Uint8Array)[row] = 0;
    }
    return out;
  };
  return {
    record,
    manifest,
    inputs,
    parameters: inputs.map(parameterOf),
    answer(columns, rows) {
      const { score, accepted, label, scores } = run(columns, rows, outputs);
      return {
        score: score?.data as Float64Array,
        accepted: accepted?.data as Uint8Array,
        ...(label ? { label: label.data as unknown as string[] } : {}),
        ...(scores ? { scores: scores.data as Float64Array } : {}),
      };
    },
    score: (columns, rows) => run(columns, rows, ['score']).score?.data as Float64Array,
    [Symbol.dispose]: () => session[Symbol.dispose](),
  };
}

/** Tensors of one chunk, and the rows that lack a required flag, which a boolean tensor cannot express. */
function feedsOf(inputs: readonly FusedInput[], columns: readonly ColumnData[], rows: number) {
  const feeds: Record<string, Feeds[string]> = {};
  const refused = new Set<number>();
  for (const [index, input] of inputs.entries()) {
    const column = columns[index] ?? [];
    if (input.type === 'string') {
      const { texts, rows: at } =
        'texts' in column
          ? column
          : column instanceof Int32Array
            ? textsOfPositions(input, column)
            : distinctTexts(column, rows);
      const given = texts.map((text) => text ?? ABSENT_TEXT);
      feeds[input.name] = tensorOf('string', given, [given.length, 1]);
      feeds[rowsInputOf(input.name)] = tensorOf('int32', at, [rows]);
      continue;
    }
    const values = plainColumn(column);
    const data = arrayOf(input, values, rows);
    if (input.type === 'bool')
      for (let row = 0; row < rows; row++)
        if (values[row] === null || values[row] === NULL_INT8) {
          refused.add(row);
          data[row] = 0;
        }
    feeds[input.name] = tensorOf(input.type, data, [rows, 1]);
  }
  return { feeds, refused };
}

/** With more categories, texts are looked up in the model. SQL would compare each row with all of them. */
const MOST_CATEGORIES = 64;
/** Stands for a text that is not a category. It is unlikely in a request, and would count as unknown anyway. */
const UNKNOWN_TEXT = '\u0000';

function hasPositions({ categories }: FusedInput): boolean {
  return (
    categories !== undefined && categories.length <= MOST_CATEGORIES && !categories.includes(UNKNOWN_TEXT)
  );
}

function parameterOf(input: FusedInput): ColumnType {
  if (input.type !== 'string') return input.type;
  return hasPositions(input) ? 'int32' : 'distinct-texts';
}

/**
 * SQL that converts a column's value to the scorer's parameter. A text with few categories becomes its position, from 1, 0 for any
 * other text and -1 for NULL, which the engine computes without a call per row.
 */
export function parameterExpression(input: FusedInput, value: string): string {
  if (parameterOf(input) !== 'int32') return value;
  const list = `[${(input.categories ?? []).map(sqlText).join(', ')}]::VARCHAR[]`;
  return `CASE WHEN ${value} IS NULL THEN -1 ELSE coalesce(list_position(${list}, ${value}), 0) END`;
}

function textsOfPositions({ categories = [] }: FusedInput, positions: Int32Array): DistinctTexts {
  return { texts: [null, UNKNOWN_TEXT, ...categories], rows: positions.map((position) => position + 1) };
}

function distinctTexts(column: PlainColumn, rows: number): DistinctTexts {
  const places = new Map<string | null, number>();
  const at = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    const text = (column[row] ?? null) as string | null;
    const place = places.get(text) ?? places.size;
    places.set(text, place);
    at[row] = place;
  }
  return { texts: [...places.keys()], rows: at };
}

function arrayOf(
  { type }: FusedInput,
  column: PlainColumn,
  rows: number,
): Uint8Array | Int8Array | Float64Array | Float32Array {
  switch (type) {
    case 'bool':
      if (column instanceof Int8Array) return new Uint8Array(column.buffer, column.byteOffset, rows);
      return Uint8Array.from({ length: rows }, (_, row) => Number(column[row] ?? 0));
    case 'int8':
      return Int8Array.from({ length: rows }, (_, row) => {
        const value = column[row] ?? NULL_INT8;
        return value === NULL_INT8 ? -1 : Number(value);
      });
    case 'float32':
      return column instanceof Float32Array ? column : numbersOf(new Float32Array(rows), column);
    default:
      return column instanceof Float64Array ? column : numbersOf(new Float64Array(rows), column);
  }
}

function numbersOf<A extends Float64Array | Float32Array>(numbers: A, column: PlainColumn): A {
  for (let row = 0; row < numbers.length; row++) numbers[row] = (column[row] as number | null) ?? Number.NaN;
  return numbers;
}
