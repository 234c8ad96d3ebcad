import { setTimeout as delay } from 'node:timers/promises';
import type { Run } from '@hotloop/client';
import type { AnswerLog } from './answer-log.ts';
import type { SwapReport } from './demo-result.ts';
import type { Stage } from './demo-stage.ts';
import { outcomeCount } from './logged-counts.ts';
import type { Story } from './story.ts';

/** The first answers of a process are slow for other reasons, so they count neither as steady nor as swap. */
const SETTLING_IN_MS = 3000;
/** How long after the first answer of the new version the swap is observed. */
const AFTER_SWAP_MS = 3000;
const POLL_MS = 100;
const OUTCOMES_TIMEOUT_MS = 30_000;
const RUN_TIMEOUT_MS = 120_000;
const SWAP_TIMEOUT_MS = 15_000;

/** Result of one round of learning. */
export interface RoundReport {
  readonly run: Run;
  /** Null when no new version was promoted. */
  readonly swap: SwapReport | null;
  /** Answered predictions per second while training, and through the swap. */
  readonly perSecondTraining: number;
  readonly perSecondDuring: number;
}

export interface RoundContext {
  readonly stage: Stage;
  readonly story: Story;
  readonly log: AnswerLog;
  /** Visits of this round sent so far. */
  readonly visits: () => number;
  readonly say: (sentence: string) => void;
  /** Shows the state of the run in the status line. */
  readonly onRun: (run: Run) => void;
}

/** Waits for the round's labels, requests the training of the next version, and observes its promotion. */
export async function learningRound(context: RoundContext, signal: AbortSignal): Promise<RoundReport> {
  const { stage, story, log } = context;
  const steadyFrom = performance.now() + SETTLING_IN_MS;
  await waitForLabels(context, signal);
  const steadyTo = performance.now();
  const { runId } = await stage.client.retrain(story.model, { reason: 'enough new labels', signal });
  const trainingFrom = performance.now();
  let promotingFrom: number | undefined;
  let run: Run | undefined;
  const within = AbortSignal.any([signal, AbortSignal.timeout(RUN_TIMEOUT_MS)]);
  for await (const state of stage.client.runs.watch(runId, { signal: within })) {
    run = state;
    context.onRun(state);
    if (state.state === 'registering' || state.state === 'promoting') promotingFrom ??= performance.now();
  }
  if (!run) throw new Error('the retrainer reported nothing about the run');
  const endedAt = performance.now();
  const training = log.between(trainingFrom, promotingFrom ?? endedAt);
  const kept = { run, perSecondTraining: training.perSecond };
  if (run.state !== 'succeeded' || run.version === 0) return { ...kept, swap: null, perSecondDuring: 0 };

  const firstDueAt = await firstAnswerOf(log, run.version, signal);
  if (firstDueAt === undefined) return { ...kept, swap: null, perSecondDuring: 0 };
  context.say(
    `version ${run.version} is live: learnt from ${run.examples.toLocaleString('en')} examples, while requests kept coming`,
  );
  const swapTo = Math.max(firstDueAt, endedAt) + AFTER_SWAP_MS;
  await delay(Math.max(0, swapTo - performance.now()), undefined, { signal });
  // Predictions that were due before the end count as well, however late their answers are.
  while (!log.isSettledBefore(swapTo)) await delay(POLL_MS, undefined, { signal });
  const during = log.between(promotingFrom ?? endedAt, swapTo);
  const steady = log.between(steadyFrom, steadyTo);
  return {
    ...kept,
    perSecondDuring: during.perSecond,
    swap: {
      from: run.parentVersion,
      to: run.version,
      failed_during: during.failed,
      p50_ms_steady: steady.p50Ms,
      p99_ms_steady: steady.p99Ms,
      p99_ms_training: training.p99Ms,
      p99_ms_during: during.p99Ms,
    },
  };
}

/** Waits until the round's visits have been made, their outcome windows have closed, and every outcome has arrived. */
async function waitForLabels(context: RoundContext, signal: AbortSignal): Promise<void> {
  const { stage, story, say } = context;
  while (context.visits() < story.learningVisits) await delay(POLL_MS, undefined, { signal });
  await delay(story.settleMs, undefined, { signal });
  const wanted = stage.publisher.outcomes;
  const endsAt = performance.now() + OUTCOMES_TIMEOUT_MS;
  for (;;) {
    const outcomes = await outcomeCount(stage.pool, story.model);
    if (outcomes >= wanted) {
      say(`${outcomes.toLocaleString('en')} labels have arrived: the next version is asked for`);
      return;
    }
    if (performance.now() > endsAt)
      throw new Error(`${wanted} outcomes were published, and only ${outcomes} arrived within 30 s`);
    await delay(3 * POLL_MS, undefined, { signal });
  }
}

async function firstAnswerOf(
  log: AnswerLog,
  version: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const endsAt = performance.now() + SWAP_TIMEOUT_MS;
  for (;;) {
    const dueAt = log.firstDueOf(version);
    if (dueAt !== undefined || performance.now() > endsAt) return dueAt;
    await delay(POLL_MS, undefined, { signal });
  }
}
