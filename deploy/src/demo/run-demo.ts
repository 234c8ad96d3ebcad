import type { Writable } from 'node:stream';
import type { Run } from '@hotloop/client';
import { AnswerLog } from './answer-log.ts';
import { type DemoResult, demoResult, type Measured } from './demo-result.ts';
import { openStage, type Stage, type StageOptions } from './demo-stage.ts';
import { demoSummary } from './demo-summary.ts';
import { type Judgement, judgeVersions } from './judge-versions.ts';
import { learningRound, type RoundReport } from './learning-round.ts';
import { outcomeCount, shippedCounts } from './logged-counts.ts';
import { type StatusLine, statusLine } from './status-line.ts';
import type { Story } from './story.ts';
import { Traffic } from './traffic.ts';

const LABELS_POLL_MS = 1000;
const SHIPPED_TIMEOUT_MS = 30_000;
const SHIPPED_AFTER_STOP_MS = 2000;
const RATE_WINDOW_MS = 3000;

export interface DemoOptions extends Omit<StageOptions, 'say'> {
  /** One round, then the result; otherwise round after round until the signal. */
  readonly once: boolean;
  readonly perSecond: number;
  /** The output stream for the user. */
  readonly talk: Writable & { readonly isTTY?: boolean };
  /** Start of the command, on the monotonic clock. */
  readonly startedAt: number;
}

/** What is shown to the user, collected from everywhere. */
interface Board {
  liveVersion: number;
  labels: number;
  retrainer: string;
  problem: string | undefined;
}

/** Completed rounds, for the summary. */
interface RoundRecord {
  readonly report: RoundReport;
  readonly judgement: Judgement | undefined;
}

/**
 * The whole loop, on real services: version 1 serves, outcomes arrive, the next version is trained, evaluated and
 * promoted while traffic continues. Resolves when one round is complete, or when the signal fires; everything is
 * stopped then.
 */
export async function runDemo(options: DemoOptions, signal: AbortSignal): Promise<DemoResult> {
  const { story, talk } = options;
  const board: Board = { liveVersion: 0, labels: 0, retrainer: 'waiting for labels', problem: undefined };
  const log = new AnswerLog();
  let serving = false;
  using line = statusLine(talk, () => (serving ? presentStatus(board, log, options) : undefined));
  line.say(`hotloop: ${story.title}`);
  await using stage = await openStage({ ...options, say: (text) => line.say(`hotloop: ${text}`) }, signal);
  serving = true;
  const rounds: RoundRecord[] = [];
  let judged = { answered: 0, failed: 0 };
  try {
    using _watch = watchLabels(stage, story, board);
    for (let round = 1; round <= story.rounds; round += 1) {
      const record = await playRound({ stage, story, log, board, line, round, options }, signal);
      rounds.push(record);
      judged = {
        answered: judged.answered + (record.judgement?.answered ?? 0),
        failed: judged.failed + (record.judgement?.failed ?? 0),
      };
      if (options.once) break;
    }
    if (!options.once) await keepServing({ stage, story, log, board, line, options }, signal);
  } catch (error) {
    // Ctrl-C in the middle of a demonstration is its normal end; for a measured run it means an incomplete result.
    if (!signal.aborted) board.problem = error instanceof Error ? error.message : String(error);
    else if (options.once) throw error;
  }
  serving = false;
  const answered = stage.answered + log.answered + judged.answered;
  // After Ctrl-C the user does not want to wait long for the last rows to be shipped.
  const patienceMs = signal.aborted ? SHIPPED_AFTER_STOP_MS : SHIPPED_TIMEOUT_MS;
  const counts = await shippedCounts(stage.pool, story.model, answered, patienceMs);
  const last = rounds.at(-1);
  const measured: Measured = {
    predictions: answered,
    failed: log.failed + judged.failed,
    logged: counts.predictions,
    outcomes: counts.outcomes,
    verdicts: last?.judgement?.verdicts ?? [],
    swap: last?.report.swap ?? null,
    perSecondDuring: last?.report.perSecondDuring ?? 0,
    elapsedMs: performance.now() - options.startedAt,
    problem: board.problem ?? refusalOf(last),
  };
  line.say(demoSummary({ measured, rounds, logFolder: stage.local.logFolder }));
  line.say('hotloop: stopping');
  return demoResult(measured);
}

interface PlayContext {
  readonly stage: Stage;
  readonly story: Story;
  readonly log: AnswerLog;
  readonly board: Board;
  readonly line: StatusLine;
  readonly options: DemoOptions;
}

/** Traffic and learning run concurrently; then both versions are evaluated on later sessions. */
async function playRound(
  context: PlayContext & { readonly round: number },
  signal: AbortSignal,
): Promise<RoundRecord> {
  const { stage, story, log, board, line, round, options } = context;
  const say = (sentence: string) => line.say(`hotloop: ${sentence}`);
  let visits = 0;
  let report: RoundReport;
  {
    await using _traffic = openTraffic(context, () => {
      const remark = story.remark(round, visits);
      if (remark) say(remark);
      return story.visit(round, visits++);
    });
    const onRun = (run: Run) => {
      board.retrainer = describeRun(run);
    };
    report = await learningRound({ stage, story, log, visits: () => visits, say, onRun }, signal);
    // In interactive mode the traffic continues while the versions are evaluated.
    if (!options.once) return { report, judgement: await judge(context, report, signal) };
  }
  return { report, judgement: await judge(context, report, signal) };
}

async function judge(
  { stage, story, line, board, round }: PlayContext & { readonly round: number },
  { swap }: RoundReport,
  signal: AbortSignal,
): Promise<Judgement | undefined> {
  if (!swap) return undefined;
  board.retrainer = 'judging both versions on later sessions';
  const sessions = story.judgedSessions(round);
  const judgement = await judgeVersions(stage.client, story.model, [swap.from, swap.to], sessions, signal);
  const words = judgement.verdicts.map(({ version, auc }) => `version ${version} has AUC ${auc.toFixed(4)}`);
  line.say(`hotloop: on ${sessions.length} later sessions that neither has learnt from, ${words.join(', ')}`);
  board.retrainer = 'waiting for labels';
  return judgement;
}

/** After the last round the demonstration continues to serve until Ctrl-C. */
async function keepServing(context: PlayContext, signal: AbortSignal): Promise<void> {
  const { story, board, line } = context;
  line.say('hotloop: the demonstration is complete; serving continues until Ctrl-C');
  board.retrainer = 'idle';
  let visits = story.learningVisits;
  await using _traffic = openTraffic(context, () => story.visit(story.rounds, visits++));
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function openTraffic(
  { stage, story, log, board, options, line }: PlayContext,
  next: ConstructorParameters<typeof Traffic>[0]['next'],
): Traffic {
  let failures = 0;
  return new Traffic({
    client: stage.client,
    model: story.model,
    perSecond: options.perSecond,
    log,
    next,
    onAnswer: (visit, prediction) => {
      board.liveVersion = Math.max(board.liveVersion, prediction.version);
      stage.publisher.follow(visit.followUps);
    },
    onFailure: (error) => {
      if (failures++ < 3)
        line.say(`hotloop: a prediction failed: ${error instanceof Error ? error.message : String(error)}`);
    },
  });
}

/** Periodically counts the labels that have arrived. */
function watchLabels(stage: Stage, story: Story, board: Board): Disposable {
  const timer = setInterval(() => {
    outcomeCount(stage.pool, story.model).then(
      (labels) => {
        board.labels = labels;
      },
      // The line keeps the last number; other lines report that Postgres cannot be reached.
      () => undefined,
    );
  }, LABELS_POLL_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function presentStatus(board: Board, log: AnswerLog, options: DemoOptions) {
  const now = performance.now();
  const recent = log.between(now - RATE_WINDOW_MS, now);
  return {
    elapsedMs: now - options.startedAt,
    perSecond: recent.perSecond,
    p50Ms: recent.p50Ms,
    p99Ms: recent.p99Ms,
    liveVersion: board.liveVersion,
    failed: log.failed,
    labels: board.labels,
    auc: log.recentAuc(),
    retrainer: board.retrainer,
  };
}

function describeRun(run: Run): string {
  if (run.state === 'training') return `training ${Math.round(run.progress * 100)}%`;
  return run.message === '' || run.state === 'promoting' ? run.state : `${run.state}: ${run.message}`;
}

function refusalOf(last: RoundRecord | undefined): string | undefined {
  if (!last) return 'the loop was not closed once';
  const { run, swap } = last.report;
  if (run.state !== 'succeeded') return `the training run was ${run.state}: ${run.message}`;
  return swap ? undefined : `version ${run.version} answered nothing after its promotion`;
}
