import type { AttributeValue } from '@hotloop/model/value.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { currentManifest } from '../../outcomes/model-rules.ts';
import { type OutcomeDependencies, recordOutcomes } from '../../outcomes/record-outcomes.ts';

/** What a person may say of a model's predictions. */
export interface LabelChoices {
  readonly task: string;
  /** Names of the classes, in the order of their labels; empty for a number. */
  readonly labels: readonly string[];
}

export interface AnalystLabel {
  readonly model: string;
  readonly predictionId: string;
  /** The candidate that is meant, where there are several. */
  readonly item: string | undefined;
  readonly value: AttributeValue;
  readonly analyst: string;
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

/**
 * Keeps what an analyst says of a prediction: an outcome that goes before those that came by themselves, whatever the window.
 * Throws INVALID_ARGUMENT for a value that does not fit the task.
 */
export async function labelPrediction(
  { model, predictionId, item, value, analyst }: AnalystLabel,
  dependencies: OutcomeDependencies,
): Promise<void> {
  const now = dependencies.clock.now();
  const [verdict] = await recordOutcomes(
    [
      {
        model,
        report: {
          id: `${predictionId}${item === undefined ? '' : `:${item}`}:${now}`,
          source: `analyst:${analyst}`,
          kind: 'label',
          predictionId,
          keys: item === undefined ? {} : { item },
          value,
          attributes: {},
          occurredAt: '',
        },
      },
    ],
    dependencies,
  );
  if (verdict?.error) throw verdict.error;
}
