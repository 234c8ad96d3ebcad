import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startConsumer } from '@hotloop/platform/kafka/consumer.ts';
import { openProducer } from '@hotloop/platform/kafka/producer.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { uniqueName } from '@hotloop/platform/testing/test-services.ts';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { BackingServiceError } from '../deploy/src/backing/backing-service-error.ts';
import { freePort } from '../deploy/src/backing/free-port.ts';
import { startRealKafka } from '../deploy/src/backing/real-kafka.ts';
import { startWatchdog } from '../deploy/src/backing/watchdog.ts';

const CACHE_DIR = join(import.meta.dirname, '..', '.hotloop', 'cache');
const START_TIMEOUT_MS = 300_000;
const JOIN_TIMEOUT_MS = 20_000;
const NEVER = new AbortController().signal;

const opened = new AsyncDisposableStack();
let brokers = '';
let unreachable: string | undefined;

beforeAll(async () => {
  const dir = await mkdtemp(join(tmpdir(), 'hotloop-kafka4-'));
  opened.defer(() => rm(dir, { recursive: true, force: true }));
  const watchdog = opened.use(startWatchdog());
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  try {
    const broker = opened.use(await startRealKafka({ dir, cacheDir: CACHE_DIR, watchdog, log }, NEVER));
    brokers = broker.brokers;
  } catch (error) {
    if (!(error instanceof BackingServiceError) || error.code !== 'MISSING_PROGRAM') throw error;
    unreachable = error.message;
    log(`SKIPPED: the tests on a real Apache Kafka 4. ${unreachable}`);
  }
}, START_TIMEOUT_MS);

afterAll(() => opened.disposeAsync());

function needsKafka(context: TestContext): void {
  if (unreachable !== undefined) context.skip(unreachable);
}

describe('Apache Kafka 4', () => {
  it('starts on other ports when one is taken before it listens', async (context) => {
    needsKafka(context);
    await using stack = new AsyncDisposableStack();
    const dir = await mkdtemp(join(tmpdir(), 'hotloop-kafka4-'));
    stack.defer(() => rm(dir, { recursive: true, force: true }));
    const taken = Number(brokers.split(':').at(-1));
    const offered = [taken];
    const watchdog = stack.use(startWatchdog());
    const nextPort = async () => offered.shift() ?? freePort();
    const options = { dir, cacheDir: CACHE_DIR, watchdog, log: () => undefined, nextPort };
    const second = stack.use(await startRealKafka(options, NEVER));
    expect(second.brokers).not.toBe(brokers);
    expect(offered).toEqual([]);
  }, 120_000);

  it('serves kafkajs: produce, join a group, consume, commit, resume after the committed offset', async (context) => {
    needsKafka(context);
    await using stack = new AsyncDisposableStack();
    const kafka = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
    const topic = uniqueName('topic');
    const groupId = uniqueName('group');
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    stack.defer(() => producer.disconnect());
    // One key: one partition, hence one order.
    const send = (...values: string[]) =>
      producer.send({ topic, acks: -1, messages: values.map((value) => ({ key: 'k', value })) });

    await send('one', 'two', 'three');
    expect(await consumeAndCommit(kafka, topic, groupId, 2)).toEqual(['one', 'two']);
    await send('four');
    // A new member of the same group begins behind what was committed, not at the beginning and not at the end.
    expect(await consumeAndCommit(kafka, topic, groupId, 2)).toEqual(['three', 'four']);

    const admin = kafka.admin();
    await admin.connect();
    stack.defer(() => admin.disconnect());
    const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] });
    const offsets = committed?.partitions.map(({ offset }) => Number(offset));
    expect(offsets?.filter((offset) => offset > 0)).toEqual([4]);
  });

  it("delivers the project's events in order, malformed ones as dead letters, none twice after a restart", async (context) => {
    needsKafka(context);
    const topic = uniqueName('events');
    const groupId = uniqueName('readers');
    const address = { brokers: [brokers], clientId: 'test', log: silentLog() };
    await using producer = await openProducer(address);
    const send = (...values: string[]) =>
      producer.send(
        topic,
        values.map((value) => ({ key: 'k', value })),
      );

    const first = await consumeWithPlatform(address, topic, groupId, () => send('a', 'broken', 'b'), 3);
    expect(first).toEqual({ taken: ['a', 'b'], aside: ['broken'] });
    const second = await consumeWithPlatform(address, topic, groupId, () => send('c'), 1);
    expect(second).toEqual({ taken: ['c'], aside: [] });
  });
});

/** Joins the group, takes `count` messages, commits behind each, leaves. */
async function consumeAndCommit(
  kafka: Kafka,
  topic: string,
  groupId: string,
  count: number,
): Promise<string[]> {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 10_000 });
  const values: string[] = [];
  const done = Promise.withResolvers<void>();
  await consumer.connect();
  try {
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        if (values.length >= count) return;
        values.push(String(message.value));
        const next = (BigInt(message.offset) + 1n).toString();
        await consumer.commitOffsets([{ topic, partition, offset: next }]);
        if (values.length === count) done.resolve();
      },
    });
    await done.promise;
  } finally {
    await consumer.disconnect();
  }
  return values;
}

/** Consumes in the way every service does, until `count` messages were taken or became dead letters. */
async function consumeWithPlatform(
  address: {
    readonly brokers: readonly string[];
    readonly clientId: string;
    readonly log: ReturnType<typeof silentLog>;
  },
  topic: string,
  groupId: string,
  produce: () => Promise<void>,
  count: number,
): Promise<{ taken: string[]; aside: string[] }> {
  const [taken, aside]: [string[], string[]] = [[], []];
  const done = Promise.withResolvers<void>();
  const check = (): void => {
    if (taken.length + aside.length >= count) done.resolve();
  };
  await produce();
  await using consumer = await startConsumer<string>({
    ...address,
    groupId,
    topics: [topic],
    parse(raw) {
      const text = Buffer.from(raw.value ?? []).toString();
      if (text === 'broken') throw new Error('not an event');
      return text;
    },
    async handle(messages) {
      taken.push(...messages.map(({ value }) => value));
      check();
    },
    async keepDeadLetter(raw) {
      aside.push(Buffer.from(raw.value ?? []).toString());
      check();
    },
  });
  await consumer.joined(JOIN_TIMEOUT_MS);
  await done.promise;
  return { taken, aside };
}
