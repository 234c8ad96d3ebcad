import type { Feature } from './feature-schema.ts';

/** How the events of one (entity, event type) become values. */
export type HistoryFunction =
  | { readonly kind: 'count' }
  | { readonly kind: 'seconds_since' }
  | { readonly kind: 'sum' | 'mean'; readonly field: string }
  | { readonly kind: 'last'; readonly count: number; readonly field: string };

/** `from` of a feature, taken apart. */
export type FeatureSource =
  | { readonly kind: 'request' | 'item'; readonly field: string }
  | { readonly kind: 'entity'; readonly entity: string }
  | {
      readonly kind: 'history';
      readonly entity: string;
      readonly event: string;
      readonly function: HistoryFunction;
    };

const HISTORY = /^history\.(\w+)\.(\w+)\.(?:(count|seconds_since)|(sum|mean)\((\w+)\)|last\((\d+)\)\.(\w+))$/;
const EXCLUDE = /^history\.(\w+)\.(\w+)\.(\w+)$/;

/** Takes a `from` apart that the manifest's schema accepted. Throws RangeError for any other text. */
export function parseFeatureSource(from: Feature['from']): FeatureSource {
  const match = HISTORY.exec(from);
  if (match) {
    const [, entity = '', event = '', plain, fold, foldField = '', count, lastField = ''] = match;
    return { kind: 'history', entity, event, function: historyFunction() };

    function historyFunction(): HistoryFunction {
      if (plain === 'count' || plain === 'seconds_since') return { kind: plain };
      if (fold === 'sum' || fold === 'mean') return { kind: fold, field: foldField };
      return { kind: 'last', count: Number(count), field: lastField };
    }
  }
  const dot = from.indexOf('.');
  const kind = from.slice(0, dot);
  const field = from.slice(dot + 1);
  if (kind === 'request' || kind === 'item') return { kind, field };
  if (kind === 'entity') return { kind, entity: field };
  throw new RangeError(`not a source of a feature: ${from}`);
}

/** The history whose values decision.rank.exclude names: history.ENTITY.EVENT.FIELD. */
export interface ExcludeSource {
  readonly entity: string;
  readonly event: string;
  readonly field: string;
}

/** Undefined when the text is not history.ENTITY.EVENT.FIELD. */
export function parseExcludeSource(text: string): ExcludeSource | undefined {
  const match = EXCLUDE.exec(text);
  if (!match) return undefined;
  const [, entity = '', event = '', field = ''] = match;
  return { entity, event, field };
}
