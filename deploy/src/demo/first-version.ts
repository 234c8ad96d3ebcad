import { eventList } from '@hotloop/model/features/event-list.ts';
import { compileFeaturePlan, type FeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { trainableTask } from '@hotloop/model/training/trainable-task.ts';
import { initialModel } from '@hotloop/retrainer/training/initial-model.ts';
import { trainInProcess } from '@hotloop/retrainer/training/trainer-process.ts';
import type { TrainingDataset } from '@hotloop/retrainer/training/training-dataset.ts';
import type { FirstTraining, KnownSession } from './story.ts';

const TIMEOUT_MS = 600_000;

/**
 * Version 1 of a model: trained by the project's own trainer, on rows from the same feature plan that will serve it.
 */
export async function firstVersion(
  manifest: Manifest,
  first: FirstTraining,
  sessions: readonly KnownSession[],
  signal: AbortSignal,
): Promise<Uint8Array> {
  const task = trainableTask(manifest);
  const plan = compileFeaturePlan(manifest);
  const modelBytes = initialModel({
    features: plan.columns,
    task,
    hidden: first.hidden,
    ...(first.classes === undefined ? {} : { classes: first.classes }),
    seed: first.settings.seed,
  });
  const dataset = datasetOf(plan, sessions);
  const trained = await trainInProcess(
    { modelBytes, dataset, settings: first.settings },
    { timeoutMs: TIMEOUT_MS, signal },
  );
  return trained.modelBytes;
}

/** The plan's rows for the sessions, [rows, columns] in their order, with their labels. */
export function datasetOf(plan: FeaturePlan, sessions: readonly KnownSession[]): TrainingDataset {
  const nowMs = Date.now();
  const parts: Float32Array[] = [];
  const labels: number[] = [];
  for (const { input, past, labels: own } of sessions) {
    const history = plan.reads(input, nowMs).map((read) =>
      eventList(
        past
          .filter(
            (event) =>
              event.type === read.event &&
              event.entity[read.entity] === read.entityId &&
              nowMs - event.agoMs >= read.sinceMs,
          )
          .toSorted((a, b) => a.agoMs - b.agoMs)
          .slice(0, read.limit)
          .map((event) => ({ id: event.id, atMs: nowMs - event.agoMs, fields: event.fields })),
      ),
    );
    const rows = plan.run(input, history, nowMs);
    if (rows.rows !== own.length)
      throw new RangeError(`a session has ${rows.rows} rows and ${own.length} labels`);
    parts.push(new Float32Array(rows.features.buffer, rows.features.byteOffset, rows.rows * rows.columns));
    labels.push(...own);
  }
  const features = new Float32Array(labels.length * plan.columns);
  let offset = 0;
  for (const part of parts) {
    features.set(part, offset);
    offset += part.length;
  }
  return {
    rows: labels.length,
    columns: plan.columns,
    features,
    labels: Float32Array.from(labels),
    weights: new Float32Array(labels.length).fill(1),
  };
}
