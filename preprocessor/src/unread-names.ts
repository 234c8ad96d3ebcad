import { parseExcludeSource } from '@hotloop/model/features/exclude-source.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { PredictionRequest } from './prediction.ts';

const MOST = 100;

/**
 * What a request names and this version does not use, such as a misspelled field of an optional feature: paths like
 * `request.prise`, at most 100. A prediction accepts these, because the next version may use them. Empty for a pipeline,
 * whose steps read the request too.
 */
export function unreadNames(manifest: Manifest, request: PredictionRequest): string[] {
  if (manifest.pipeline !== undefined) return [];
  const used = usedNames(manifest);
  const named = new Set([
    ...Object.keys(request.entities).map((name) => `entities.${name}`),
    ...Object.keys(request.request).map((name) => `request.${name}`),
    ...request.candidates.flatMap(({ attributes }) => Object.keys(attributes).map((name) => `item.${name}`)),
  ]);
  const combine = manifest.decision.combine ?? '';
  return [...named].filter((path) => !used.has(path) && !combine.includes(path)).slice(0, MOST);
}

function usedNames({ features, decision, outcome }: Manifest): ReadonlySet<string> {
  const used = new Set<string>();
  for (const { from, by } of features) {
    const [kind, name = ''] = from.split('.');
    if (kind === 'history' || kind === 'entity') used.add(`entities.${name}`);
    else used.add(`${kind}.${name}`);
    if (by !== undefined) used.add(`entities.${by}`);
  }
  for (const key of outcome?.join ?? []) used.add(`entities.${key}`);
  const excluded = parseExcludeSource(decision.rank?.exclude ?? '');
  if (excluded !== undefined) used.add(`entities.${excluded.entity}`);
  return used;
}
