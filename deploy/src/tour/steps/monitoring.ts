import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import type { TourContext } from '../tour-context.ts';
import { expectThat } from '../tour-failure.ts';
import type { TourStep } from '../tour-step.ts';

const MODEL = 'watched';
const TRAINED_ROWS = 1500;
const GOOD = 300;
const BROKEN = 300;
/** Time limit from the last faulty prediction to the alarm at the webhook. */
const WITHIN_MS = 120_000;

interface Alarm {
  readonly status: string;
  readonly commonLabels: { readonly model: string; readonly cause: string };
  readonly commonAnnotations: {
    readonly summary: string;
    readonly cost: string;
    readonly topic?: string;
    readonly field?: string;
    readonly first_offset?: string;
  };
}

const inputOf = (index: number) => ({
  visits: (index * 7919) % 41,
  plan: ['free', 'pro', 'team'][(index * 31) % 3] as string,
});
const leaves = ({ visits, plan }: ReturnType<typeof inputOf>) =>
  plan === 'free' ? visits < 30 : visits < 10;

/** A webhook with Alertmanager's format. */
async function webhook() {
  const alarms: Alarm[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    alarms.push(JSON.parse(text) as Alarm);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    alarms,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/alerts`,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

const manifestOf = (url: string) => `name: ${MODEL}
task: binary
features:
  - {name: visits, from: request.visits, missing: 0}
  - {name: plan, from: request.plan, transform: [{one_hot: [free, pro, team]}]}
outcome: {from: sdk}
training: {epochs: 20, optimizer: {adam: {learning_rate: 0.01}}}
monitor: {notify: ["${url}"]}
`;

/** Sends `count` predictions, about a hundred concurrently; if `isBroken`, every request lacks `visits`. */
async function ask(context: TourContext, count: number, isBroken: boolean): Promise<string[]> {
  const ids: string[] = [];
  for (let from = 0; from < count; from += 100) {
    const answers = await Promise.all(
      Array.from({ length: Math.min(100, count - from) }, (_, at) => {
        const { visits, plan } = inputOf(from + at);
        return context.client.predict(MODEL, { request: isBroken ? { plan } : { visits, plan } });
      }),
    );
    ids.push(...answers.map(({ predictionId }) => predictionId));
  }
  return ids;
}

const incident: TourStep = {
  name: 'drift-incident-at-a-webhook',
  about:
    'A caller stops sending a feature: a webhook is notified within two minutes, with its cause and its cost.',
  async run(context) {
    await using hook = await webhook();
    const rows = Array.from({ length: TRAINED_ROWS }, (_, index) => inputOf(index));
    const csv = rows.map((row) => `${row.visits},${row.plan},${leaves(row) ? 1 : 0}`);
    const data = await context.write(`${MODEL}/data.csv`, `visits,plan,left\n${csv.join('\n')}\n`);
    const manifest = await context.write(`${MODEL}/model.yaml`, manifestOf(hook.url));
    await context.json('train', data, '--model', manifest, '--label', 'left');
    await context.json('model', 'promote', MODEL, '1', '--actor', 'tour');
    await context.until('the model to answer', () => ask(context, 1, false));
    const good = await ask(context, GOOD, false);
    await context.client.recordOutcomes(
      good.map((predictionId, index) => ({ model: MODEL, predictionId, value: leaves(inputOf(index)) })),
    );
    await ask(context, BROKEN, true);
    const brokenAt = performance.now();
    const alarm = await context.until(
      'an alarm at the webhook',
      async () =>
        hook.alarms.find(
          ({ commonLabels, commonAnnotations }) =>
            commonLabels.cause === 'feature:visits' && / auc \(/.test(commonAnnotations.cost),
        ),
      WITHIN_MS,
    );
    const seconds = (performance.now() - brokenAt) / 1000;
    const { summary, cost } = alarm.commonAnnotations;
    expectThat(
      /^(visits is missing in|the field visits of the requests)/.test(summary),
      'its cause in words',
      summary,
    );
    expectThat(/ auc \(/.test(cost), 'its cost in AUC with an interval', cost);
    const listed =
      await context.json<readonly { readonly model: string; readonly cause: string }[]>('incidents');
    expectThat(
      listed.some(({ model, cause }) => model === MODEL && cause === 'feature:visits'),
      'the same incident in `hotloop incidents`',
      JSON.stringify(listed),
    );
    return `${seconds.toFixed(0)} s later: ${summary}; it costs ${cost}`;
  },
};

const BUYERS = 'buyers';
const ORDERS = 150;
const CHANGED_ORDERS = 60;
const buyersOf = (url: string) => `name: ${BUYERS}
task: binary
features:
  - {name: spent, from: history.user.order.mean(price), window: 1d, missing: 0, transform: [{standardize: {mean: 50, std: 30}}]}
  - {name: orders, from: history.user.order.count, window: 1d}
outcome: {from: sdk}
monitor: {notify: ["${url}"]}
`;
/** Of this seed, the score grows with what was spent. */
const spendingModel = () =>
  perceptron({ inputs: 2, hidden: [], outputs: 1, activation: 'relu', head: 'sigmoid', seed: 1 });

/** Sends orders of one user each, then asks about these users. Answers the predictions' ids. */
async function order(context: TourContext, side: string, count: number, data: (at: number) => object) {
  const users = Array.from({ length: count }, (_, at) => `${side}-${at}`);
  await context.producer.send(
    'hotloop.events',
    users.map((user, at) => ({
      key: user,
      value: JSON.stringify({
        ...{ specversion: '1.0', id: user, source: '/shop', type: 'order', time: new Date().toISOString() },
        data: { entity: { user }, ...data(at) },
      }),
    })),
  );
  const last = users.at(-1) ?? '';
  await context.until(`the order of ${last} in the history`, async () => {
    const { features } = await context.json<{
      readonly features: readonly { readonly feature: string; readonly raw: readonly unknown[] }[];
    }>('features', 'explain', BUYERS, '{}', '--user', last);
    return features.find(({ feature }) => feature === 'orders')?.raw[0] === 1 || undefined;
  });
  const answers = await Promise.all(users.map((user) => context.client.predict(BUYERS, { user })));
  return answers.map(({ predictionId }) => predictionId);
}

const producerChange: TourStep = {
  name: 'producer-change-named',
  about:
    'A producer renames a field of its events: the alarm names topic, field and first offset, and the cost.',
  async run(context) {
    await using hook = await webhook();
    await context.write(`${BUYERS}/model.yaml`, buyersOf(hook.url));
    await context.write(`${BUYERS}/model.onnx`, spendingModel());
    await context.json('model', 'push', BUYERS, '--promote');
    await context.until('the model to answer', () => context.client.predict(BUYERS, { user: 'nobody' }));
    const good = await order(context, 'usual', ORDERS, (at) => ({ price: (at * 7919) % 100 }));
    await context.client.recordOutcomes(
      good.map((predictionId, at) => ({ model: BUYERS, predictionId, value: (at * 7919) % 100 > 40 })),
    );
    await order(context, 'changed', CHANGED_ORDERS, (at) => ({ amount: (at * 7919) % 100 }));
    const changedAt = performance.now();
    const told = await context.until(
      'an alarm with its cost at the webhook',
      async () => {
        // Calls go on: rows from after the change are what the cost is estimated with.
        await context.client.predict(BUYERS, { user: `changed-${hook.alarms.length % CHANGED_ORDERS}` });
        return hook.alarms
          .filter(({ commonLabels }) => commonLabels.cause === 'feature:spent')
          .map(({ commonAnnotations }) => commonAnnotations)
          .find(({ topic, cost }) => topic !== undefined && / auc \(/.test(cost));
      },
      WITHIN_MS,
    );
    const seconds = (performance.now() - changedAt) / 1000;
    const { topic, field, first_offset: offset, summary, cost } = told;
    expectThat(Number.parseFloat(cost) > 0.2, 'a cost of more than 0.2', cost);
    expectThat(topic === 'hotloop.events' && field === 'price', 'topic and field', `${topic}, ${field}`);
    expectThat(/^\d+$/.test(offset ?? ''), 'the first offset', `${offset}`);
    expectThat(/amount came in its place/.test(summary), 'the new name', summary);
    return `${seconds.toFixed(0)} s later: ${summary}; it costs ${cost}`;
  },
};

const check: TourStep = {
  name: 'two-files-compared',
  about: 'A pipeline compares two files without a server and stops where they drifted.',
  async run(context) {
    const lines = (times: number) =>
      Array.from({ length: 1000 }, (_, index) => `${inputOf(index).visits * times},${inputOf(index).plan}`);
    const reference = await context.write('check/before.csv', `visits,plan\n${lines(1).join('\n')}\n`);
    const current = await context.write('check/now.csv', `visits,plan\n${lines(1000).join('\n')}\n`);
    const files = ['monitor', 'check', '--reference', reference, '--current'];
    const same = await context.command(...files, reference, '--fail-on', 'any');
    expectThat(same.exitCode === 0, 'a file to equal itself', same.out + same.err);
    const drifted = await context.command(...files, current, '--fail-on', 'drift', '--json');
    expectThat(drifted.exitCode === 1, 'the exit code 1', `${drifted.exitCode}: ${drifted.err}`);
    const { signals } = JSON.parse(drifted.out) as { signals: { message: string }[] };
    return signals[0]?.message ?? '';
  },
};

const metrics: TourStep = {
  name: 'metrics-scraped',
  about: 'Every service exports its metrics to Prometheus.',
  async run(context) {
    const scrape = (service: keyof typeof context.local.httpAddresses) =>
      context.http<string>(service, 'GET', '/metrics');
    const wanted = [
      ['preprocessor', `hotloop_predictions_total{hotloop_model="${MODEL}"`],
      ['compute', `nv_inference_request_success{model="${MODEL}"`],
      ['postprocessor', `hotloop_decisions_total{hotloop_model="${MODEL}"`],
      ['retrainer', `hotloop_outcomes_total{hotloop_model="${MODEL}"`],
    ] as const;
    for (const [service, name] of wanted)
      expectThat((await scrape(service)).includes(name), `${name} on ${service}`, 'it is not there');
    return 'predictions, inferences, decisions and outcomes are counted';
  },
};

/** Faults are detected. */
export const MONITORING_STEPS: readonly TourStep[] = [incident, producerChange, metrics, check];
