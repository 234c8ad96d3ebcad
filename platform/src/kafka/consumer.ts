import { setTimeout as wait } from 'node:timers/promises';
import { type ErrorCode, HotloopError } from '@hotloop/proto/errors.ts';
import type { Consumer, EachBatchPayload, KafkaMessage } from 'kafkajs';
import type { Log } from '../log.ts';
import { answerWithin, connectKafka, type KafkaAddress } from './connection.ts';
import {
  type ParsedMessage,
  type RawMessage,
  rawMessage,
  type SortedMessages,
  sortMessages,
} from './message.ts';

export type { ParsedMessage, RawMessage } from './message.ts';

export interface ConsumerOptions<T> extends KafkaAddress {
  readonly groupId: string;
  readonly topics: readonly string[];
  /** Parses one message. When it throws, the message becomes a dead letter; the others continue. */
  parse(raw: RawMessage): T;
  /**
   * Processes messages of one partition, in order. When it resolves, they are committed and never delivered to the
   * group again. When it rejects, the same messages are delivered again after a growing wait, until it resolves; so
   * it must be idempotent (at-least-once delivery). A HotloopError that waiting does not fix (such as INTERNAL, not
   * UNAVAILABLE) is retried three times; then the batch is halved until the message that causes it is found, which
   * becomes a dead letter. The signal fires when the partition is lost or stopping takes too long.
   */
  handle(messages: readonly ParsedMessage<T>[], signal: AbortSignal): Promise<void>;
  /** Stores a dead letter with its bytes. A rejection is retried like that of `handle`. */
  keepDeadLetter(raw: RawMessage, error: HotloopError, signal: AbortSignal): Promise<void>;
  /** Where a group starts that has never committed; default true. */
  readonly fromBeginning?: boolean;
  /** Maximum number of messages per call of `handle`; default 500. */
  readonly maxBatch?: number;
  /** Called after each batch with the number of messages of a partition that are not yet processed. */
  readonly onLag?: (topic: string, partition: number, messages: number) => void;
  /** Time after which a dead member loses its partitions; default 10 s. Brokers usually allow 6 s to 30 minutes. */
  readonly sessionTimeoutMs?: number;
}

export interface EventConsumer extends AsyncDisposable {
  /** Resolves when partitions are assigned; rejects UNAVAILABLE after the timeout. */
  joined(timeoutMs: number): Promise<void>;
  /** Waits for the running batch, commits, and leaves the group; at the deadline the batch is abandoned. Runs once. */
  stop(deadlineMs: number): Promise<void>;
}

/** Codes of temporary failures. Any other error is retried a few times, and then blamed on the message. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'UNAVAILABLE',
  'ABORTED',
  'CANCELLED',
  'DEADLINE_EXCEEDED',
  'RESOURCE_EXHAUSTED',
]);
const REFUSALS = 3;

/** The result of a step: done, given up because the partition was lost or the time is over, or a final error. */
type StepResult = 'done' | 'given up' | HotloopError;

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5000;
const DISPOSE_MS = 5000;

/**
 * Reads topics as a member of a consumer group, with at-least-once delivery. Returns at once; it connects and
 * reconnects by itself until it is stopped, so that a service starts while Kafka is down. The signal also stops it.
 * While `handle` fails, the consumer waits inside its batch and keeps its place in the group: all partitions of a
 * consumer share one handler.
 */
export async function startConsumer<T>(
  options: ConsumerOptions<T>,
  signal?: AbortSignal,
): Promise<EventConsumer> {
  const consumer = new RunningConsumer(options);
  if (signal?.aborted) void consumer.stop(DISPOSE_MS);
  else signal?.addEventListener('abort', () => void consumer.stop(DISPOSE_MS), { once: true });
  return consumer;
}

class RunningConsumer<T> implements EventConsumer {
  readonly #options: ConsumerOptions<T>;
  readonly #log: Log;
  readonly #consumer: Consumer;
  readonly #heartbeatMs: number;
  readonly #stopping = new AbortController();
  /** Fires when stopping has taken too long. */
  readonly #leaving = new AbortController();
  readonly #joined = Promise.withResolvers<void>();
  readonly #running: Promise<void>;
  #stopped: Promise<void> | undefined;

  constructor(options: ConsumerOptions<T>) {
    this.#options = options;
    this.#log = options.log.child({ groupId: options.groupId });
    const sessionTimeout = options.sessionTimeoutMs ?? 10_000;
    this.#heartbeatMs = Math.min(3000, sessionTimeout / 3);
    this.#consumer = connectKafka({ ...options, log: this.#log }).consumer({
      groupId: options.groupId,
      sessionTimeout,
      rebalanceTimeout: Math.max(sessionTimeout, 30_000),
      heartbeatInterval: this.#heartbeatMs,
      allowAutoTopicCreation: true,
      minBytes: 1,
      maxWaitTimeInMs: 250,
      // Otherwise a crash that the library considers final would silently end the consumer.
      retry: { restartOnFailure: async () => !this.#stopping.signal.aborted },
    });
    this.#consumer.on('consumer.group_join', () => this.#joined.resolve());
    this.#running = this.#run();
  }

  async joined(timeoutMs: number): Promise<void> {
    try {
      await answerWithin(this.#joined.promise, timeoutMs, 'joining the consumer group');
    } catch (cause) {
      throw new HotloopError('UNAVAILABLE', `group ${this.#options.groupId} was not joined in time`, {
        cause,
      });
    }
  }

  stop(deadlineMs: number): Promise<void> {
    this.#stopped ??= this.#stop(deadlineMs);
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(DISPOSE_MS);
  }

  async #stop(deadlineMs: number): Promise<void> {
    this.#stopping.abort();
    // Disconnecting waits for the running batch.
    const ended = this.#running.then(() => this.#consumer.disconnect());
    try {
      await answerWithin(ended, deadlineMs, 'stopping the consumer');
    } catch (error) {
      this.#log.warn({ error }, 'the consumer did not stop in time');
      this.#leaving.abort(new DOMException('the consumer was stopped', 'AbortError'));
    }
  }

  /** Retries until the library's own run loop has started. */
  async #run(): Promise<void> {
    for (let attempt = 0; !this.#stopping.signal.aborted; attempt++) {
      try {
        await this.#consumer.connect();
        await this.#consumer.subscribe({
          topics: [...this.#options.topics],
          fromBeginning: this.#options.fromBeginning ?? true,
        });
        await this.#consumer.run({
          autoCommit: false,
          eachBatchAutoResolve: false,
          eachBatch: (payload) => this.#takeBatch(payload),
        });
        return;
      } catch (error) {
        if (attempt === 0) this.#log.warn({ error }, 'Kafka cannot be reached; trying again');
        await this.#backOff(attempt);
      }
    }
  }

  async #takeBatch(payload: EachBatchPayload): Promise<void> {
    const { topic, partition, messages } = payload.batch;
    const size = this.#options.maxBatch ?? 500;
    const sorted = (from: number) =>
      sortMessages(
        messages.slice(from, from + size).map((message) => rawMessage(topic, partition, message)),
        this.#options.parse,
      );
    let [next, committing] = [sorted(0), Promise.resolve()];
    for (let from = 0; from < messages.length; from += size) {
      // The next messages are parsed while these wait for a store, and are handed over while these are committed.
      const taking = this.#takeIn(next, payload);
      if (from + size < messages.length) next = sorted(from + size);
      const taken = await taking;
      await committing;
      if (!taken) return;
      const last = messages[Math.min(from + size, messages.length) - 1] as KafkaMessage;
      const offset = BigInt(last.offset) + 1n;
      payload.resolveOffset(last.offset);
      // Not consumer.commitOffsets, which silently does nothing once stopping has begun.
      const partitions = [{ partition, offset: String(offset) }];
      committing = payload.commitOffsetsIfNecessary({ topics: [{ topic, partitions }] });
      // It is awaited, and its error thrown, when the next messages are processed.
      committing.catch(() => undefined);
      this.#options.onLag?.(topic, partition, Number(BigInt(payload.batch.highWatermark) - offset));
      await payload.heartbeat();
    }
    await committing;
  }

  /**
   * Returns false when it was given up before all messages were processed; then nothing is committed, and they are
   * delivered again.
   */
  async #takeIn({ readable, unreadable }: SortedMessages<T>, payload: EachBatchPayload): Promise<boolean> {
    for (const { raw, error } of unreadable) {
      if (!(await this.#keepAside(raw, error, payload))) return false;
    }
    return readable.length === 0 || this.#handOver(readable, payload);
  }

  async #keepAside(raw: RawMessage, error: HotloopError, payload: EachBatchPayload): Promise<boolean> {
    const result = await this.#untilDone(
      (signal) => this.#options.keepDeadLetter(raw, error, signal),
      payload,
      Number.POSITIVE_INFINITY,
    );
    if (result !== 'done') return false;
    this.#log.warn({ topic: raw.topic, offset: String(raw.offset), error }, 'a message became a dead letter');
    return true;
  }

  /** Passes messages to the handler, without the ones that it will never accept. */
  async #handOver(messages: readonly ParsedMessage<T>[], payload: EachBatchPayload): Promise<boolean> {
    const handle = (signal: AbortSignal) => this.#options.handle(messages, signal);
    const result = await this.#untilDone(handle, payload, REFUSALS);
    if (!(result instanceof HotloopError)) return result === 'done';
    const [only] = messages;
    if (only && messages.length === 1) return this.#keepAside(only.raw, result, payload);
    const middle = messages.length >> 1;
    return (
      (await this.#handOver(messages.slice(0, middle), payload)) &&
      (await this.#handOver(messages.slice(middle), payload))
    );
  }

  /**
   * Retries as long as the partition is assigned to us, no stop was requested, and the number of final errors is
   * below the limit.
   */
  async #untilDone(
    step: (signal: AbortSignal) => Promise<void>,
    payload: EachBatchPayload,
    refusals: number,
  ): Promise<StepResult> {
    for (let attempt = 0; ; attempt++) {
      if (this.#stopping.signal.aborted || payload.isStale() || !payload.isRunning()) return 'given up';
      try {
        await this.#alive(step, payload);
        return 'done';
      } catch (error) {
        if (error instanceof LostPartition) throw error.cause;
        const isRefusal = error instanceof HotloopError && !PASSING.has(error.code);
        if (isRefusal && attempt + 1 >= refusals) return error;
        if (attempt % 10 === 0)
          this.#log.warn({ error, attempt }, 'events cannot be processed; trying again');
      }
      await this.#alive(() => this.#backOff(attempt), payload);
    }
  }

  /**
   * Runs a step while sending heartbeats to the group. Throws LostPartition when the group reports that the partition
   * is gone.
   */
  async #alive(step: (signal: AbortSignal) => Promise<void>, payload: EachBatchPayload): Promise<void> {
    const lost = new AbortController();
    let lostBy: unknown;
    const timer = setInterval(() => {
      payload.heartbeat().catch((error: unknown) => {
        lostBy ??= error;
        lost.abort(new DOMException('the partition went to another consumer', 'AbortError'));
      });
    }, this.#heartbeatMs);
    try {
      await step(AbortSignal.any([lost.signal, this.#leaving.signal]));
    } finally {
      clearInterval(timer);
      // biome-ignore lint/correctness/noUnsafeFinally: losing the partition outweighs what became of the step.
      if (lostBy !== undefined) throw new LostPartition(lostBy);
    }
  }

  async #backOff(attempt: number): Promise<void> {
    const ms = Math.min(FIRST_WAIT_MS * 2 ** attempt, LONGEST_WAIT_MS);
    await wait(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}

/** Carries the library's own error, which makes it rejoin the group. */
class LostPartition extends Error {
  constructor(cause: unknown) {
    super('the partition was lost', { cause });
  }
}
