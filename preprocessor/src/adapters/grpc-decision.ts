import type { Decision } from '@hotloop/model/decision/decision.ts';
import type { Cancellation } from '@hotloop/platform/framed/cancellation.ts';
import { FramedClient } from '@hotloop/platform/framed/framed-client.ts';
import { attributesToMessage, candidateToMessage } from '@hotloop/platform/grpc/attributes.ts';
import { openChannel } from '@hotloop/platform/grpc/client.ts';
import { openServiceClient } from '@hotloop/platform/grpc/service-client.ts';
import { tensorToMessage } from '@hotloop/platform/grpc/tensors.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { DecideItem, DecisionPort } from '@hotloop/platform/ports/decision.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { DecideItem as ItemMessage } from '@hotloop/proto/gen/hotloop/v1/DecideItem.ts';
import type { DecideReplyItem__Output } from '@hotloop/proto/gen/hotloop/v1/DecideReplyItem.ts';
import type { DecisionServiceClient } from '@hotloop/proto/gen/hotloop/v1/DecisionService.ts';
import { loadServiceDefinitions } from '@hotloop/proto/service-definitions.ts';
import type { PeerOptions } from './peer.ts';

/** The postprocessor over a framed stream. Disposal fails calls in flight with UNAVAILABLE and ends the connection. */
export class GrpcDecision implements DecisionPort, AsyncDisposable {
  readonly #client: DecisionServiceClient;
  readonly #framed: FramedClient<ItemMessage, DecideReplyItem__Output>;

  constructor(options: PeerOptions, log: Log) {
    const channel = openChannel(options.address, options.channel);
    const definitions = loadServiceDefinitions(['hotloop/v1/decision.proto']);
    const client = openServiceClient<DecisionServiceClient>(
      channel,
      definitions,
      'hotloop.v1.DecisionService',
    );
    this.#client = client;
    this.#framed = new FramedClient({
      name: 'postprocessor',
      open: () => client.decideStream(channel.metadata()),
      sizeOf: ({ request }) =>
        256 +
        (request?.candidates?.length ?? 0) * 64 +
        (request?.outputs ?? []).reduce((sum, { contents }) => sum + (contents?.length ?? 0), 0),
      setTimeoutMs: ({ request }, timeoutMs) => {
        if (request) request.timeoutMs = Math.max(1, Math.floor(timeoutMs));
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

  async decide(item: DecideItem, signal?: Cancellation): Promise<Decision> {
    const reply = await this.#framed.call(toMessage(item), {
      timeoutMs: item.timeoutMs,
      ...(signal ? { signal } : {}),
    });
    if (!reply.decision) throw new HotloopError('INTERNAL', 'the postprocessor answered without a decision');
    return reply.decision;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#framed[Symbol.asyncDispose]();
    this.#client.close();
  }
}

function toMessage(item: DecideItem): ItemMessage {
  return {
    request: {
      predictionId: item.predictionId,
      model: item.model,
      version: item.version,
      variant: item.variant,
      outputs: item.outputs.map(tensorToMessage),
      candidates: item.candidates.map(candidateToMessage),
      request: attributesToMessage(item.request),
      entities: item.entities,
      excluded: [...item.excluded],
      timeoutMs: item.timeoutMs,
      sampled: item.sampled,
    },
  };
}
