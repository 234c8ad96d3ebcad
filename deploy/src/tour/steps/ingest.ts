import { startConsumer } from '@hotloop/platform/kafka/consumer.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { expectThat } from '../tour-failure.ts';
import type { TourStep } from '../tour-step.ts';

/** A model that uses history and a reference table, and has a request topic as well. */
const MANIFEST = `name: visits
features:
  - {name: price, from: request.price, missing: 0}
  - {name: views, from: history.user.view.count, window: 7d, missing: 0}
  - {name: segment, from: reference.customers.segment, by: user, missing: new, transform: [{one_hot: [new, loyal]}]}
kafka: {requests: visits-in, replies: visits-out}
training: {epochs: 1}
`;
const SCHEMA = 'key: customer\ncolumns:\n  segment: {type: text, allowed: [new, loyal]}\n';

interface Answer {
  readonly prediction_id: string;
  readonly version: number;
  readonly feature_statuses: readonly { readonly feature: string; readonly status: string }[];
}

const uploads: TourStep = {
  name: 'events-and-tables',
  about: 'Events and a reference table are uploaded, and the next prediction over REST uses both.',
  async run(context) {
    const schema = await context.write('customers.yaml', SCHEMA);
    await context.json('tables', 'declare', 'customers', schema);
    const file = await context.write('customers.csv', 'customer,segment\nu1,loyal\nu2,new\n');
    const uploaded = await context.json<{ rows: number }>('tables', 'push', 'customers', file);
    expectThat(uploaded.rows === 2, 'two rows', `${uploaded.rows} rows`);
    const time = new Date().toISOString();
    const event = {
      specversion: '1.0',
      id: '1',
      source: '/tour',
      type: 'view',
      time,
      data: { entity: { user: 'u1' } },
    };
    const events = await context.write('events.jsonl', `${JSON.stringify(event)}\n`);
    await context.json('events', 'push', events);
    await context.write('visits/model.yaml', MANIFEST);
    await context.json('model', 'push', 'visits', '--promote');
    const body = { entities: { user: 'u1' }, request: { price: 3 }, want_feature_statuses: true };
    const answer = await context.until('fresh values of every feature', async () => {
      const reply = await context.http<Answer>('preprocessor', 'POST', '/v1/models/visits/predict', body);
      const absent = reply.feature_statuses.filter(({ status }) => /missing|degraded|default/i.test(status));
      return absent.length === 0 ? reply : undefined;
    });
    return `version ${answer.version} saw the event and the row`;
  },
};

const topicToTopic: TourStep = {
  name: 'topic-to-topic',
  about: 'A request on a Kafka topic is answered on another.',
  async run(context) {
    const answers: string[] = [];
    await context.producer.send('visits-out', []);
    await using _consumer = await startConsumer({
      ...{
        brokers: context.local.backing.kafkaBrokers.split(','),
        clientId: 'tour',
        groupId: 'tour-answers',
      },
      ...{ topics: ['visits-out'], log: silentLog() },
      parse: ({ value }) => (JSON.parse(Buffer.from(value ?? []).toString()) as Answer).prediction_id,
      handle: async (messages) => void answers.push(...messages.map(({ value }) => value)),
      keepDeadLetter: async () => undefined,
    });
    await context.producer.send('visits-in', [
      { key: 'u2', value: JSON.stringify({ entities: { user: 'u2' }, request: { price: 1 } }) },
    ]);
    const id = await context.until('an answer on the topic', async () => answers[0], 60_000);
    return `answered as prediction ${id}`;
  },
};

export const INGEST_STEPS: readonly TourStep[] = [uploads, topicToTopic];
