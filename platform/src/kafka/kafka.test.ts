import { HotloopError } from '@hotloop/proto/errors.ts';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../log.ts';
import { testServices, uniqueName } from '../testing/test-services.ts';
import { type ConsumerOptions, type EventConsumer, type RawMessage, startConsumer } from './consumer.ts';
import { openProducer } from './producer.ts';

/** The shortest that brokers allow: the embedded one waits this long for members after one has left. */
const sessionTimeoutMs = 6000;

function address() {
  return { brokers: testServices().kafkaBrokers.split(','), clientId: 'test', log: silentLog() };
}

interface Sink {
  readonly taken: string[];
  readonly aside: { raw: RawMessage; message: string }[];
  /** Resolves when this many messages have been accepted. */
  untilTaken(count: number): Promise<void>;
  readonly options: Pick<ConsumerOptions<string>, 'parse' | 'handle' | 'keepDeadLetter'>;
}

/** Accepts texts; rejects `bad...`; fails while `isAway` returns true. */
function sink(isAway: () => boolean = () => false): Sink {
  const taken: string[] = [];
  const aside: Sink['aside'] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  return {
    taken,
    aside,
    untilTaken: (count) =>
      new Promise((resolve) => {
        if (taken.length >= count) resolve();
        else waiting.push({ count, resolve });
      }),
    options: {
      parse(raw) {
        const text = Buffer.from(raw.value ?? []).toString();
        if (text.startsWith('bad')) throw new Error('not an event');
        return text;
      },
      async handle(messages) {
        if (isAway()) throw new Error('the sink is away');
        taken.push(...messages.map((message) => message.value));
        for (const each of waiting) if (taken.length >= each.count) each.resolve();
      },
      async keepDeadLetter(raw, error) {
        aside.push({ raw, message: error.message });
      },
    },
  };
}

async function joined(consumer: EventConsumer): Promise<EventConsumer> {
  await consumer.joined(20_000);
  return consumer;
}

describe.concurrent('Kafka', () => {
  it('delivers events in order, stores a malformed one as a dead letter with its bytes, and continues', async () => {
    const topic = uniqueName('events');
    await using producer = await openProducer(address());
    await producer.send(topic, [
      { key: 'u1', value: 'one' },
      { key: 'u1', value: 'bad {' },
      { key: 'u1', value: 'two', headers: { kind: 'test' } },
    ]);
    const into = sink();
    await using _consumer = await startConsumer({
      ...address(),
      groupId: uniqueName('g'),
      topics: [topic],
      ...into.options,
    });
    await into.untilTaken(2);
    expect(into.taken).toEqual(['one', 'two']);
    expect(into.aside).toHaveLength(1);
    expect(Buffer.from(into.aside[0]?.raw.value ?? []).toString()).toBe('bad {');
    expect(into.aside[0]?.message).toBe('not an event');
  });

  it('retries the same events while the handler fails, and commits them once they are accepted', async () => {
    const topic = uniqueName('events');
    const groupId = uniqueName('g');
    await using producer = await openProducer(address());
    await producer.send(topic, [{ key: 'a', value: 'one' }]);
    let failures = 2;
    const into = sink(() => failures-- > 0);
    {
      await using consumer = await startConsumer({
        ...address(),
        groupId,
        sessionTimeoutMs,
        topics: [topic],
        ...into.options,
      });
      await joined(consumer);
      await into.untilTaken(1);
    }
    await producer.send(topic, [{ key: 'a', value: 'two' }]);
    const after = sink();
    await using _again = await startConsumer({
      ...address(),
      groupId,
      sessionTimeoutMs,
      topics: [topic],
      ...after.options,
    });
    await after.untilTaken(1);
    // Messages that the first consumer committed are not delivered again.
    expect(after.taken).toEqual(['two']);
  });

  it('stops within its deadline while the handler fails, and leaves the events for the next consumer', async () => {
    const topic = uniqueName('events');
    const groupId = uniqueName('g');
    await using producer = await openProducer(address());
    await producer.send(topic, [{ key: 'a', value: 'one' }]);
    let asked!: () => void;
    const isAsked = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const away = sink(() => {
      asked();
      return true;
    });
    const stopped = await startConsumer({
      ...address(),
      groupId,
      sessionTimeoutMs,
      topics: [topic],
      ...away.options,
    });
    await isAsked;
    const began = performance.now();
    await stopped.stop(20_000);
    expect(performance.now() - began).toBeLessThan(20_000);
    const into = sink();
    await using _next = await startConsumer({
      ...address(),
      groupId,
      sessionTimeoutMs,
      topics: [topic],
      ...into.options,
    });
    await into.untilTaken(1);
    expect(into.taken).toEqual(['one']);
  });

  it('makes a dead letter of the one message that the handler never accepts, and processes the others', async () => {
    const topic = uniqueName('events');
    await using producer = await openProducer(address());
    const values = ['a', 'b', 'poison', 'c', 'd'];
    await producer.send(
      topic,
      values.map((value) => ({ key: 'k', value })),
    );
    const into = sink();
    await using _consumer = await startConsumer({
      ...address(),
      groupId: uniqueName('g'),
      topics: [topic],
      ...into.options,
      handle: async (messages, signal) => {
        if (messages.some(({ value }) => value === 'poison'))
          throw new HotloopError('INTERNAL', 'the store refused');
        await into.options.handle(messages, signal);
      },
    });
    await into.untilTaken(4);
    expect(into.taken).toEqual(['a', 'b', 'c', 'd']);
    expect(into.aside.map(({ raw, message }) => [Buffer.from(raw.value ?? []).toString(), message])).toEqual([
      ['poison', 'the store refused'],
    ]);
  });

  it('refuses to open a producer where no broker is', async () => {
    await expect(
      openProducer({ ...address(), brokers: ['127.0.0.1:1'], timeoutMs: 300 }),
    ).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('starts and stops a consumer while Kafka is down', async () => {
    const into = sink();
    const consumer = await startConsumer({
      ...address(),
      brokers: ['127.0.0.1:1'],
      groupId: uniqueName('g'),
      topics: ['t'],
      ...into.options,
    });
    await expect(consumer.joined(100)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const began = performance.now();
    await consumer.stop(3000);
    expect(performance.now() - began).toBeLessThan(20_000);
  });
});
