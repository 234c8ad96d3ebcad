import type { Cancellation } from '@hotloop/platform/framed/cancellation.ts';
import { FramedClient } from '@hotloop/platform/framed/framed-client.ts';
import { openChannel } from '@hotloop/platform/grpc/client.ts';
import { openServiceClient } from '@hotloop/platform/grpc/service-client.ts';
import { tensorFromMessage, tensorToMessage } from '@hotloop/platform/grpc/tensors.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { InferencePort, InferItem, InferOutput } from '@hotloop/platform/ports/inference.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { InferenceServiceClient } from '@hotloop/proto/gen/hotloop/v1/InferenceService.ts';
import type { InferItem as ItemMessage } from '@hotloop/proto/gen/hotloop/v1/InferItem.ts';
import type { InferReplyItem__Output } from '@hotloop/proto/gen/hotloop/v1/InferReplyItem.ts';
import { loadServiceDefinitions } from '@hotloop/proto/service-definitions.ts';
import type { PeerOptions } from './peer.ts';

/** Compute over a framed stream. Disposal fails calls in flight with UNAVAILABLE and ends the connection. */
export class GrpcInference implements InferencePort, AsyncDisposable {
  readonly #client: InferenceServiceClient;
  readonly #framed: FramedClient<ItemMessage, InferReplyItem__Output>;

  constructor(options: PeerOptions, log: Log) {
    const channel = openChannel(options.address, options.channel);
    const definitions = loadServiceDefinitions(['hotloop/v1/inference.proto']);
    const client = openServiceClient<InferenceServiceClient>(
      channel,
      definitions,
      'hotloop.v1.InferenceService',
    );
    this.#client = client;
    this.#framed = new FramedClient({
      name: 'compute',
      open: () => client.inferStream(channel.metadata()),
      sizeOf,
      setTimeoutMs: (item, timeoutMs) => {
        item.timeoutMs = Math.max(1, Math.floor(timeoutMs));
      },
      ...(options.streams === undefined ? {} : { streams: options.streams }),
      ...(options.maxInFlight === undefined ? {} : { maxInFlight: options.maxInFlight }),
      log,
    });
  }

  /** Resolves when a stream is open. */
  ready(timeoutMs: number): Promise<void> {
    return this.#framed.ready(timeoutMs);
  }

  async infer(item: InferItem, signal?: Cancellation): Promise<InferOutput> {
    const reply = await this.#framed.call(toMessage(item), {
      timeoutMs: item.timeoutMs,
      ...(signal ? { signal } : {}),
    });
    const output = reply.output;
    if (!output) throw new HotloopError('INTERNAL', 'compute answered without an output');
    return {
      outputs: output.outputs.map(tensorFromMessage),
      queueUs: output.queueUs,
      runUs: output.runUs,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#framed[Symbol.asyncDispose]();
    this.#client.close();
  }
}

function sizeOf({ features, statuses, tensors }: ItemMessage): number {
  let bytes = 256 + (features?.length ?? 0) + (statuses?.length ?? 0);
  for (const { contents } of tensors ?? []) bytes += 64 + (contents?.length ?? 0);
  return bytes;
}

function toMessage(item: InferItem): ItemMessage {
  return {
    predictionId: item.predictionId,
    model: item.model,
    version: item.version,
    variant: item.variant,
    caller: item.caller,
    entities: item.entities,
    candidates: [...item.candidates],
    rows: item.rows,
    columns: item.columns,
    features: item.features,
    statuses: item.statuses,
    timeoutMs: item.timeoutMs,
    degraded: [...item.degraded],
    sampled: item.sampled,
    priority: item.priority,
    tensors: item.tensors?.map(tensorToMessage) ?? [],
    atMs: item.atMs ?? 0,
    propensity: item.propensity ?? 1,
  };
}
