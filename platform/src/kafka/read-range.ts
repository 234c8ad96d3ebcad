import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { connectKafka, fromKafkaError, type KafkaAddress } from './connection.ts';
import { type RawMessage, rawMessage } from './message.ts';

export interface TopicRange {
  readonly topic: string;
  /** Milliseconds since 1970; undefined: from the oldest message that is kept. */
  readonly fromMs: number | undefined;
  /** Messages of this moment are not among them; undefined: up to the newest one of now. */
  readonly toMs: number | undefined;
}

/**
 * Reads the messages of a topic whose time lies in a range, up to those that are there now, each partition in order. `take` is awaited
 * before the next messages of any partition are read. The group that reads is new, commits nothing, and is deleted afterwards.
 * Rejects NOT_FOUND for an unknown topic, UNAVAILABLE, or with the signal's reason.
 */
export async function readTopicRange(
  address: KafkaAddress,
  range: TopicRange,
  take: (messages: readonly RawMessage[]) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  let hasTaken = false;
  const taking = async (messages: readonly RawMessage[]) => {
    hasTaken = true;
    await take(messages);
  };
  for (let attempt = 1; ; attempt++) {
    try {
      return await readOnce(address, range, taking, signal);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      // A broker that has just started still loads its groups. Nothing was taken yet, so beginning again takes nothing twice.
      if (hasTaken || attempt === ATTEMPTS || !mayPass(error)) throw fromKafkaError(error);
      await delay(attempt * BETWEEN_MS, undefined, { signal });
    }
  }
}

const ATTEMPTS = 8;
const BETWEEN_MS = 250;

function mayPass(error: unknown): boolean {
  return error instanceof Error && (error as Error & { retriable?: boolean }).retriable === true;
}

async function readOnce(
  address: KafkaAddress,
  { topic, fromMs, toMs }: TopicRange,
  take: (messages: readonly RawMessage[]) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const kafka = connectKafka(address);
  const admin = kafka.admin();
  const groupId = `hotloop-range-${randomUUID()}`;
  const consumer = kafka.consumer({
    ...{ groupId, sessionTimeout: 30_000, maxWaitTimeInMs: 250, minBytes: 1 },
    // After a crash it would read from the start and hand messages over again.
    retry: { retries: 5, restartOnFailure: async () => false },
  });
  try {
    await admin.connect();
    if (!(await admin.listTopics()).includes(topic))
      throw new HotloopError('NOT_FOUND', `there is no topic ${topic}`);
    const ends = new Map<number, bigint>();
    const starts = new Map<number, bigint>();
    for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
      starts.set(partition, BigInt(low));
      if (BigInt(high) > BigInt(low)) ends.set(partition, BigInt(high));
    }
    if (fromMs !== undefined && (await knowsTimes(admin, topic, starts, ends)))
      for (const { partition, offset } of await admin.fetchTopicOffsetsByTimestamp(topic, fromMs))
        starts.set(partition, BigInt(offset));
    for (const [partition, end] of ends) if ((starts.get(partition) ?? 0n) >= end) ends.delete(partition);
    if (ends.size === 0) return;
    const done = Promise.withResolvers<void>();
    // It may be rejected before it is waited for.
    done.promise.catch(() => undefined);
    const passed = (partition: number, lastOffset: string) => {
      const end = ends.get(partition);
      if (end !== undefined && BigInt(lastOffset) + 1n >= end) ends.delete(partition);
      if (ends.size === 0) done.resolve();
    };
    const stop = () => done.reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    try {
      await consumer.connect();
      await consumer.subscribe({ topics: [topic], fromBeginning: true });
      let crash: Error | undefined;
      consumer.on('consumer.crash', ({ payload }) => {
        crash = payload.error;
        done.reject(payload.error);
      });
      // Also told where the last thing of a partition is the end of a transaction, which is no message.
      consumer.on('consumer.end_batch_process', ({ payload }) =>
        passed(payload.partition, payload.lastOffset),
      );
      await consumer.run({
        autoCommit: false,
        async eachBatch({ batch, resolveOffset, heartbeat }) {
          const end = ends.get(batch.partition);
          const raws = batch.messages
            .map((message) => rawMessage(topic, batch.partition, message))
            .filter(({ offset }) => end !== undefined && offset < end)
            .filter(
              ({ timestampMs }) =>
                timestampMs >= (fromMs ?? 0) && timestampMs < (toMs ?? Number.POSITIVE_INFINITY),
            );
          if (raws.length > 0) await take(raws);
          resolveOffset(batch.lastOffset());
          await heartbeat();
        },
      });
      // `run` also resolves where the group could not be joined.
      if (crash !== undefined) throw crash;
      for (const [partition, start] of starts) consumer.seek({ topic, partition, offset: start.toString() });
      signal.throwIfAborted();
      await done.promise;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  } finally {
    await consumer.disconnect().catch(() => undefined);
    await admin.deleteGroups([groupId]).catch(() => undefined);
    await admin.disconnect().catch(() => undefined);
  }
}

/** Some brokers answer every time with the end of the topic; then the whole topic is read, and times decide. */
async function knowsTimes(
  admin: {
    fetchTopicOffsetsByTimestamp(topic: string, ms: number): Promise<{ partition: number; offset: string }[]>;
  },
  topic: string,
  starts: ReadonlyMap<number, bigint>,
  ends: ReadonlyMap<number, bigint>,
): Promise<boolean> {
  const first = await admin.fetchTopicOffsetsByTimestamp(topic, 1).catch(() => []);
  return first.some(
    ({ partition, offset }) => ends.has(partition) && BigInt(offset) === starts.get(partition),
  );
}

/** How many messages a topic holds now; 0 where there is no such topic. Rejects UNAVAILABLE. */
export async function topicSize(address: KafkaAddress, topic: string): Promise<number> {
  const admin = connectKafka(address).admin();
  try {
    await admin.connect();
    if (!(await admin.listTopics()).includes(topic)) return 0;
    const offsets = await admin.fetchTopicOffsets(topic);
    return offsets.reduce((sum, { low, high }) => sum + Number(BigInt(high) - BigInt(low)), 0);
  } catch (error) {
    throw fromKafkaError(error);
  } finally {
    await admin.disconnect().catch(() => undefined);
  }
}
