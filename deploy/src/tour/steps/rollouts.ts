import { readFile } from 'node:fs/promises';
import { decodeModel, encodeModel, type OnnxModel } from '@hotloop/model/onnx/model.ts';
import { float32Tensor } from '@hotloop/model/onnx/tensor.ts';
import type { TourContext } from '../tour-context.ts';
import { expectThat } from '../tour-failure.ts';
import type { TourStep } from '../tour-step.ts';
import { CHURN_MANIFEST } from './first-model.ts';

const LABELS = 'labels: [stays, leaves]';
const USERS = 300;

interface Pushed {
  readonly version: number;
}

interface RolloutView {
  readonly rolloutId: string;
  readonly state: string;
  readonly message: string;
  readonly version: number;
  readonly fromVersion: number | null;
}

const visitor = (index: number) => ({
  user: `rollout-${index}`,
  request: { visits: index % 40, plan: ['free', 'pro', 'team'][index % 3] as string },
});

const leaves = ({ request }: ReturnType<typeof visitor>) => request.plan === 'free' && request.visits < 20;

const predictAll = (context: TourContext, count: number) =>
  Promise.all(Array.from({ length: count }, (_, index) => context.client.predict('churn', visitor(index))));

/** Pushes churn with another threshold and returns the version. */
async function pushThreshold(context: TourContext, threshold: number): Promise<number> {
  await context.write(
    'churn/model.yaml',
    `${CHURN_MANIFEST}decision: {threshold: ${threshold}, ${LABELS}}\n`,
  );
  return (await context.json<Pushed>('model', 'push', 'churn')).version;
}

const shadow: TourStep = {
  name: 'shadow',
  about: 'A new version gets copies of the requests; its answers are logged and not returned.',
  async run(context) {
    const version = await pushThreshold(context, 0.4);
    context.notes.set('rollout-version', String(version));
    const begun = await context.json<RolloutView>(
      ...['promote', 'churn', String(version), '--mode', 'shadow', '--actor', 'tour'],
    );
    const shadows = await context.until('answers of the shadow in the log', async () => {
      const answers = await predictAll(context, 40);
      expectThat(
        answers.every((answer) => answer.version !== version),
        'no caller to see the shadow',
        `version ${version} answered`,
      );
      const { rows } = await context.pool.query<{ count: string }>(
        `SELECT count(*) AS count FROM prediction WHERE model = 'churn' AND version = $1 AND variant = 'shadow'`,
        [version],
      );
      return Number(rows[0]?.count) > 0 ? Number(rows[0]?.count) : undefined;
    });
    await context.json('rollout', 'abort', begun.rolloutId, '--yes', '--actor', 'tour');
    return `${shadows} answers of version ${version}, none of them shown`;
  },
};

const canary: TourStep = {
  name: 'canary',
  about: 'It answers half of the users, each user always by the same version; then it goes live.',
  async run(context) {
    const version = Number(context.notes.get('rollout-version'));
    const begun = await context.json<RolloutView>(
      ...['promote', 'churn', String(version), '--mode', 'canary', '--steps', '50', '--advance', 'manual'],
    );
    const first = await context.until('the canary to answer', async () => {
      const answers = await predictAll(context, USERS);
      return answers.some((answer) => answer.version === version) ? answers : undefined;
    });
    const again = await predictAll(context, USERS);
    const share = again.filter((answer) => answer.version === version).length / USERS;
    expectThat(share > 0.35 && share < 0.65, 'about half of the users', `${Math.round(share * 100)} %`);
    const moved = again.filter((answer, index) => answer.version !== first[index]?.version).length;
    expectThat(moved === 0, 'every user to stay with a version', `${moved} changed`);
    await context.json('rollout', 'advance', begun.rolloutId, '--actor', 'tour');
    await context.until('the version to be live', async () => {
      const answers = await predictAll(context, 20);
      return answers.every((answer) => answer.version === version) ? true : undefined;
    });
    return `${Math.round(share * 100)} % of ${USERS} users, none changed sides; then live`;
  },
};

const explain: TourStep = {
  name: 'explain',
  about: 'A prediction is explained: the effects of its features add up to its score.',
  async run(context) {
    const { predictionId } = await context.client.predict('churn', visitor(3));
    const found = await context.until('the prediction in the log', () =>
      context
        .json<{
          readonly method: string;
          readonly score: number;
          readonly reference: number;
          readonly sum: number;
          readonly features: readonly { readonly name: string; readonly attribution: number }[];
        }>('explain', predictionId)
        .catch(() => undefined),
    );
    const gap = Math.abs(found.sum - (found.score - found.reference));
    const effects = found.features.reduce((sum, { attribution }) => sum + Math.abs(attribution), 0);
    expectThat(gap <= Math.max(1e-4, 0.01 * effects), 'effects that add up to the score', `they miss ${gap}`);
    return `${found.features[0]?.name} moved it most, by ${found.method.replaceAll('_', ' ')}`;
  },
};

/** The same network with an inverted answer: 1 minus the score. */
function inverted(model: OnnxModel): OnnxModel {
  const { graph } = model;
  const output = graph.outputs[0]?.name ?? '';
  const inner = `${output}_upright`;
  const nodes = graph.nodes.map((node) => ({
    ...node,
    outputs: node.outputs.map((name) => (name === output ? inner : name)),
    inputs: node.inputs.map((name) => (name === output ? inner : name)),
  }));
  const one = 'tour_one';
  const turn = {
    name: 'turn',
    operator: 'Sub',
    domain: '',
    inputs: [one, inner],
    outputs: [output],
    attributes: new Map(),
  };
  const initializers = new Map(graph.initializers).set(one, float32Tensor([1], [1]));
  return { ...model, graph: { ...graph, nodes: [...nodes, turn], initializers } };
}

const badModel: TourStep = {
  name: 'automatic-rollback',
  about: 'A version that says the opposite goes live; the outcomes that arrive roll it back without anybody.',
  async run(context) {
    const live = await context.json<{ model: { liveVersion: number } }>('model', 'show', 'churn');
    const good = live.model.liveVersion;
    const tell = async (answers: Awaited<ReturnType<typeof predictAll>>) => {
      await context.client.recordOutcomes(
        answers.map(({ predictionId }, index) => ({
          model: 'churn',
          predictionId,
          value: leaves(visitor(index)),
        })),
      );
    };
    await tell(await predictAll(context, USERS));
    await context.command('model', 'pull', 'churn', String(good), '--output', 'pulled');
    const pulled = await readFile(`${context.folder}/pulled/model.onnx`);
    await context.write('churn/model.onnx', encodeModel(inverted(decodeModel(pulled))));
    await context.write(
      'churn/model.yaml',
      `${CHURN_MANIFEST}decision: {threshold: 0.4, ${LABELS}}\nrollout: {mode: at_once, rollback: {metric_drop: 0.05, watch: 10m}}\n`,
    );
    const { version } = await context.json<Pushed>('model', 'push', 'churn');
    await context.json('promote', 'churn', String(version), '--actor', 'tour');
    const begun = performance.now();
    await context.until('the bad version to answer', async () => {
      const [answer] = await predictAll(context, 1);
      return answer?.version === version ? true : undefined;
    });
    let failed = 0;
    await context.until(
      'an automatic rollback',
      async () => {
        const answers = await predictAll(context, USERS).catch(() => {
          failed += 1;
          return [];
        });
        await tell(answers);
        return answers.length > 0 && answers.every((answer) => answer.version === good) ? true : undefined;
      },
      120_000,
    );
    expectThat(failed === 0, 'no failed request', `${failed} batches failed`);
    const rows = await context.json<{ action: string; version: number }[]>('ledger', 'show', 'churn');
    const told = rows.some((row) => row.action === 'rollback' && row.version === good);
    expectThat(told, 'a rollback in the ledger', JSON.stringify(rows.slice(-3)));
    return `version ${good} again after ${((performance.now() - begun) / 1000).toFixed(1)} s`;
  },
};

export const ROLLOUT_STEPS: readonly TourStep[] = [shadow, canary, explain, badModel];
