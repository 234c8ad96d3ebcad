import type { FusedInput } from '@hotloop/model/fused/fuse-features.ts';
import { fuseModel } from '@hotloop/model/fused/fuse-model.ts';
import { ABSENT_TEXT } from '@hotloop/model/fused/fused-column.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import type { ColumnData } from '@hotloop/platform/duckdb/sql-database.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { type Feeds, openSynchronousSession, tensorOf } from './synchronous-session.ts';

/** What the rows of one chunk are answered with. Refused rows have accepted 0, score NaN and an empty label. */
export interface ScoredRows {
  readonly score: Float64Array;
  readonly accepted: Uint8Array;
  /** Binary and multiclass. */
  readonly label?: readonly string[];
  /** Multiclass: rows x classes, row major. */
  readonly scores?: Float64Array;
}

/** One version, loaded to answer whole columns of raw fields. */
export interface VersionScorer extends Disposable {
  readonly record: VersionRecord;
  readonly manifest: Manifest;
  readonly inputs: readonly FusedInput[];
  /** One column for each input, in their order; null is absent. */
  score(columns: readonly ColumnData[], rows: number): ScoredRows;
}

/**
 * Loads a version as its fused file. Throws FAILED_PRECONDITION `not_fusable`, also for features whose values a column of
 * raw fields cannot hold (lists of history, ready columns of several numbers).
 */
export async function openVersionScorer(
  bundles: BundleStore,
  record: VersionRecord,
  threads = 1,
): Promise<VersionScorer> {
  const bundle = await bundles.get(record.bundleSha256);
  const manifest = parseManifest(bundle.manifestYaml);
  const fused = fuseModel(manifest, bundle.onnx, record);
  for (const input of fused.inputs)
    if (input.width !== 1)
      throw new HotloopError(
        'FAILED_PRECONDITION',
        `model ${record.model}: ${input.name} is a list of ${input.width} values, which rows of single values do not hold; ask the front door`,
        { reason: 'not_fusable' },
      );
  const session = openSynchronousSession(fused.onnx, threads);
  return {
    record,
    manifest,
    inputs: fused.inputs,
    score(columns, rows) {
      const feeds: Record<string, Feeds[string]> = {};
      const refused = new Set<number>();
      for (const [index, input] of fused.inputs.entries()) {
        const column = columns[index] ?? [];
        if (input.type === 'bool')
          for (let row = 0; row < rows; row++) if (column[row] === null) refused.add(row);
        feeds[input.name] = tensorOf(input.type, arrayOf(input, column, rows), [rows, 1]);
      }
      const out = session.run(feeds, fused.outputs);
      const score = out.score?.data as Float64Array;
      const accepted = out.accepted?.data as Uint8Array;
      for (const row of refused) {
        accepted[row] = 0;
        score[row] = Number.NaN;
      }
      return {
        score,
        accepted,
        ...(out.label ? { label: out.label.data as unknown as string[] } : {}),
        ...(out.scores ? { scores: out.scores.data as Float64Array } : {}),
      };
    },
    [Symbol.dispose]: () => session[Symbol.dispose](),
  };
}

function arrayOf(input: FusedInput, column: ColumnData, rows: number): unknown {
  switch (input.type) {
    case 'string': {
      const texts = new Array<string>(rows);
      for (let row = 0; row < rows; row++) texts[row] = (column[row] as string | null) ?? ABSENT_TEXT;
      return texts;
    }
    case 'bool':
      return Uint8Array.from({ length: rows }, (_, row) => Number(column[row] ?? 0));
    case 'int8':
      return Int8Array.from({ length: rows }, (_, row) => Number(column[row] ?? -1));
    case 'float64': {
      if (column instanceof Float64Array) return column;
      const numbers = new Float64Array(rows);
      for (let row = 0; row < rows; row++) numbers[row] = (column[row] as number | null) ?? Number.NaN;
      return numbers;
    }
    case 'float32': {
      if (column instanceof Float32Array) return column;
      const numbers = new Float32Array(rows);
      for (let row = 0; row < rows; row++) numbers[row] = (column[row] as number | null) ?? Number.NaN;
      return numbers;
    }
  }
}
