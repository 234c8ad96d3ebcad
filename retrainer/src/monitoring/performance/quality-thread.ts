import { Worker } from 'node:worker_threads';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Signal } from '../signals/signal.ts';
import type { EvaluateQuality, QualityQuestion } from './evaluate-quality.ts';

const MAIN = new URL('./quality-thread-main.ts', import.meta.url);
const TIMEOUT_MS = 120_000;
const MEMORY_MB = 512;

export interface QualityThreadData {
  readonly databaseUrl: string;
  readonly question: QualityQuestion;
}

export type QualityAnswer = { readonly signals: readonly Signal[] } | { readonly failed: string };

/**
 * Computes quality in a thread that ends afterwards, with its own connection and memory limit: joining and scoring
 * fifty thousand rows would delay everything else that the retrainer serves. Rejects UNAVAILABLE.
 */
export function qualityInThread(databaseUrl: string): EvaluateQuality {
  return async (question, signal) => {
    const data: QualityThreadData = { databaseUrl, question };
    const worker = new Worker(MAIN, {
      name: 'quality',
      workerData: data,
      resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB },
    });
    const answered = Promise.withResolvers<QualityAnswer>();
    worker.once('message', (answer: QualityAnswer) => answered.resolve(answer));
    worker.once('error', (cause: Error) => answered.resolve({ failed: cause.message }));
    worker.once('exit', () => answered.resolve({ failed: 'the thread ended' }));
    const stop = () => answered.resolve({ failed: 'it was stopped' });
    signal.addEventListener('abort', stop, { once: true });
    const timer = setTimeout(() => answered.resolve({ failed: 'it took too long' }), TIMEOUT_MS);
    try {
      const answer = await answered.promise;
      if ('failed' in answer)
        throw new HotloopError('UNAVAILABLE', `quality could not be worked out: ${answer.failed}`);
      return answer.signals;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      await worker.terminate();
    }
  };
}
