import { randomUUID } from 'node:crypto';
import type { ListRunsReply__Output } from '@hotloop/proto/gen/hotloop/v1/ListRunsReply.ts';
import type { RetrainReply__Output } from '@hotloop/proto/gen/hotloop/v1/RetrainReply.ts';
import type { Run__Output } from '@hotloop/proto/gen/hotloop/v1/Run.ts';
import type { CallContext, CallPatience } from './call-context.ts';
import { callMetadata, serverStream } from './channel.ts';
import { toClientError } from './hotloop-client-error.ts';

/** A training run. `state`: requested, collecting, training, judging, registering, promoting, succeeded, refused, failed. */
export type Run = Run__Output;

export interface RetrainOptions extends CallPatience {
  /** Repeating a request with the same key returns the same run. Made by the client when absent. */
  readonly key?: string;
  readonly reason?: string;
  /** Registers the version but does not promote it. */
  readonly hold?: boolean;
}

export interface RetrainResult {
  readonly runId: string;
  /** False when a run with this key existed. */
  readonly created: boolean;
}

/** States in which a run has ended. */
export const ENDED_STATES: ReadonlySet<string> = new Set(['succeeded', 'refused', 'failed']);

/** Watching lasts as long as training may. */
const WATCH_TIMEOUT_MS = 24 * 3_600_000;

/** Asks for a training run of a model. */
export async function retrain(
  context: CallContext,
  model: string,
  options: RetrainOptions = {},
): Promise<RetrainResult> {
  const { jobs } = context.stubs;
  const request = {
    model,
    key: options.key ?? randomUUID(),
    reason: options.reason ?? '',
    hold: options.hold ?? false,
  };
  const reply = await context.repeatable<RetrainReply__Output>(
    (metadata, call, done) => jobs.Retrain(request, metadata, call, done),
    options,
  );
  return { runId: reply.runId, created: reply.created };
}

/** Training runs. */
export class Runs {
  readonly #context: CallContext;

  constructor(context: CallContext) {
    this.#context = context;
  }

  /** Throws NOT_FOUND for an unknown run. */
  get(runId: string, patience?: CallPatience): Promise<Run> {
    const { jobs } = this.#context.stubs;
    return this.#context.repeatable<Run>(
      (metadata, options, done) => jobs.GetRun({ runId }, metadata, options, done),
      patience,
    );
  }

  /** Newest first. */
  async list(
    model: string,
    options: CallPatience & { readonly limit?: number } = {},
  ): Promise<readonly Run[]> {
    const { jobs } = this.#context.stubs;
    const request = { model, limit: options.limit ?? 20 };
    const reply = await this.#context.repeatable<ListRunsReply__Output>(
      (metadata, call, done) => jobs.ListRuns(request, metadata, call, done),
      options,
    );
    return reply.runs;
  }

  /** The run at every change until it has ended; the last one tells how. Leaving the loop stops watching, not the run. */
  async *watch(runId: string, patience: CallPatience = {}): AsyncGenerator<Run, void, undefined> {
    const { jobs } = this.#context.stubs;
    const deadline = Date.now() + (patience.timeoutMs ?? WATCH_TIMEOUT_MS);
    try {
      const call = jobs.WatchRun({ runId }, callMetadata(this.#context.options), { deadline });
      yield* serverStream(call, patience.signal);
    } catch (error) {
      throw toClientError(error);
    }
  }
}
