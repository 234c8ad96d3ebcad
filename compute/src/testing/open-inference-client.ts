import { FramedClient } from '@hotloop/platform/framed/framed-client.ts';
import { openChannel } from '@hotloop/platform/grpc/client.ts';
import { openServiceClient } from '@hotloop/platform/grpc/service-client.ts';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import type { InferenceServiceClient } from '@hotloop/proto/gen/hotloop/v1/InferenceService.ts';
import type { InferItem } from '@hotloop/proto/gen/hotloop/v1/InferItem.ts';
import type { InferReplyItem__Output } from '@hotloop/proto/gen/hotloop/v1/InferReplyItem.ts';

export interface TestInferenceClient extends AsyncDisposable {
  readonly framed: FramedClient<InferItem, InferReplyItem__Output>;
}

/** A client of compute's framed stream. */
export function openInferenceClient(address: string): TestInferenceClient {
  const channel = openChannel(address);
  const client = openServiceClient<InferenceServiceClient>(
    channel,
    loadDefinitions(['hotloop/v1/inference.proto']),
    'hotloop.v1.InferenceService',
  );
  const framed = new FramedClient<InferItem, InferReplyItem__Output>({
    name: 'compute',
    open: () => client.inferStream(channel.metadata()),
    setTimeoutMs: (item, timeoutMs) => {
      item.timeoutMs = Math.max(1, Math.floor(timeoutMs));
    },
  });
  return {
    framed,
    async [Symbol.asyncDispose]() {
      await framed[Symbol.asyncDispose]();
      client.close();
    },
  };
}
