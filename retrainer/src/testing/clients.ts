import { type Client, type ClientReadableStream, Metadata } from '@grpc/grpc-js';
import { openChannel, withDeadline } from '@hotloop/platform/grpc/client.ts';
import { openServiceClient } from '@hotloop/platform/grpc/service-client.ts';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import type { FeedbackServiceClient } from '@hotloop/proto/gen/hotloop/v1/FeedbackService.ts';
import type { JobServiceClient } from '@hotloop/proto/gen/hotloop/v1/JobService.ts';
import type { PushHeader } from '@hotloop/proto/gen/hotloop/v1/PushHeader.ts';
import type { PushModelReply__Output } from '@hotloop/proto/gen/hotloop/v1/PushModelReply.ts';
import type { RegistryServiceClient } from '@hotloop/proto/gen/hotloop/v1/RegistryService.ts';
import { RETRAINER_CONTRACTS } from '../control/server.ts';
import { digestOf } from './fixture.ts';

/** Clients of the retrainer's three services: `using client = retrainerClients(address)`. */
export interface RetrainerClients extends Disposable {
  readonly registry: RegistryServiceClient;
  readonly feedback: FeedbackServiceClient;
  readonly jobs: JobServiceClient;
  /** Of one call, with the key where there is one. */
  metadata(): Metadata;
}

export function retrainerClients(address: string, apiKey?: string): RetrainerClients {
  const channel = openChannel(address, apiKey === undefined ? {} : { apiKey });
  const definitions = loadDefinitions([...RETRAINER_CONTRACTS]);
  const opened: Client[] = [];
  const open = <T extends Client>(name: string): T => {
    const client = openServiceClient<T>(channel, definitions, `hotloop.v1.${name}`);
    opened.push(client);
    return client;
  };
  return {
    registry: open('RegistryService'),
    feedback: open('FeedbackService'),
    jobs: open('JobService'),
    metadata: () => channel.metadata(),
    [Symbol.dispose]: () => {
      for (const client of opened) client.close();
    },
  };
}

/** One unary call as a promise. */
export function reply<T>(call: (done: (error: Error | null, value?: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, value) => (error ? reject(error) : resolve(value as T)));
  });
}

/** All messages of a stream. */
export async function all<T>(stream: ClientReadableStream<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const value of stream) values.push(value as T);
  return values;
}

/** Uploads a file in small chunks, with what the header says changed at will. */
export function upload(
  registry: RegistryServiceClient,
  onnx: Uint8Array,
  header: PushHeader,
  metadata = new Metadata(),
): Promise<PushModelReply__Output> {
  return reply((done) => {
    const call = registry.PushModel(metadata, withDeadline(10_000), done);
    // A refused upload is cut off while it is still being written.
    call.on('error', () => undefined);
    call.write({ header: { onnxSha256: digestOf(onnx), onnxBytes: onnx.length, ...header } });
    for (let start = 0; start < onnx.length; start += 100)
      call.write({ chunk: onnx.subarray(start, start + 100) });
    call.end();
  });
}
