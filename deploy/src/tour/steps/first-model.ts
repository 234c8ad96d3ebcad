import { expectThat } from '../tour-failure.ts';
import type { TourStep } from '../tour-step.ts';

/** The model of the first part: will a visitor of the shop leave? */
export const CHURN_MANIFEST = `name: churn
task: binary
features:
  - {name: visits, from: request.visits, missing: 0, transform: [log1p]}
  - {name: plan, from: request.plan, transform: [{one_hot: [free, pro, team]}]}
outcome: {from: "kafka:churn-outcomes", join: [user], window: 7d}
training: {epochs: 20, optimizer: {adam: {learning_rate: 0.01}}}
`;

interface PushedVersion {
  readonly version: number;
  readonly created: boolean;
}

const pushAndPromote: TourStep = {
  name: 'push-and-promote',
  about: 'A model.yaml becomes version 1 and goes live.',
  async run(context) {
    await context.write('churn/model.yaml', CHURN_MANIFEST);
    const pushed = await context.json<PushedVersion>('model', 'push', 'churn', '--promote');
    expectThat(pushed.version === 1, 'version 1', `version ${pushed.version} was registered`);
    return 'version 1 of churn is live, untrained';
  },
};

const predictBySdk: TourStep = {
  name: 'predict-by-sdk',
  about: 'The client library asks the front door.',
  async run(context) {
    const input = { user: 'u1', request: { visits: 7, plan: 'pro' } };
    const prediction = await context.until('a prediction', () => context.client.predict('churn', input));
    expectThat(
      prediction.score > 0 && prediction.score < 1,
      'a probability',
      `the score is ${prediction.score}`,
    );
    return `score ${prediction.score.toFixed(3)} of version ${prediction.version}`;
  },
};

const predictByProtocol: TourStep = {
  name: 'predict-by-protocol',
  about: 'Any client of the Open Inference Protocol asks compute.',
  async run(context) {
    const answer = await context.http<{ outputs: { data: number[] }[] }>(
      'compute',
      'POST',
      '/v2/models/churn/infer',
      { inputs: [{ name: 'input', datatype: 'FP32', shape: [1, 4], data: [2.08, 0, 1, 0] }] },
    );
    const score = answer.outputs[0]?.data[0] ?? Number.NaN;
    expectThat(Number.isFinite(score), 'one finite output', JSON.stringify(answer));
    return `output ${score.toFixed(3)} over REST`;
  },
};

export const FIRST_MODEL_STEPS: readonly TourStep[] = [pushAndPromote, predictBySdk, predictByProtocol];
