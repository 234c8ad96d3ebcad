import { expectThat } from '../tour-failure.ts';
import type { TourStep } from '../tour-step.ts';
import { CHURN_MANIFEST } from './first-model.ts';

interface SearchResult {
  readonly state: string;
  readonly message: string;
  readonly runs: readonly { readonly kind: string; readonly state: string }[];
}

const search: TourStep = {
  name: 'search',
  about:
    'Trials of other training settings run through the queue; the winner is judged on rows that no trial saw.',
  async run(context) {
    const found = await context.json<SearchResult>(
      ...['search', 'churn', '--trials', '3', '--rounds', '2', '--parallel', '2'],
    );
    const ended = found.runs.filter(({ kind, state }) => kind === 'trial' && state === 'succeeded');
    expectThat(ended.length === 4, 'four trials that ended well', `${ended.length} did: ${found.message}`);
    return found.message;
  },
};

interface ReplayResult {
  readonly requests: number;
  readonly compared: { readonly metric: string; readonly candidate: number; readonly against: number };
}

const replay: TourStep = {
  name: 'replay',
  about: 'Logged requests go through version 1 once more, with the features as they were served.',
  async run(context) {
    const { requests, compared } = await context.json<ReplayResult>(
      'replay',
      'churn',
      '--candidate',
      '1',
      '--since',
      '1h',
    );
    expectThat(
      compared.candidate < compared.against,
      'the untrained version to be worse than the live one',
      `${compared.metric} is ${compared.candidate} against ${compared.against}`,
    );
    return `${requests} requests: ${compared.metric} ${compared.candidate.toFixed(3)} against ${compared.against.toFixed(3)} live`;
  },
};

const TRAINER = `training:
  trainer: {command: [python3, train_sklearn.py], settings: {trees: 30}}
  gate: {at_least: -0.2}
`;

const externalTrainer: TourStep = {
  name: 'external-trainer',
  about: 'A Python program trains a forest from the same labels; the same gate judges it.',
  async run(context) {
    const manifest = CHURN_MANIFEST.slice(0, CHURN_MANIFEST.indexOf('training:')) + TRAINER;
    await context.write('churn-forest/model.yaml', manifest);
    await context.json('model', 'push', 'churn-forest', '--promote');
    const { exitCode, out, err } = await context.command('retrain', 'churn', '--hold', '--json');
    const said = `${out}${err}`;
    if (/cannot be started|ModuleNotFoundError/.test(said))
      return { skipped: 'needs python3 with scikit-learn, skl2onnx and pyarrow' };
    expectThat(exitCode === 0, 'a forest that the gate accepts', said.trim());
    const run = JSON.parse(out) as { version: number; message: string };
    return `version ${run.version}: ${run.message}`;
  },
};

export const IMPROVE_STEPS: readonly TourStep[] = [search, replay, externalTrainer];
