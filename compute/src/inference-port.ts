import type { InferencePort, InferItem, InferOutput } from '@hotloop/platform/ports/inference.ts';
import type { Tracing } from '@hotloop/platform/telemetry/tracing.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Infer } from './infer.ts';

/** The direct adapter, for services in the same process. The gRPC adapter uses it too. */
export interface DirectInference extends InferencePort {
  /** Like `infer`, with a callback that says whether the caller has stopped waiting, instead of an AbortSignal. */
  inferWhile(item: InferItem, isOver: () => boolean): Promise<InferOutput>;
  /** Rejects new items with UNAVAILABLE from now on; items in flight continue. */
  stop(): void;
}

const NEVER = () => false;

export function directInference(infer: Infer, tracing: Tracing): DirectInference {
  let stopped = false;

  async function traced(item: InferItem, isOver: () => boolean): Promise<InferOutput> {
    const { predictionId, sampled, model, version } = item;
    const attributes = { model, version, rows: item.rows };
    const span = tracing.span('compute infer', { predictionId, sampled, kind: 'server', attributes });
    try {
      const output = await infer.rows(item, isOver);
      span.set('queue_us', output.queueUs);
      span.set('run_us', output.runUs);
      return output;
    } catch (error) {
      span.fail(error);
      throw error;
    } finally {
      span.end();
    }
  }
  async function inferWhile(item: InferItem, isOver: () => boolean): Promise<InferOutput> {
    if (stopped)
      throw new HotloopError('UNAVAILABLE', 'the service is stopping', { reason: 'shutting_down' });
    return item.sampled ? traced(item, isOver) : infer.rows(item, isOver);
  }
  return {
    inferWhile,
    infer: (item, signal) => inferWhile(item, signal ? () => signal.aborted : NEVER),
    stop() {
      stopped = true;
    },
  };
}
