import { fromFailure, fromStatus } from '@hotloop/platform/framed/status.ts';
import { attributesToMessage } from '@hotloop/platform/grpc/attributes.ts';
import { openChannel, withDeadline } from '@hotloop/platform/grpc/client.ts';
import { openServiceClient } from '@hotloop/platform/grpc/service-client.ts';
import type { FeedbackItem, FeedbackPort, FeedbackVerdict } from '@hotloop/platform/ports/feedback.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { FeedbackServiceClient } from '@hotloop/proto/gen/hotloop/v1/FeedbackService.ts';
import type { Outcome } from '@hotloop/proto/gen/hotloop/v1/Outcome.ts';
import type { OutcomeResult__Output } from '@hotloop/proto/gen/hotloop/v1/OutcomeResult.ts';
import type { RecordOutcomesReply__Output } from '@hotloop/proto/gen/hotloop/v1/RecordOutcomesReply.ts';
import { loadServiceDefinitions } from '@hotloop/proto/service-definitions.ts';
import type { PeerOptions } from './peer.ts';

/** The retrainer's FeedbackService. Disposal ends the connection. */
export class GrpcFeedback implements FeedbackPort, AsyncDisposable {
  readonly #client: FeedbackServiceClient;
  readonly #channel: ReturnType<typeof openChannel>;

  constructor(options: PeerOptions) {
    this.#channel = openChannel(options.address, options.channel);
    this.#client = openServiceClient<FeedbackServiceClient>(
      this.#channel,
      loadServiceDefinitions(['hotloop/v1/feedback.proto']),
      'hotloop.v1.FeedbackService',
    );
  }

  async recordOutcomes(
    items: readonly FeedbackItem[],
    timeoutMs: number,
  ): Promise<readonly FeedbackVerdict[]> {
    const { promise, resolve, reject } = Promise.withResolvers<RecordOutcomesReply__Output>();
    this.#client.RecordOutcomes(
      { outcomes: items.map(toMessage) },
      this.#channel.metadata(),
      withDeadline(timeoutMs),
      (error, reply) => {
        if (error || !reply) reject(error ? fromStatus(error) : new HotloopError('INTERNAL', 'no reply'));
        else resolve(reply);
      },
    );
    return (await promise).results.map(verdictOf);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
  }
}

function toMessage({ value, keys, attributes, ...item }: FeedbackItem): Outcome {
  return {
    ...item,
    keys,
    attributes: attributesToMessage(attributes),
    ...(value === null ? {} : { value: attributesToMessage({ value }).value ?? null }),
  };
}

function verdictOf({ id, status, failure }: OutcomeResult__Output): FeedbackVerdict {
  if (failure) return { id, status: 'refused', error: fromFailure(failure) };
  return { id, status: status === 'duplicate' ? 'duplicate' : 'accepted', error: null };
}
