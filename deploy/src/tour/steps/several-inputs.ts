import { expectThat } from '../tour-failure.ts';
import type { TourStep } from '../tour-step.ts';

const ITEMS = ['mug', 'lamp', 'rug', 'vase'];
const USERS = 8;
const REQUESTS = 160;

const RANKER = `name: shop-ranker
task: ranking
features:
  - {name: user, from: entity.user, transform: [{id: {buckets: 64}}], input: user_id}
  - {name: item, from: item.id, transform: [{id: {values: [${ITEMS}]}}], input: item_id}
  - {name: price, from: item.price, input: numbers}
training:
  network: {kind: two-tower, hidden: [16], factors: 8}
  epochs: 40
  batch: 32
  optimizer: {adam: {learning_rate: 0.03}}
  gate: {metric: auc, min_examples: 50}
`;

/** Every user likes two of the four. */
const likes = (user: number, item: string) => (user + ITEMS.indexOf(item)) % 2 === 0;

interface RunResult {
  readonly state: string;
  readonly version: number;
  readonly message: string;
}

const twoTowers: TourStep = {
  name: 'two-towers',
  about: 'A network of two towers, with embeddings of users and items as inputs, learns who likes what.',
  async run(context) {
    await context.write('shop-ranker/model.yaml', RANKER);
    await context.json('model', 'push', 'shop-ranker', '--promote');
    const requests = Array.from({ length: REQUESTS }, (_, index) => index % USERS);
    const candidates = ITEMS.map((id, index) => ({ id, price: 1_000 * (index + 1) }));
    const ask = (user: number) =>
      context.client.predict('shop-ranker', { user: `shopper-${user}`, candidates });
    await context.until('the ranker to answer', () => ask(0));
    const answers = await Promise.all(requests.map(ask));
    const results = await context.client.recordOutcomes(
      answers.flatMap(({ predictionId }, index) =>
        ITEMS.map((item) => ({
          ...{ model: 'shop-ranker', predictionId, keys: { item } },
          value: likes(requests[index]!, item),
        })),
      ),
    );
    const refused = results.filter(({ status }) => status === 'refused');
    expectThat(refused.length === 0, 'no outcome refused', `${refused.length} were`);
    const run = await context.json<RunResult>('retrain', 'shop-ranker');
    expectThat(run.state === 'succeeded', 'a run that succeeded', `${run.state}: ${run.message}`);
    const { ranked } = await context.until('the trained version', async () => {
      const answer = await ask(3);
      return answer.version === run.version ? answer : undefined;
    });
    const first = ranked[0]?.id ?? '';
    expectThat(likes(3, first), 'something that the user likes in the first place', `${first} is there`);
    return `version ${run.version} ranks ${first} first for shopper-3: ${run.message}`;
  },
};

const SMALL = `name: small-shop
features:
  - {name: visits, from: request.visits}
  - {name: plan, from: request.plan, transform: [{one_hot: [free, pro]}]}
training: {epochs: 60, batch: 8, optimizer: {adam: {learning_rate: 0.05}}, data: {folds: 4}}
`;

const crossValidation: TourStep = {
  name: 'cross-validation',
  about:
    'Sixty rows of a file are too few to hold some out: four folds judge, and the version learns from all.',
  async run(context) {
    await context.write('small-shop.yaml', SMALL);
    const rows = Array.from({ length: 60 }, (_, index) => {
      const [visits, plan] = [(index * 7) % 40, index % 2 === 0 ? 'free' : 'pro'];
      return `${visits},${plan},${visits < 20 && plan === 'free' ? 1 : 0}`;
    });
    await context.write('small-shop.csv', `visits,plan,left\n${rows.join('\n')}\n`);
    const { metrics } = await context.json<{ metrics: Record<string, number> }>(
      ...['train', 'small-shop.csv', '--model', 'small-shop.yaml', '--label', 'left'],
    );
    const { folds, held_out: judged = 0, trained_on: learnt = 0, auc = 0 } = metrics;
    expectThat(folds === 4 && judged === learnt, 'all rows judged in 4 folds', JSON.stringify(metrics));
    return `AUC ${auc.toFixed(3)} over all ${judged} rows, each judged by a training without it`;
  },
};

export const SEVERAL_INPUT_STEPS: readonly TourStep[] = [twoTowers, crossValidation];
