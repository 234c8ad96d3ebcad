import { countFunction } from './functions/count.ts';
import { distinctFunction } from './functions/distinct.ts';
import type { HistoryFunctionKind } from './functions/function-kind.ts';
import { lastFunction } from './functions/last.ts';
import { maxFunction } from './functions/max.ts';
import { meanFunction } from './functions/mean.ts';
import { minFunction } from './functions/min.ts';
import { secondsSinceFunction } from './functions/seconds-since.ts';
import { sumFunction } from './functions/sum.ts';
import { parseSourcePath } from './source-path.ts';
import { crossSource } from './sources/cross.ts';
import { entitySource } from './sources/entity.ts';
import { historySource } from './sources/history.ts';
import { itemSource } from './sources/item.ts';
import { ratioSource } from './sources/ratio.ts';
import { referenceSource } from './sources/reference.ts';
import { requestSource } from './sources/request.ts';
import type { ParsedSource, SourceKind } from './sources/source-kind.ts';
import { abs } from './transforms/abs.ts';
import { bucketize } from './transforms/bucketize.ts';
import { clip } from './transforms/clip.ts';
import { hash } from './transforms/hash.ts';
import { id } from './transforms/id.ts';
import { image } from './transforms/image.ts';
import { log1p } from './transforms/log1p.ts';
import { multiHot } from './transforms/multi-hot.ts';
import { oneHot } from './transforms/one-hot.ts';
import { scale } from './transforms/scale.ts';
import { standardize } from './transforms/standardize.ts';
import { textTransform } from './transforms/text.ts';
import { time } from './transforms/time.ts';
import type { TransformKind } from './transforms/transform-kind.ts';

/**
 * All kinds of features. A new source, history function or transform is one new file in its folder and one line here;
 * the schema, the plan, the messages and the documentation follow from it.
 */
export const SOURCES: readonly SourceKind[] = [
  requestSource,
  itemSource,
  entitySource,
  historySource,
  referenceSource,
  crossSource,
  ratioSource,
];

export const HISTORY_FUNCTIONS: readonly HistoryFunctionKind[] = [
  countFunction,
  sumFunction,
  meanFunction,
  minFunction,
  maxFunction,
  distinctFunction,
  lastFunction,
  secondsSinceFunction,
];

export const TRANSFORMS = [
  log1p,
  abs,
  standardize,
  scale,
  clip,
  bucketize,
  oneHot,
  multiHot,
  hash,
  textTransform,
  time,
  id,
  image,
] as const satisfies readonly TransformKind[];

const sources = new Map(SOURCES.map((kind) => [kind.name, kind]));
const functions = new Map(HISTORY_FUNCTIONS.map((kind) => [kind.name, kind]));
const transforms = new Map<string, TransformKind>(TRANSFORMS.map((kind) => [kind.name, kind]));

/** Parses the `from` of a feature. Throws RangeError that says how it may be written. */
export function parseSource(from: string): { kind: SourceKind; source: ParsedSource } {
  const [head, ...rest] = parseSourcePath(from) ?? [];
  const kind = sources.get(head?.name ?? '');
  if (head === undefined || kind === undefined) throw new RangeError(`must be ${SOURCE_FORMS}`);
  if (head.arguments === undefined) return { kind, source: kind.parse(rest, functions) };
  return { kind, source: kind.parse([head, ...rest], functions) };
}

/** How a `from` may be written, for messages. */
export const SOURCE_FORMS = SOURCES.flatMap(({ forms }) => forms).join(', ');

/** The kind of one entry of `transform`. Throws RangeError for an unknown one. */
export function transformKindOf(entry: unknown): TransformKind {
  const name = transformName(entry);
  const kind = transforms.get(name);
  if (kind === undefined) throw new RangeError(`${name} is not a transform`);
  return kind;
}

/** The word or the key that names a transform; empty for anything that cannot be one. */
export function transformName(entry: unknown): string {
  if (typeof entry === 'string') return entry;
  return typeof entry === 'object' && entry !== null ? (Object.keys(entry)[0] ?? '') : '';
}

export function isTransformName(name: string): boolean {
  return transforms.has(name);
}
