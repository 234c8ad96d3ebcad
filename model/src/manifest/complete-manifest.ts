import { HotloopError } from '@hotloop/proto/errors.ts';
import { type Document, isMap, isScalar, isSeq, parseDocument, type YAMLMap } from 'yaml';
import { z } from 'zod';
import { featureSchema } from '../features/feature-schema.ts';
import { describeIssues } from './manifest-issues.ts';

/** features.yaml: features that several models share, by name. */
export interface SharedFeatures {
  readonly version: number;
  readonly yaml: string;
}

const sharedSchema = z.strictObject({
  features: z
    .array(featureSchema.omit({ shared: true }))
    .min(1)
    .max(4096),
});

/** Parses features.yaml. Throws INVALID_ARGUMENT naming every invalid field. Returns the names. */
export function parseSharedFeatures(yaml: string): string[] {
  const document = parseDocument(yaml, { schema: 'core', uniqueKeys: true });
  const problem = document.errors[0];
  if (problem) throw invalid('features.yaml', problem.message.split('\n')[0] ?? '');
  const value: unknown = document.toJS({ maxAliasCount: 100 });
  const result = sharedSchema.safeParse(value);
  if (!result.success) throw invalid('features.yaml', describeIssues(result.error.issues, value).join('; '));
  const names = result.data.features.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw invalid('features.yaml', `features.${twice} is there twice`);
  return names;
}

/**
 * The text of a model.yaml as stored in a bundle, whose meaning must not depend on anything outside. Each `use: NAME`
 * is replaced by the shared feature of that name, with the version of features.yaml. A bare `hash: BUCKETS` becomes
 * `{buckets, function: murmur3}` (in stored bundles the bare form means FNV-1a). Other fields next to `use`, such as
 * `input` and `missing`, override those of the shared feature. Comments are kept; a file with neither is returned
 * unchanged.
 */
export function completeManifest(yaml: string, shared: SharedFeatures | undefined): string {
  const document = parseDocument(yaml, { schema: 'core', uniqueKeys: true });
  // A file with syntax errors is rejected when it is parsed, with a better message.
  if (document.errors.length > 0) return yaml;
  const features = document.get('features', true);
  if (!isSeq(features)) return yaml;
  let isChanged = false;
  for (const [index, feature] of features.items.entries()) {
    if (!isMap(feature)) continue;
    if (feature.has('use')) {
      features.items[index] = used(document, feature, index, shared);
      isChanged = true;
    }
    const completed = features.items[index];
    if (isMap(completed) && completeHash(document, completed)) isChanged = true;
  }
  return isChanged ? document.toString({ lineWidth: 0, flowCollectionPadding: false }) : yaml;
}

function used(
  document: Document,
  feature: YAMLMap,
  index: number,
  shared: SharedFeatures | undefined,
): unknown {
  const name = feature.get('use');
  const where = `features.${index}.use`;
  if (typeof name !== 'string') throw invalid('model.yaml', `${where}: must be the name of a shared feature`);
  if (shared === undefined)
    throw invalid(
      'model.yaml',
      `${where}: the registry has no features.yaml; send one with \`hotloop features push features.yaml\``,
    );
  const all = (parseDocument(shared.yaml, { schema: 'core' }).toJS() as { features: { name: string }[] })
    .features;
  const definition = all.find((candidate) => candidate.name === name);
  if (definition === undefined)
    throw invalid(
      'model.yaml',
      `${where}: features.yaml version ${shared.version} has no feature ${name}; it has ${all
        .map((one) => one.name)
        .join(', ')
        .slice(0, 400)}`,
    );
  const own = feature.toJS(document) as Record<string, unknown>;
  delete own.use;
  return document.createNode(
    { ...definition, ...own, shared: { name, version: shared.version } },
    { flow: true },
  );
}

function completeHash(document: Document, feature: YAMLMap): boolean {
  const transforms = feature.get('transform', true);
  if (!isSeq(transforms)) return false;
  let isChanged = false;
  for (const entry of transforms.items) {
    if (!isMap(entry)) continue;
    const buckets = entry.get('hash', true);
    if (!isScalar(buckets) || typeof buckets.value !== 'number') continue;
    entry.set('hash', document.createNode({ buckets: buckets.value, function: 'murmur3' }, { flow: true }));
    isChanged = true;
  }
  return isChanged;
}

function invalid(file: string, problem: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `${file}: ${problem}`, { reason: 'invalid_manifest' });
}
