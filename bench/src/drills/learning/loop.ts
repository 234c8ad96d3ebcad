import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AnswerLog } from '@hotloop/deploy/demo/answer-log.ts';
import { openStage, type Stage } from '@hotloop/deploy/demo/demo-stage.ts';
import { judgeVersions } from '@hotloop/deploy/demo/judge-versions.ts';
import { storefrontStory } from '@hotloop/deploy/demo/storefront-story.ts';
import type { Story } from '@hotloop/deploy/demo/story.ts';
import { Traffic } from '@hotloop/deploy/demo/traffic.ts';
import { type Figure, figure } from '../../figure.ts';
import { benchFolder } from '../../stand/bench-folder.ts';
import { CACHE } from '../../stand/bench-local.ts';
import type { Drill } from '../drill.ts';

const LIMIT_MS = 15 * 60_000;
const PER_SECOND = 200;
/** New outcomes that start a run; the gate needs 500 held-out rows, which result from this many visits. */
const TRIGGER = 1_500;
const POLL_MS = 50;
const JUDGED = 600;
/** Share of what the live version lost when preferences changed. */
const RECOVERED = 0.9;

/**
 * The storefront example without intervention: visitors come, their preferences change from winter to summer,
 * purchases arrive through Kafka, and a run starts by `training.trigger.labels`. `loop_s`: from the arrival of the
 * last label that the trigger needs to the first answer of the better version. `drift_recovery_s`: from the same time
 * to the first answer of a version that has recovered 90 % of what the live version lost in AUC by the change.
 */
export const drillLoop: Drill = async ({ say }): Promise<Figure[]> => {
  const signal = AbortSignal.timeout(LIMIT_MS);
  await using folder = await benchFolder();
  const built = storefrontStory(1);
  const trigger = `  gate: {metric: auc, at_least: 0.0, min_examples: 500}\n  trigger: {labels: ${TRIGGER}}\n`;
  const manifestYaml = built.manifestYaml.replace(
    /^ {2}gate: \{metric: auc, at_least: 0\.0, min_examples: 500\}\n/m,
    trigger,
  );
  const story: Story = { ...built, manifestYaml };
  await using stage = await openStage(
    {
      ...{
        story,
        single: true,
        freePorts: true,
        folder: join(folder.path, 'local'),
        cacheDir: CACHE,
        addresses: {},
      },
      ...{ environment: { HOTLOOP_LOG_LEVEL: 'warn' }, apiKey: undefined, say },
    },
    signal,
  );
  const winter = await judged(stage, story, 2, [1], signal);
  const log = new AnswerLog();
  let visits = 0;
  await using _traffic = new Traffic({
    ...{ client: stage.client, model: story.model, perSecond: PER_SECOND, log },
    // It is summer from the first visit on: the example's own rounds start with some of winter.
    next: () => story.visit(1, 500 + visits++),
    onAnswer: (visit) => stage.publisher.follow(visit.followUps),
    onFailure: (error) =>
      say(`a prediction failed: ${error instanceof Error ? error.message : String(error)}`),
  });
  const enough = await labelsArrive(stage, story.model, TRIGGER, signal);
  say(`${TRIGGER} labels are there after ${visits} visits`);
  let better: number | null = null;
  let flipped = Number.NaN;
  for (let version = 2; ; version++) {
    const answered = await firstAnswer(log, version, signal);
    const aucs = await judged(stage, story, 1, [1, version], signal);
    flipped = aucs[0]!;
    const seconds = (answered - enough) / 1000;
    const share = (aucs[1]! - flipped) / (winter[0]! - flipped);
    say(
      `version ${version} answers after ${seconds.toFixed(1)} s: AUC ${aucs[1]!.toFixed(4)}, version 1 ` +
        `${flipped.toFixed(4)} (${winter[0]!.toFixed(4)} before): ${Math.round(100 * share)} % recovered`,
    );
    if (aucs[1]! > flipped) better ??= seconds;
    if (better !== null && share >= RECOVERED)
      return [
        figure('loop_s', [better], { atMost: 60 }),
        figure('drift_recovery_s', [seconds], { atMost: 120 }),
        figure('drift_recovered', [share]),
      ];
  }
};

/** AUC of versions on sessions that were not used for training: winter in an even round, summer in an odd one. */
async function judged(
  { client }: Stage,
  story: Story,
  round: number,
  versions: readonly number[],
  signal: AbortSignal,
): Promise<readonly number[]> {
  const sessions = story.judgedSessions(round).slice(0, JUDGED);
  const { verdicts } = await judgeVersions(client, story.model, versions, sessions, signal);
  return verdicts.map(({ auc }) => auc);
}

/** The time, on the monotonic clock, at which this many outcomes are in Postgres. */
async function labelsArrive(
  { pool }: Stage,
  model: string,
  wanted: number,
  signal: AbortSignal,
): Promise<number> {
  for (;;) {
    const { rows } = await pool.query<{ outcomes: string }>(
      `SELECT count(*) AS outcomes FROM outcome WHERE model = $1 AND kind = 'label'`,
      [model],
    );
    if (Number(rows[0]?.outcomes ?? 0) >= wanted) return performance.now();
    await delay(POLL_MS, undefined, { signal });
  }
}

async function firstAnswer(log: AnswerLog, version: number, signal: AbortSignal): Promise<number> {
  for (;;) {
    const dueAt = log.firstDueOf(version);
    if (dueAt !== undefined) return dueAt;
    await delay(POLL_MS, undefined, { signal });
  }
}
