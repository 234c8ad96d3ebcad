import { FEATURE_STATUS } from '@hotloop/model/features/feature-status.ts';
import type { TextTable } from '@hotloop/model/features/flat-rows.ts';
import { type Columns, columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';

/** The value of one feature for one candidate (or for the request). */
export interface FeatureValue {
  readonly name: string;
  readonly from: string;
  readonly status: string;
  /** The model's input: one number for each column of the feature. */
  readonly values: readonly number[];
  /** The category of one_hot columns, or the text of a text input; null for others. */
  readonly category: string | null;
}

/** The features of a row of the prediction log. */
export interface LoggedFeatures {
  readonly rows: number;
  readonly columns: number;
  /** float32[rows, columns], little-endian. */
  readonly features: Buffer | null;
  readonly statuses: Buffer | null;
}

const MAX_ROWS = 20;
const STATUS_NAMES = new Map<number, string>(
  // A fresh value counts as present.
  Object.entries(FEATURE_STATUS).map(([name, code]) => [
    code,
    name === 'FRESH' ? 'present' : name.toLowerCase(),
  ]),
);

/** Splits rows of features, all inputs concatenated (`flatFeatures`), into features. Pure. Empty for other inputs. */
export function featureRows(
  manifest: Manifest,
  logged: LoggedFeatures,
  texts: Pick<TextTable, 'texts'> = { texts: [] },
): readonly (readonly FeatureValue[])[] {
  const { features, statuses, columns } = logged;
  if (!features || manifest.features.length === 0) return [];
  const layout = columnsOf(manifest);
  if (layout.width !== columns || features.length !== logged.rows * columns * 4) return [];
  const view = new DataView(features.buffer, features.byteOffset, features.byteLength);
  return Array.from({ length: Math.min(logged.rows, MAX_ROWS) }, (_, row) =>
    layout.features.map(({ name, offset, width }, index) => {
      const values = Array.from({ length: width }, (_, column) =>
        view.getFloat32((row * columns + offset + column) * 4, true),
      );
      const feature = manifest.features[index];
      return {
        name,
        from: feature?.from ?? '',
        status: STATUS_NAMES.get(statuses?.[row * layout.features.length + index] ?? 0) ?? 'present',
        values,
        category:
          dtypeOf(layout, offset) === 'string'
            ? (texts.texts[values[0] ?? -1] ?? null)
            : categoryOf(feature?.transform.at(-1), values),
      };
    }),
  );
}

/** Name of the input that the column belongs to. */
function dtypeOf({ inputs }: Columns, offset: number): string | undefined {
  let end = 0;
  return inputs.find(({ width }) => {
    end += width;
    return offset < end;
  })?.dtype;
}

/** The category of a one_hot step; null unless exactly one column is set. */
function categoryOf(last: unknown, values: readonly number[]): string | null {
  if (typeof last !== 'object' || last === null || !('one_hot' in last)) return null;
  const categories = last.one_hot;
  if (!Array.isArray(categories) || categories.length !== values.length) return null;
  const set = values.flatMap((value, index) => (value === 1 ? [index] : []));
  return set.length === 1 ? String(categories[set[0] ?? 0]) : null;
}
