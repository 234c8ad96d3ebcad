import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { SqlOutcomes } from '@hotloop/model/manifest/outcome-schema.ts';
import { type LabelRule, labelRule } from '@hotloop/model/outcome/label-rule.ts';
import type { ModelRecord, RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';

export interface ModelRule {
  readonly manifest: Manifest;
  readonly rule: LabelRule;
}

/** A model's current manifest: the live version's, else the newest version's. */
export function currentManifest(model: ModelRecord): Manifest | undefined {
  const newest = Math.max(...model.versions.keys());
  return model.versions.get(model.liveVersion ?? newest)?.manifest;
}

/** The rules for reading each registered model's outcomes. Expressions are compiled once per manifest. */
export interface ModelRules {
  /** Throws NOT_FOUND for a model that is not registered. */
  of(model: string): ModelRule;
  /** The names of the registered models. */
  models(): readonly string[];
  /** Models that read outcomes from this topic. */
  ofTopic(topic: string): readonly ModelRule[];
  /** All outcome topics, sorted. */
  topics(): readonly string[];
  /** Models whose outcomes are read by SQL. */
  sqlSources(): readonly (readonly [ModelRule, SqlOutcomes])[];
}

const KAFKA = 'kafka:';

export function modelRules(registry: RegistryReader): ModelRules {
  const compiled = new WeakMap<Manifest, LabelRule>();
  const ruleOf = (manifest: Manifest): ModelRule => {
    const rule = compiled.get(manifest) ?? labelRule(manifest);
    compiled.set(manifest, rule);
    return { manifest, rule };
  };
  const manifests = () =>
    [...registry.current().models.values()].flatMap((model) => currentManifest(model) ?? []);
  return {
    of(name) {
      const model = registry.current().models.get(name);
      const manifest = model && currentManifest(model);
      if (!manifest)
        throw new HotloopError('NOT_FOUND', `model ${JSON.stringify(name.slice(0, 80))} is not registered`);
      return ruleOf(manifest);
    },
    models: () => [...registry.current().models.keys()],
    ofTopic: (topic) =>
      manifests()
        .filter((manifest) => manifest.outcome.from === KAFKA + topic)
        .map(ruleOf),
    topics() {
      const from = manifests().map((manifest) => manifest.outcome.from);
      const topics = from
        .filter((place) => typeof place === 'string')
        .filter((place) => place.startsWith(KAFKA))
        .map((place) => place.slice(KAFKA.length));
      return [...new Set(topics)].sort();
    },
    sqlSources: () =>
      manifests().flatMap((manifest) => {
        const { from } = manifest.outcome;
        return typeof from === 'string' ? [] : [[ruleOf(manifest), from.sql] as const];
      }),
  };
}
