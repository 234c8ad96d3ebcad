import {
  loadPackageDefinition,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceDefinition,
  type status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { HOTLOOP_FILES, loadDefinitions } from '@hotloop/proto/definitions.ts';
import type { Failure } from '@hotloop/proto/gen/hotloop/v1/Failure.ts';
import type { PredictFrame__Output } from '@hotloop/proto/gen/hotloop/v1/PredictFrame.ts';
import type { PredictReply } from '@hotloop/proto/gen/hotloop/v1/PredictReply.ts';
import type { PredictReplyFrame } from '@hotloop/proto/gen/hotloop/v1/PredictReplyFrame.ts';
import type { PredictRequest__Output } from '@hotloop/proto/gen/hotloop/v1/PredictRequest.ts';

type Stream = ServerDuplexStream<PredictFrame__Output, PredictReplyFrame>;

/** Handlers as grpc-js calls them; the type of the call depends on the method, which only the test knows. */
export type FakeHandlers = Readonly<
  Record<string, (call: never, done: (error: unknown, reply?: unknown) => void) => void>
>;

/** How one prediction is answered: a reply, a failure, or never. */
export type Answer = { readonly reply: PredictReply } | { readonly failure: Failure } | 'never';

export interface FakeOptions {
  /** 0 lets the system choose. */
  readonly port?: number;
  readonly answer?: (request: PredictRequest__Output) => Answer | Promise<Answer>;
  /** Handlers of the other services, by service and method, as grpc-js accepts them. */
  readonly others?: Readonly<Record<string, FakeHandlers>>;
}

/** A simulated preprocessor on a real grpc-js server, with a record of its requests. */
export interface FakeFrontDoor extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** Every received request, in order: unary, batch and stream alike. */
  readonly requests: PredictRequest__Output[];
  /** The number of items in each frame of a stream. */
  readonly frames: number[];
  /** Sequences that callers cancelled. */
  readonly cancelled: number[];
  /** Value of the authorization header of each call. */
  readonly authorizations: string[];
  /** Number of streams opened so far. */
  streams(): number;
  /** Breaks every open stream with a status, like a dying server. */
  breakStreams(code: status): void;
  /** Asks the client of every open stream to open another one. */
  drainStreams(): void;
  /** Stops at once, closing all connections. */
  kill(): void;
}

/** Answers with a score that depends on the request, so that mixed-up answers are detected. */
export function echoScore(request: PredictRequest__Output): Answer {
  const score = request.request.value?.number ?? 0;
  const { predictionId, model } = request;
  return { reply: { predictionId, model, version: 1, variant: 'live', decision: { label: 'yes', score } } };
}

export async function startFakeFrontDoor(options: FakeOptions = {}): Promise<FakeFrontDoor> {
  const answer = options.answer ?? echoScore;
  const requests: PredictRequest__Output[] = [];
  const frames: number[] = [];
  const cancelled: number[] = [];
  const authorizations: string[] = [];
  const open = new Set<Stream>();
  let streams = 0;
  const see = (request: PredictRequest__Output) => {
    requests.push(request);
    return answer(request);
  };
  const note = (metadata: Metadata) => authorizations.push(String(metadata.get('authorization')[0] ?? ''));

  const prediction: FakeHandlers = {
    Predict: (call: { request: PredictRequest__Output; metadata: Metadata }, done) => {
      note(call.metadata);
      void Promise.resolve(see(call.request)).then((made) => {
        if (made === 'never') return;
        if ('reply' in made) return done(null, made.reply);
        const metadata = new Metadata();
        if (made.failure.reason) metadata.set('hotloop-reason', made.failure.reason);
        done({ code: made.failure.code, details: made.failure.message, metadata });
      });
    },
    PredictBatch: (call: { request: { requests: PredictRequest__Output[] } }, done) => {
      void Promise.all(call.request.requests.map(see)).then((made) => done(null, { results: made }));
    },
    PredictStream: (stream: Stream) => {
      streams += 1;
      open.add(stream);
      // As in the preprocessor: the client writes only after its call was accepted.
      stream.sendMetadata(new Metadata());
      note(stream.metadata);
      let unanswered = 0;
      let halfClosed = false;
      const endWhenDone = () => {
        if (!halfClosed || unanswered > 0) return;
        open.delete(stream);
        stream.end();
      };
      stream.on('data', (frame: PredictFrame__Output) => {
        unanswered += frame.items.length;
        frames.push(frame.items.length);
        cancelled.push(...frame.cancelled);
        for (const { sequence, request } of frame.items)
          void Promise.resolve(see(request!)).then((made) => {
            if (made === 'never') return;
            if (open.has(stream)) stream.write({ items: [{ sequence, ...made }] });
            unanswered -= 1;
            endWhenDone();
          });
      });
      stream.on('end', () => {
        halfClosed = true;
        endWhenDone();
      });
      stream.on('error', () => open.delete(stream));
      stream.on('cancelled', () => open.delete(stream));
    },
  };

  const server = new Server();
  const contracts = loadPackageDefinition(loadDefinitions(HOTLOOP_FILES)) as unknown as {
    hotloop: { v1: Record<string, { service: ServiceDefinition }> };
  };
  const services: Record<string, FakeHandlers> = {
    PredictionService: prediction,
    ...options.others,
  };
  for (const [name, handlers] of Object.entries(services))
    server.addService(
      contracts.hotloop.v1[name]!.service,
      handlers as unknown as UntypedServiceImplementation,
    );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${options.port ?? 0}`, ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    address: `127.0.0.1:${port}`,
    port,
    requests,
    frames,
    cancelled,
    authorizations,
    streams: () => streams,
    breakStreams(code) {
      for (const stream of open) {
        open.delete(stream);
        stream.emit('error', { code, details: 'broken by the test' });
      }
    },
    drainStreams() {
      for (const stream of open) stream.write({ draining: true });
    },
    kill: () => server.forceShutdown(),
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}
