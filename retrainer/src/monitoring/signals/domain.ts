import type { DomainDifference } from '@hotloop/model/statistics/domain-classifier.ts';
import type { Signal } from './signal.ts';

/** Smallest AUC that counts as drift, however many rows there are. */
const LEAST_AUC = 0.6;
/** How many standard errors the AUC is above one half. */
const LEAST_ERRORS = 4;

/** Drift of all features together, with the most informative features; null if the two cannot be told apart. */
export function domainSignal(
  { auc, error, columns, rows }: DomainDifference,
  names: readonly string[],
  against: string,
): Signal | null {
  if (auc < LEAST_AUC || auc - 0.5 < LEAST_ERRORS * error) return null;
  const reasons = sharesByName(columns, names)
    .slice(0, 3)
    .map(({ name, share }) => `${name} ${(share * 100).toFixed(0)} %`)
    .join(', ');
  return {
    ...{ kind: 'domain_drift', feature: null, source: 'domain', unit: 'auc', threshold: LEAST_AUC },
    ...{ effect: auc, low: auc - 1.96 * error, high: Math.min(1, auc + 1.96 * error), p: null, n: rows },
    severity: auc >= 0.8 ? 'critical' : 'warning',
    message: `rows can be told from those of ${against} with an AUC of ${auc.toFixed(2)}, mostly by ${reasons}`,
  };
}

/** What the classifier goes by, the most first: columns of one name together. */
export function sharesByName(
  columns: DomainDifference['columns'],
  names: readonly string[],
): { readonly name: string; readonly share: number }[] {
  const shares = new Map<string, number>();
  for (const { column, share } of columns) {
    const name = names[column] ?? String(column);
    shares.set(name, (shares.get(name) ?? 0) + share);
  }
  return [...shares].map(([name, share]) => ({ name, share })).sort((a, b) => b.share - a.share);
}
