import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { currentManifest } from '../../outcomes/model-rules.ts';

/** What a person may say of a model's predictions. */
export interface LabelChoices {
  readonly task: string;
  /** Names of the classes, in the order of their labels; empty for a number. */
  readonly labels: readonly string[];
}

/** The classes of a model's live version, or its newest one. Throws NOT_FOUND. */
export function labelChoices(registry: RegistryReader, model: string): LabelChoices {
  const record = registry.current().models.get(model);
  const manifest = record && currentManifest(record);
  if (!manifest)
    throw new HotloopError('NOT_FOUND', `model ${JSON.stringify(model.slice(0, 80))} is not registered`);
  const { task, decision } = manifest;
  const binary = task === 'binary' ? ['negative', 'positive'] : [];
  return { task, labels: decision.labels ?? binary };
}
