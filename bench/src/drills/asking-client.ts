import { setTimeout as delay } from 'node:timers/promises';
import { FramedClient } from '@hotloop/platform/framed/framed-client.ts';
import { openChannel } from '@hotloop/platform/grpc/client.ts';
import { openServiceClient } from '@hotloop/platform/grpc/service-client.ts';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import type { InferenceServiceClient } from '@hotloop/proto/gen/hotloop/v1/InferenceService.ts';
import type { InferItem } from '@hotloop/proto/gen/hotloop/v1/InferItem.ts';
import type { InferReplyItem__Output } from '@hotloop/proto/gen/hotloop/v1/InferReplyItem.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { type BenchModel, benchRows, rowElements } from '../models/bench-models.ts';

const CALLERS = 256;
const TIMEOUT_MS = 2_000;
const RETRY_MS = 50;
const PACE_MS = 10;

/** Requests predictions from compute, each under one id until it is answered, and records the answered ids. */
export class AskingClient implements AsyncDisposable {
  readonly answered = new Set<string>();
  retries = 0;
  readonly #framed: FramedClient<InferItem, InferReplyItem__Output>;
  readonly #service: InferenceServiceClient;
  readonly #ids = randomPredictionIds();
  readonly #model: BenchModel;
  readonly #perSecond: number;

  constructor(address: string, model: BenchModel, perSecond: number) {
    const channel = openChannel(address);
    this.#service = openServiceClient<InferenceServiceClient>(
      channel,
      loadDefinitions(['hotloop/v1/inference.proto']),
      'hotloop.v1.InferenceService',
    );
    this.#framed = new FramedClient({
      name: 'compute',
      open: () => this.#service.inferStream(channel.metadata()),
      setTimeoutMs: (item, timeoutMs) => {
        item.timeoutMs = Math.max(1, Math.floor(timeoutMs));
      },
    });
    this.#model = model;
    this.#perSecond = perSecond;
  }

  /**
   * Resolves when this many have been answered. At most `perSecond` are started; it does not catch up after an
   * interruption.
   */
  async ask(predictions: number, signal: AbortSignal): Promise<void> {
    let begun = 0;
    let allowed = CALLERS;
    let last = performance.now();
    const pacer = setInterval(() => {
      const now = performance.now();
      allowed = Math.min(CALLERS * 4, allowed + ((now - last) / 1000) * this.#perSecond);
      last = now;
    }, PACE_MS);
    const caller = async () => {
      while (begun < predictions) {
        if (allowed < 1) {
          await delay(PACE_MS, undefined, { signal });
          continue;
        }
        allowed--;
        begun++;
        await this.#askOne(signal);
      }
    };
    try {
      await Promise.all(Array.from({ length: CALLERS }, caller));
    } finally {
      clearInterval(pacer);
    }
  }

  async #askOne(signal: AbortSignal): Promise<void> {
    const predictionId = this.#ids.next(Date.now());
    for (;;) {
      signal.throwIfAborted();
      try {
        await this.#framed.call(this.#item(predictionId), { timeoutMs: TIMEOUT_MS });
        this.answered.add(predictionId);
        return;
      } catch {
        this.retries++;
        await delay(RETRY_MS, undefined, { signal });
      }
    }
  }

  #item(predictionId: string): InferItem {
    const columns = rowElements(this.#model);
    return {
      predictionId,
      model: this.#model.name,
      version: 1,
      variant: 'live',
      entities: { user: 'u1' },
      rows: 1,
      columns,
      features: Buffer.from(benchRows(this.#model, 1).buffer),
      statuses: Buffer.alloc(0),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#framed[Symbol.asyncDispose]();
    this.#service.close();
  }
}
