import { canonicalJson } from '../canonical-json.ts';
import type { Feature } from '../features/feature-schema.ts';
import { columnsOf } from './columns.ts';
import type { Manifest } from './manifest.ts';

/** One column of a model's inputs, with a key: columns with equal keys have the same meaning in two manifests. */
export interface ColumnKey {
  readonly feature: string;
  /** The category of a one_hot column; null for other columns. */
  readonly category: string | null;
  /** The feature's name, its computation, and the value and category of the column. */
  readonly key: string;
}

/**
 * The columns of a model's inputs, one input after another. A key omits settings that do not change the number for a
 * present value: the missing value, the accepted range, and the other categories. So a new category or a new feature
 * does not change the keys of the other columns.
 */
export function columnKeys(manifest: Manifest): ColumnKey[] {
  const { features } = columnsOf(manifest);
  const inOrder = [...features.entries()].sort(([, a], [, b]) => a.offset - b.offset);
  return inOrder.flatMap(([index, { width }]) => {
    const feature = manifest.features[index]!;
    const { categories, definition } = definitionOf(feature);
    return Array.from({ length: width }, (_, column) => {
      const category = categories === null ? null : String(categories[column % categories.length]);
      const position = categories === null ? column : Math.floor(column / categories.length);
      const key = canonicalJson([feature.name, definition, position, category]);
      return { feature: feature.name, category, key };
    });
  });
}

interface Definition {
  readonly categories: readonly unknown[] | null;
  readonly definition: unknown;
}

function definitionOf(feature: Feature): Definition {
  const { name: _name, missing: _missing, range: _range, transform, ...rest } = feature;
  const last = transform.at(-1);
  if (typeof last !== 'object' || !('one_hot' in last))
    return { categories: null, definition: { ...rest, transform } };
  return {
    categories: last.one_hot,
    definition: { ...rest, transform: [...transform.slice(0, -1), 'one_hot'] },
  };
}

export interface ColumnDifference {
  /** Columns that only the newer manifest has, in readable form: `month = Apr`, or `price`. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Features of the same name that are computed differently now. */
  readonly changed: readonly string[];
  /** The same columns in another order. */
  readonly reordered: boolean;
}

/** The difference between the columns of two manifests; null when they are the same, in the same order. */
export function columnDifference(older: Manifest, newer: Manifest): ColumnDifference | null {
  const [before, after] = [columnKeys(older), columnKeys(newer)];
  if (before.length === after.length && before.every(({ key }, index) => key === after[index]?.key))
    return null;
  const [known, wanted] = [new Set(before.map(({ key }) => key)), new Set(after.map(({ key }) => key))];
  const isAdded = (column: ColumnKey) => !known.has(column.key);
  const isRemoved = (column: ColumnKey) => !wanted.has(column.key);
  const keptFeatures = (columns: readonly ColumnKey[], other: ReadonlySet<string>) =>
    new Set(columns.filter(({ key }) => other.has(key)).map(({ feature }) => feature));
  const still = keptFeatures(after, known);
  const names = (columns: readonly ColumnKey[]) => new Set(columns.map(({ feature }) => feature));
  const [namesBefore, namesAfter] = [names(before), names(after)];
  const changed = [...namesAfter].filter((name) => namesBefore.has(name) && !still.has(name));
  const describe = (columns: readonly ColumnKey[]) => [
    ...new Set(
      columns
        .filter(({ feature }) => !changed.includes(feature))
        .map(({ feature, category }) => (category === null ? feature : `${feature} = ${category}`)),
    ),
  ];
  return {
    added: describe(after.filter(isAdded)),
    removed: describe(before.filter(isRemoved)),
    changed,
    reordered: !after.some(isAdded) && !before.some(isRemoved),
  };
}

/** A readable line: `added month = Apr; removed price`. */
export function describeDifference({ added, removed, changed, reordered }: ColumnDifference): string {
  const part = (what: string, names: readonly string[]) =>
    names.length === 0 ? [] : [`${what} ${names.slice(0, 10).join(', ')}${names.length > 10 ? ' …' : ''}`];
  return [
    ...part('added', added),
    ...part('removed', removed),
    ...part('computed differently', changed),
    ...(reordered ? ['in another order'] : []),
  ].join('; ');
}
