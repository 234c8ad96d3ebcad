import type { FeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { InferencePort } from '@hotloop/platform/ports/inference.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { shadowIdOf } from '@hotloop/proto/shadow-id.ts';
import type { HistoryGate } from './history/history-gate.ts';
import type { ImageDecoder } from './images/decode-images.ts';
import type { PredictionRequest } from './prediction.ts';
import type { ReferenceReader } from './tables/reference-reader.ts';

export interface CopyDependencies {
  /** As for predictions. */
  readonly references?: ReferenceReader;
  readonly history: HistoryGate;
  readonly images: ImageDecoder;
  readonly inference: InferencePort;
  readonly planOf: (record: VersionRecord) => FeaturePlan;
  readonly log: Log;
}

export interface CopyOptions {
  /** Maximum number of copies in flight; more are dropped, so a shadow that hangs only affects copies. */
  readonly maxInFlight: number;
  readonly timeoutMs: number;
}

export const COPY_DEFAULTS: CopyOptions = { maxInFlight: 256, timeoutMs: 2_000 };

/** Sends copies of answered requests to shadow versions. */
export interface Copies {
  /** Returns at once and never throws. */
  send(request: PredictionRequest, to: readonly VersionRecord[], about: CopiedPrediction): void;
  readonly sent: number;
  /** Number of copies dropped because the limit was reached. */
  readonly dropped: number;
}

export interface CopiedPrediction {
  readonly predictionId: string;
  readonly caller: string;
  /** Time of the prediction: features are computed as of that time. */
  readonly nowMs: number;
}

/**
 * A copy starts in a later turn of the event loop, after the primary's answer was sent, and nothing waits for it.
 * Each version computes its own features. Failures are logged by compute and ignored here.
 */
export function startCopies(dependencies: CopyDependencies, options: CopyOptions = COPY_DEFAULTS): Copies {
  const { history, references, images, inference, planOf, log } = dependencies;
  const never = new AbortController().signal;
  let inFlight = 0;
  let sent = 0;
  let dropped = 0;

  async function copy(request: PredictionRequest, record: VersionRecord, about: CopiedPrediction) {
    const { model, version } = record;
    try {
      const plan = planOf(record);
      const reads = plan.needsHistory ? plan.reads(request, about.nowMs) : [];
      const lookups = plan.needsReference ? plan.references(request) : [];
      const [events, found, decoded] = await Promise.all([
        reads.length === 0 ? [] : history.read(reads, options.timeoutMs, never),
        lookups.length === 0 ? [] : (references?.read(lookups, options.timeoutMs) ?? null),
        images.decode(plan, request),
      ]);
      const degraded = [...(events === null ? ['history'] : []), ...(found === null ? ['reference'] : [])];
      await inference.infer(
        {
          ...{ predictionId: shadowIdOf(about.predictionId, version), model, version, variant: 'shadow' },
          ...{ caller: about.caller, entities: request.entities, priority: 0, timeoutMs: options.timeoutMs },
          ...{ sampled: false, degraded, atMs: about.nowMs },
          candidates: request.candidates.map(({ id }) => id),
          ...plan.run(decoded, events, about.nowMs, found),
        },
        never,
      );
    } catch (error) {
      log.debug({ model, version, predictionId: about.predictionId, error }, 'a copy was not answered');
    } finally {
      inFlight--;
    }
  }

  return {
    send(request, to, about) {
      for (const record of to) {
        if (inFlight >= options.maxInFlight) {
          dropped++;
          continue;
        }
        inFlight++;
        sent++;
        setImmediate(() => void copy(request, record, about));
      }
    },
    get sent() {
      return sent;
    },
    get dropped() {
      return dropped;
    },
  };
}
