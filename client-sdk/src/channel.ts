import {
  type CallOptions,
  ChannelCredentials,
  type Client,
  type ClientReadableStream,
  type ClientUnaryCall,
  loadPackageDefinition,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { HOTLOOP_FILES, loadDefinitions } from '@hotloop/proto/definitions.ts';
import type { ProtoGrpcType as FeedbackTypes } from '@hotloop/proto/gen/feedback.ts';
import type { ProtoGrpcType as IntakeTypes } from '@hotloop/proto/gen/intake.ts';
import type { ProtoGrpcType as JobTypes } from '@hotloop/proto/gen/jobs.ts';
import type { ProtoGrpcType as PredictionTypes } from '@hotloop/proto/gen/prediction.ts';
import type { ProtoGrpcType as RegistryTypes } from '@hotloop/proto/gen/registry.ts';
import type { ResolvedOptions } from './client-options.ts';
import { HotloopClientError } from './hotloop-client-error.ts';

type Contracts = PredictionTypes & FeedbackTypes & RegistryTypes & JobTypes & IntakeTypes;

/** The five services as grpc-js clients; they share one connection per address. */
export interface Stubs {
  readonly prediction: InstanceType<PredictionTypes['hotloop']['v1']['PredictionService']>;
  readonly intake: InstanceType<IntakeTypes['hotloop']['v1']['IntakeService']>;
  readonly feedback: InstanceType<FeedbackTypes['hotloop']['v1']['FeedbackService']>;
  readonly registry: InstanceType<RegistryTypes['hotloop']['v1']['RegistryService']>;
  readonly jobs: InstanceType<JobTypes['hotloop']['v1']['JobService']>;
}

const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  // A server that is back is found within a second or two, instead of grpc-js's default of up to two minutes.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2000,
  // A connection whose peer has disappeared is detected within three seconds, so that its predictions are retried
  // elsewhere.
  'grpc.keepalive_time_ms': 1_500,
  'grpc.keepalive_timeout_ms': 1_500,
  'grpc.service_config_disable_resolution': 1,
  'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
};

/** Creates the clients; connections open at the first call. */
export function openStubs(options: ResolvedOptions): Stubs {
  const contracts = loadPackageDefinition(loadDefinitions(HOTLOOP_FILES)) as unknown as Contracts;
  const { PredictionService, IntakeService, FeedbackService, RegistryService, JobService } =
    contracts.hotloop.v1;
  const credentials = credentialsOf(options);
  return {
    prediction: new PredictionService(targetOf(options.address), credentials, CHANNEL_OPTIONS),
    intake: new IntakeService(targetOf(options.address), credentials, CHANNEL_OPTIONS),
    feedback: new FeedbackService(options.retrainerAddress, credentials, CHANNEL_OPTIONS),
    registry: new RegistryService(options.retrainerAddress, credentials, CHANNEL_OPTIONS),
    jobs: new JobService(options.retrainerAddress, credentials, CHANNEL_OPTIONS),
  };
}

/** The target in grpc-js syntax for several addresses; a single name may also resolve to several. */
function targetOf(address: string): string {
  return address.includes(',') ? `ipv4:${address}` : address;
}

function credentialsOf({ tls }: ResolvedOptions): ChannelCredentials {
  if (!tls) return ChannelCredentials.createInsecure();
  const buffer = (bytes: Uint8Array | undefined) => (bytes ? Buffer.from(bytes) : null);
  return ChannelCredentials.createSsl(
    buffer(tls.rootCertificates),
    buffer(tls.privateKey),
    buffer(tls.certificate),
  );
}

/** The metadata of every call: authentication. */
export function callMetadata(options: ResolvedOptions): Metadata {
  const metadata = new Metadata();
  if (options.apiKey !== undefined) metadata.set('authorization', `Bearer ${options.apiKey}`);
  return metadata;
}

/** Resolves when the connection to the preprocessor is open. Rejects with UNAVAILABLE after `timeoutMs`. */
export function waitForConnection(client: Client, address: string, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    client.waitForReady(Date.now() + timeoutMs, (error) => {
      if (!error) return resolve();
      const advice =
        'start Hotloop with `hotloop up`, give another address, or check whether the services use TLS (option `tls`, `hotloop --tls-ca`)';
      reject(
        new HotloopClientError('UNAVAILABLE', `nothing answers at ${address}: ${advice}`, { cause: error }),
      );
    });
  });
}

/** One unary call with its deadline; cancelled on abort. Rejects with the gRPC error. */
export function unaryCall<Reply>(
  start: (options: CallOptions, done: (error: ServiceError | null, reply?: Reply) => void) => ClientUnaryCall,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const call = start({ deadline: Date.now() + timeoutMs }, (error, reply) => {
      signal?.removeEventListener('abort', cancel);
      if (error) reject(error);
      else if (reply === undefined)
        reject(new HotloopClientError('INTERNAL', 'the service returned no answer'));
      else resolve(reply);
    });
    const cancel = () => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    if (signal?.aborted) cancel();
  });
}

/** Messages of a server stream, in order; leaving the loop early cancels the call. Throws the gRPC error. */
export async function* serverStream<Message>(
  call: ClientReadableStream<Message>,
  signal?: AbortSignal,
): AsyncGenerator<Message, void, undefined> {
  const cancel = () => call.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  if (signal?.aborted) cancel();
  try {
    for await (const message of call as AsyncIterable<Message>) yield message;
  } finally {
    signal?.removeEventListener('abort', cancel);
    call.cancel();
  }
}
