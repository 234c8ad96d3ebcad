import { manifestOf } from '@hotloop/model/testing/manifests.ts';
import { systemClock } from '@hotloop/platform/clock.ts';
import { startConsumer } from '@hotloop/platform/kafka/consumer.ts';
import { openProducer } from '@hotloop/platform/kafka/producer.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { testServices, uniqueName } from '@hotloop/platform/testing/test-services.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { isPredictionId } from '@hotloop/proto/prediction-id.ts';
import { describe, expect, it } from 'vitest';
import { openPredictor } from '../testing/open-predictor.ts';
import { versionRecord } from '../testing/version-record.ts';
import { startAnswerTopics } from './answer-topics.ts';

const log = silentLog();

/** A model with a request topic and one or two reply topics, which are read here. */
async function open(byLabel: boolean) {
  const stack = new AsyncDisposableStack();
  const brokers = testServices().kafkaBrokers.split(',');
  const name = uniqueName('letters');
  const kafka = byLabel
    ? { requests: `${name}.in`, replies_by_label: `${name}.{label}` }
    : { requests: `${name}.in`, replies: `${name}.out` };
  const features = [{ name: 'price', from: 'request.price' }];
  const manifest = manifestOf({ name: 'letters', features, kafka });
  const opened = openPredictor();
  opened.registry.set({
    ...{ name: 'letters', liveVersion: 1, previousVersion: null, targetVersion: null, generation: 1 },
    versions: new Map([[1, versionRecord(manifest)]]),
  });
  opened.registry.publish();
  const producer = stack.use(await openProducer({ brokers, clientId: 'test', log }));
  const aside: string[] = [];
  const topics = stack.use(
    startAnswerTopics(
      { brokers, clientId: 'test', groupPrefix: name },
      {
        ...{ registry: opened.registry, predictor: opened.predictor, producer, clock: systemClock, log },
        keepDeadLetter: async (_raw, error) => void aside.push(error.message),
      },
    ),
  );
  await topics.joined(20_000);
  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what the test asserts.
  const answers: { topic: string; key: string; value: any }[] = [];
  const reading = byLabel ? [`${name}.yes`, `${name}.no`] : [`${name}.out`];
  for (const topic of reading) await producer.send(topic, []);
  const reader = async () =>
    stack.use(
      await startConsumer({
        ...{ brokers, clientId: 'test', groupId: uniqueName('reader'), topics: reading, log },
        parse: ({ topic, key, value }) => ({
          topic: topic.slice(name.length + 1),
          key: Buffer.from(key ?? []).toString(),
          value: JSON.parse(Buffer.from(value ?? []).toString()),
        }),
        handle: async (messages) => void answers.push(...messages.map(({ value }) => value)),
        keepDeadLetter: async () => undefined,
      }),
    );
  const send = (key: string, value: unknown) =>
    producer.send(kafka.requests, [
      { key, value: typeof value === 'string' ? value : JSON.stringify(value) },
    ]);
  return { ...opened, answers, aside, send, reader, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('requests on a topic', () => {
  it('are answered on the reply topic with their key, once each, errors included', async () => {
    await using opened = await open(false);
    let failures = 1;
    const infer = opened.inference.infer.bind(opened.inference);
    opened.inference.infer = async (item, signal) => {
      if (failures-- > 0) throw new HotloopError('UNAVAILABLE', 'compute is away');
      return infer(item, signal);
    };
    await opened.send('a', { request: { price: 1 } });
    await opened.send('b', { request: { price: 'cheap' } });
    await opened.send('c', 'not JSON');
    await opened.reader();
    await expect.poll(() => opened.answers.length, { timeout: 50_000 }).toBe(2);
    const answerOf = (key: string) => opened.answers.find((answer) => answer.key === key)?.value;
    expect(answerOf('a')).toMatchObject({ model: 'letters', version: 1, request: { price: 1 } });
    expect(isPredictionId(answerOf('a').prediction_id)).toBe(true);
    expect(answerOf('b')).toMatchObject({ error: { code: 'INVALID_ARGUMENT' } });
    expect(opened.aside).toEqual([expect.stringContaining('not JSON')]);
    const ids = opened.inference.items.map(({ predictionId }) => predictionId);
    expect(new Set(ids)).toEqual(new Set([answerOf('a').prediction_id]));
  });

  it('are answered each on the topic of its label', async () => {
    await using opened = await open(true);
    await opened.send('a', { request: { price: 4 } });
    await opened.send('b', { request: { price: -4 } });
    await opened.reader();
    await expect.poll(() => opened.answers.length, { timeout: 50_000 }).toBe(2);
    expect(opened.answers.map(({ topic, key }) => [topic, key]).sort()).toEqual([
      ['no', 'b'],
      ['yes', 'a'],
    ]);
  });
});
