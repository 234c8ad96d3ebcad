import { cpus, totalmem } from 'node:os';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { SEARCHED, type Searched } from '@hotloop/model/manifest/search-schema.ts';
import { trainingSchema } from '@hotloop/model/manifest/training-schema.ts';
import { trainingSpec } from '@hotloop/model/training/training-settings.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';

/**
 * A manifest with the settings of a run in its training section. Pure. Throws INVALID_ARGUMENT for a setting that
 * is unknown or has no such value.
 */
export function withOverrides(manifest: Manifest, overrides: Readonly<Record<string, unknown>>): Manifest {
  if (Object.keys(overrides).length === 0) return manifest;
  const unknown = Object.keys(overrides).find((name) => !SEARCHED.includes(name as Searched));
  if (unknown !== undefined) throw refusal(`${unknown} is none of ${SEARCHED.join(', ')}`);
  const spec = trainingSpec(manifest);
  const { learning_rate: rate, weight_decay: decay, hidden, activation, kernel, ...plain } = overrides;
  const [[kind, declared]] = Object.entries(spec.optimizer) as [[string, Record<string, unknown>]];
  const optimizer = {
    [kind]: { ...declared, ...given('learning_rate', rate), ...given('weight_decay', decay) },
  };
  const network =
    hidden === undefined && activation === undefined && (kernel === undefined || kernel === 'external')
      ? {}
      : {
          network: {
            ...spec.network,
            ...given('hidden', hidden),
            ...given('activation', activation),
            ...(kernel === 'external' ? {} : given('kind', kernel)),
          },
        };
  if (kernel === 'external' && spec.trainer === undefined)
    throw refusal('kernel external needs training.trainer, the program that trains it');
  // Another kernel is trained here, whatever program the manifest names.
  const trainer = kernel === undefined || kernel === 'external' ? {} : { trainer: undefined };
  const parsed = trainingSchema.safeParse({ ...spec, ...plain, optimizer, ...network, ...trainer });
  if (!parsed.success)
    throw refusal(parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
  return { ...manifest, training: parsed.data };
}

/** Another network cannot begin with the parent's weights. */
export function changesNetwork(overrides: Readonly<Record<string, unknown>>): boolean {
  const { hidden, activation, kernel } = overrides;
  if (kernel === 'external') return false;
  return hidden !== undefined || activation !== undefined || kernel !== undefined;
}

function given(name: string, value: unknown): Record<string, unknown> {
  return value === undefined ? {} : { [name]: value };
}

function refusal(problem: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `the run's settings cannot be used: ${problem}`, {
    reason: 'invalid_overrides',
  });
}

/** What a run is trained with, for its record. */
export function parametersOf(manifest: Manifest): Record<string, unknown> {
  const { optimizer, epochs, batch, seed, patience, trainable, loss, network, trainer } =
    trainingSpec(manifest);
  const [[kind, options]] = Object.entries(optimizer) as [[string, Record<string, unknown>]];
  const chosen = { optimizer: kind, ...options };
  return {
    ...(trainer ? { trainer: trainer.command.join(' '), ...trainer.settings } : chosen),
    ...{ epochs, batch, seed },
    ...(trainable === 'all' ? {} : { trainable }),
    ...given('patience', patience),
    ...given('loss', loss),
    ...(network && !trainer
      ? { kernel: network.kind, hidden: network.hidden, activation: network.activation }
      : {}),
  };
}

/** The machine that a run is trained on. */
export function hardware(): Record<string, unknown> {
  const processors = cpus();
  return {
    processor: processors[0]?.model ?? 'unknown',
    processors: processors.length,
    memory_gb: Number((totalmem() / 2 ** 30).toFixed(1)),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
  };
}
