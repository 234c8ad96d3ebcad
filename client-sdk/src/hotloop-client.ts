import type { PredictBatchReply__Output } from '@hotloop/proto/gen/hotloop/v1/PredictBatchReply.ts';
import type { PredictReply__Output } from '@hotloop/proto/gen/hotloop/v1/PredictReply.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { CallContext, type CallPatience } from './call-context.ts';
import { callMetadata, unaryCall, waitForConnection } from './channel.ts';
import { type ClientOptions, resolveOptions } from './client-options.ts';
import { type EventInput, type EventsResult, sendEvents } from './events.ts';
import { aboutPrediction, HotloopClientError } from './hotloop-client-error.ts';
import { Models } from './models.ts';
import { type OutcomeInput, type OutcomeResult, recordOutcomes } from './outcomes.ts';
import { decodePrediction, encodePrediction, type PredictInput, type Prediction } from './prediction.ts';
import { failureOf, PredictionStream } from './prediction-stream.ts';
import { type RetrainOptions, type RetrainResult, Runs, retrain } from './runs.ts';
import { type LoopState, loopState, type Story, trace } from './story.ts';
import { Tables } from './tables.ts';
import { withRetries } from './with-retries.ts';

/** One answer of a batch; a failed item does not affect the others. */
export type BatchResult =
  | { readonly ok: true; readonly prediction: Prediction }
  | { readonly ok: false; readonly error: HotloopClientError };

const CLOSE_TIMEOUT_MS = 5000;

/**
 * The client for applications. Create one and share it, because it multiplexes. Connections open at the first call.
 *
 * ```ts
 * await using hotloop = new HotloopClient();
 * const { label, score, predictionId } = await hotloop.predict('churn', { user: 'u1', request: { visits: 3 } });
 * await hotloop.recordOutcome({ model: 'churn', predictionId, value: true });
 * ```
 *
 * Every call has a deadline. UNAVAILABLE is retried within it, with the same prediction id, so that a prediction is
 * logged once however often it is sent. Every failure is a HotloopClientError.
 */
export class HotloopClient implements AsyncDisposable {
  readonly models: Models;
  readonly runs: Runs;
  readonly tables: Tables;
  readonly #context: CallContext;
  readonly #stream: PredictionStream;
  readonly #ids = randomPredictionIds();
  #closing: Promise<void> | undefined;

  constructor(options: ClientOptions = {}) {
    const resolved = resolveOptions(options);
    this.#context = new CallContext(resolved);
    this.#stream = new PredictionStream(
      (waitForReady) => {
        const metadata = callMetadata(resolved);
        metadata.setOptions({ waitForReady });
        return this.#context.stubs.prediction.PredictStream(metadata);
      },
      { maxInFlight: resolved.maxInFlight, maxWaiting: resolved.maxWaiting, streams: resolved.streams },
    );
    this.models = new Models(this.#context);
    this.runs = new Runs(this.#context);
    this.tables = new Tables(this.#context);
  }

  /** One prediction. */
  async predict(model: string, input: PredictInput = {}, patience: CallPatience = {}): Promise<Prediction> {
    const predictionId = input.predictionId ?? this.#ids.next(Date.now());
    try {
      const request = encodePrediction(model, input, predictionId);
      const { options, budget } = this.#context;
      const reply = await withRetries<PredictReply__Output>(
        (remainingMs) =>
          options.transport === 'unary'
            ? this.#predictUnary(request, remainingMs, patience.signal)
            : this.#stream.predict(request, remainingMs, patience.signal),
        {
          timeoutMs: patience.timeoutMs ?? options.timeoutMs,
          retry: options.retry,
          budget,
          signal: patience.signal,
          address: options.address,
        },
      );
      return decodePrediction(reply);
    } catch (error) {
      throw aboutPrediction(error, predictionId);
    }
  }

  /** Many predictions in one call, answered in the order of the requests. */
  async predictBatch(
    model: string,
    inputs: readonly PredictInput[],
    patience: CallPatience = {},
  ): Promise<readonly BatchResult[]> {
    const ids = inputs.map((input) => input.predictionId ?? this.#ids.next(Date.now()));
    const requests = inputs.map((input, index) => encodePrediction(model, input, ids[index]!));
    const { options, stubs } = this.#context;
    const reply = await this.#context.repeatable<PredictBatchReply__Output>(
      (metadata, callOptions, done) =>
        stubs.prediction.PredictBatch({ requests }, metadata, callOptions, done),
      patience,
      options.address,
    );
    return ids.map((id, index): BatchResult => {
      const result = reply.results[index];
      if (result?.reply) return { ok: true, prediction: decodePrediction(result.reply) };
      return { ok: false, error: aboutPrediction(failureOf(result?.failure), id) };
    });
  }

  /** Records the outcome of a prediction. Throws when the service rejects it. */
  async recordOutcome(outcome: OutcomeInput, patience?: CallPatience): Promise<OutcomeResult> {
    const [result] = await recordOutcomes(this.#context, [outcome], patience);
    if (!result) throw new HotloopClientError('INTERNAL', 'the service returned no result for the outcome');
    if (result.error) throw result.error;
    return result;
  }

  /** Records many outcomes in one call; rejected ones are in the results. */
  recordOutcomes(
    outcomes: readonly OutcomeInput[],
    patience?: CallPatience,
  ): Promise<readonly OutcomeResult[]> {
    return recordOutcomes(this.#context, outcomes, patience);
  }

  /** Sends events without Kafka; rejected ones are in the result. */
  sendEvents(
    events: Iterable<EventInput> | AsyncIterable<EventInput>,
    patience?: CallPatience,
  ): Promise<EventsResult> {
    return sendEvents(this.#context, events, patience);
  }

  /** Requests a training run; follow it with `runs.watch`. */
  retrain(model: string, options?: RetrainOptions): Promise<RetrainResult> {
    return retrain(this.#context, model, options);
  }

  /** The state of a model's loop. */
  loop(model: string, patience?: CallPatience): Promise<LoopState> {
    return loopState(this.#context, model, patience);
  }

  /** The trace of one prediction: request, output, decision, outcome, dataset, run, gate, promotion. */
  trace(predictionId: string, patience?: CallPatience): Promise<Story> {
    return trace(this.#context, predictionId, patience);
  }

  /** Resolves when the preprocessor answers. Rejects with UNAVAILABLE, saying what to do. */
  ready(timeoutMs: number = this.#context.options.timeoutMs): Promise<void> {
    return waitForConnection(this.#context.stubs.prediction, this.#context.options.address, timeoutMs);
  }

  /** Waits for calls in flight (at most 5 s), then closes the connections. Closing twice is closing once. */
  close(): Promise<void> {
    this.#closing ??= this.#stream.close(CLOSE_TIMEOUT_MS).finally(() => this.#context.close());
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #predictUnary(
    request: ReturnType<typeof encodePrediction>,
    remainingMs: number,
    signal?: AbortSignal,
  ): Promise<PredictReply__Output> {
    const { prediction } = this.#context.stubs;
    const { options } = this.#context;
    return unaryCall<PredictReply__Output>(
      (callOptions, done) =>
        prediction.Predict(
          { ...request, timeoutMs: Math.round(remainingMs) },
          callMetadata(options),
          callOptions,
          done,
        ),
      remainingMs,
      signal,
    );
  }
}

/** A client with an open connection. Rejects with UNAVAILABLE when nothing answers in time. */
export async function connect(options: ClientOptions = {}): Promise<HotloopClient> {
  const client = new HotloopClient(options);
  try {
    await client.ready();
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}
