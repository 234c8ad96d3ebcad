import { randomUUID } from 'node:crypto';
import type { TourContext } from '../tour-context.ts';
import { expectThat } from '../tour-failure.ts';
import type { TourStep } from '../tour-step.ts';
import { CHURN_MANIFEST } from './first-model.ts';

const VISITORS = 1200;
/** One in this many outcomes arrives on the topic, the others through the client library. */
const BY_TOPIC = 2;

interface RunResult {
  readonly state: string;
  readonly version: number;
  readonly examples: number;
  readonly message: string;
}

const visitorOf = (index: number) => ({
  user: `visitor-${index}`,
  request: { visits: index % 40, plan: ['free', 'pro', 'team'][index % 3] as string },
});

const leaves = ({ request }: ReturnType<typeof visitorOf>) => request.plan === 'free' && request.visits < 20;

/** Predicts for many visitors and returns the ids of the predictions. */
async function predictAll(context: TourContext): Promise<string[]> {
  const ids: string[] = [];
  for (let from = 0; from < VISITORS; from += 200) {
    const batch = Array.from({ length: 200 }, (_, index) => visitorOf(from + index));
    const answered = await Promise.all(batch.map((input) => context.client.predict('churn', input)));
    ids.push(...answered.map(({ predictionId }) => predictionId));
  }
  return ids;
}

const outcomes: TourStep = {
  name: 'outcomes',
  about: 'Outcomes arrive, half through the client library, half on a Kafka topic.',
  async run(context) {
    const ids = await predictAll(context);
    context.notes.set('prediction', ids.at(-1) ?? '');
    const events = ids.map((predictionId, index) => ({
      predictionId,
      visitor: visitorOf(index),
      byTopic: index % BY_TOPIC === 0,
    }));
    const bySdk = events.filter(({ byTopic }) => !byTopic);
    const results = await context.client.recordOutcomes(
      bySdk.map(({ predictionId, visitor }) => ({ model: 'churn', predictionId, value: leaves(visitor) })),
    );
    const refused = results.filter(({ status }) => status === 'refused');
    expectThat(refused.length === 0, 'no outcome refused', `${refused.length} were`);
    const time = new Date().toISOString();
    await context.producer.send(
      'churn-outcomes',
      events
        .filter(({ byTopic }) => byTopic)
        .map(({ visitor }) => ({
          key: visitor.user,
          value: JSON.stringify({
            specversion: '1.0',
            id: randomUUID(),
            source: 'tour',
            type: 'left',
            time,
            data: { user: visitor.user, value: leaves(visitor) },
          }),
        })),
    );
    const seen = await context.until('every outcome to be joined', async () => {
      const loop = await context.client.loop('churn');
      return loop.outcomes >= VISITORS ? loop : undefined;
    });
    return `${seen.outcomes} outcomes, ${seen.outcomesUnmatched} unmatched`;
  },
};

const retrain: TourStep = {
  name: 'retrain-and-gate',
  about: 'A training run learns from them; the gate compares it with the live version and lets it through.',
  async run(context) {
    const run = await context.json<RunResult>('retrain', 'churn');
    expectThat(run.state === 'succeeded', 'a run that succeeded', `${run.state}: ${run.message}`);
    expectThat(
      run.examples >= VISITORS,
      `all ${VISITORS} labelled predictions to be used`,
      `${run.examples} were: ${run.message}`,
    );
    return `version ${run.version} from ${run.examples} examples: ${run.message}`;
  },
};

const learnt: TourStep = {
  name: 'learnt-version-answers',
  about: 'The retrained version answers, without a failed request in between.',
  async run(context) {
    const ask = async (visits: number, plan: string) =>
      (await context.client.predict('churn', { user: 'u2', request: { visits, plan } })).score;
    const scores = await context.until('version 2 to tell who leaves', async () => {
      const [leaving, staying] = [await ask(5, 'free'), await ask(30, 'team')];
      return leaving > 0.5 && staying < 0.5 ? { leaving, staying } : undefined;
    });
    return `leaves ${scores.leaving.toFixed(2)}, stays ${scores.staying.toFixed(2)}`;
  },
};

const trace: TourStep = {
  name: 'trace',
  about: 'One prediction, from the request to the version that was trained on it.',
  async run(context) {
    const id = context.notes.get('prediction') ?? '';
    const story = await context.json<{ steps: { kind: string }[] }>('trace', id);
    const kinds = story.steps.map(({ kind }) => kind);
    for (const kind of ['prediction', 'outcome', 'run'])
      expectThat(
        kinds.some(
          (seen) => seen.startsWith(kind) || seen === kind || (kind === 'prediction' && seen === 'request'),
        ),
        `a step of kind ${kind}`,
        `the steps are ${kinds.join(', ')}`,
      );
    return kinds.join(' -> ');
  },
};

const rollback: TourStep = {
  name: 'rollback-and-promote',
  about: 'Back to version 1, which is still warm, and forward again.',
  async run(context) {
    await context.json('model', 'rollback', 'churn', '--actor', 'tour');
    const back = await context.json<{ model: { liveVersion: number } }>('model', 'show', 'churn');
    expectThat(back.model.liveVersion === 1, 'version 1 live', `version ${back.model.liveVersion} is`);
    await context.json('model', 'promote', 'churn', '2', '--actor', 'tour');
    return 'version 1, then version 2 again';
  },
};

const threshold: TourStep = {
  name: 'edited-threshold',
  about: 'A changed threshold keeps the trained weights.',
  async run(context) {
    await context.write(
      'churn/model.yaml',
      `${CHURN_MANIFEST}decision: {threshold: 0.3, labels: [stays, leaves]}\n`,
    );
    const pushed = await context.json<PushedEdit>('model', 'push', 'churn', '--promote');
    const score = await context.until('the new version to answer', async () => {
      const { version, score, label } = await context.client.predict('churn', {
        user: 'u3',
        request: { visits: 5, plan: 'free' },
      });
      return version === pushed.version ? { score, label } : undefined;
    });
    expectThat(
      score.score > 0.5 && score.label === 'leaves',
      'the trained weights with the new labels',
      `the score is ${score.score}, the label ${score.label}`,
    );
    return `version ${pushed.version}: ${score.label} with ${score.score.toFixed(2)}`;
  },
};

interface PushedEdit {
  readonly version: number;
}

export const LOOP_STEPS: readonly TourStep[] = [outcomes, retrain, learnt, trace, rollback, threshold];
