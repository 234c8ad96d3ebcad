import { setTimeout as delay } from 'node:timers/promises';
import { type Figure, figure } from '../../figure.ts';
import { quantile } from '../../interleave.ts';
import { benchFolder } from '../../stand/bench-folder.ts';
import { descendantsOf } from '../../stand/process-tree.ts';
import { openRolloutStand, type RolloutStand } from '../../stand/rollout-stand.ts';
import type { Drill } from '../drill.ts';
import { until } from '../until.ts';
import { askSteadily } from './ask-steadily.ts';
import { DRILL_MODEL, drillManifest, linearScore } from './drill-models.ts';

const PAIRS = 10;
const TURN_MS = 8_000;
/** A fraction of what the platform can do, so that the tail of the latency is that of single requests and not of a queue. */
const PER_SECOND = 200;
const LOOK_MS = 100;
/** Compute treats a longer run as hung. The primary must not seem so either where the machine has little time to give. */
const HANG_MS = '2000';

/**
 * A shadow whose runner hangs (SIGSTOP) in every other pair and crashes (SIGKILL) in the others: the primary's p99
 * with it divided by its p99 without it, the median of ten interleaved pairs (`shadow_p99`), and failed predictions.
 */
export const drillShadow: Drill = async ({ say }): Promise<Figure[]> => {
  await using folder = await benchFolder();
  await using stand = await openRolloutStand({
    ...{ folder: folder.path, nodes: 1, computeEnvironment: { HOTLOOP_HANG_MS: HANG_MS } },
  });
  const manifestYaml = drillManifest('rollout: {mode: at_once}\n');
  await stand.client.models.push({ manifestYaml, onnx: linearScore(3, 0) }).finished();
  await stand.client.models.push({ manifestYaml, onnx: linearScore(3, 1) }).finished();
  await stand.client.models.promote(DRILL_MODEL, 1, { actor: 'drill' }).finished();
  await until('the first answer', async () => {
    const answer = await stand.client.predict(DRILL_MODEL, { request: { x: 0 } }).catch(() => undefined);
    return answer?.version === 1;
  });
  const own = new Set(descendantsOf(stand.computes[0]?.pid ?? 0));
  await turn(stand, own);
  const ratios: number[] = [];
  const counts = { asked: 0, failed: 0, broken: 0 };
  for (let pair = 0; pair < PAIRS; pair++) {
    const signal = pair % 2 === 0 ? 'SIGSTOP' : 'SIGKILL';
    const p99: Record<'with' | 'without', number> = { with: 0, without: 0 };
    const sides = (['with', 'without'] as const).toSorted(() => (pair % 4 < 2 ? -1 : 1));
    for (const side of sides) {
      const { latencies, errors, broken } = await (side === 'with'
        ? brokenTurn(stand, own, signal)
        : turn(stand, own));
      const failed = errors.length;
      for (const error of new Set(errors)) say(`${failed} failed ${side} the shadow, such as: ${error}`);
      p99[side] = quantile(latencies, 0.99);
      counts.asked += latencies.length + failed;
      counts.failed += failed;
      counts.broken += broken.length;
    }
    ratios.push(p99.with / p99.without);
    say(
      `pair ${pair + 1}, shadow ${signal === 'SIGSTOP' ? 'hangs' : 'crashes'}: p99 ${p99.with.toFixed(1)} ms with it, ${p99.without.toFixed(1)} without`,
    );
  }
  if (counts.broken === 0) throw new Error('no runner of the shadow was found to break');
  return [
    figure('shadow_p99', ratios, { atMost: 1.1 }),
    figure('shadow_failed', [counts.failed], { atMost: 0 }),
    figure('shadow_asked', [counts.asked]),
    figure('shadow_broken', [counts.broken]),
  ];
};

interface Turn {
  readonly latencies: readonly number[];
  /** What predictions failed with. */
  readonly errors: readonly string[];
  /** Runners that were stopped or killed. */
  readonly broken: readonly number[];
}

/** @param signal breaks every runner that is not one of `own`, as soon as it appears. */
async function turn(
  { client, computes }: RolloutStand,
  own: ReadonlySet<number>,
  signal?: 'SIGSTOP' | 'SIGKILL',
): Promise<Turn> {
  const stop = new AbortController();
  const broken: number[] = [];
  // Looked for in both kinds of turns: a look takes time of the process that measures.
  const looking = (async () => {
    while (!stop.signal.aborted) {
      for (const pid of descendantsOf(computes[0]?.pid ?? 0))
        if (signal !== undefined && !own.has(pid) && !broken.includes(pid)) {
          broken.push(pid);
          signalOne(pid, signal);
        }
      await delay(LOOK_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  const asking = askSteadily(client, PER_SECOND);
  await delay(TURN_MS);
  await asking.stop();
  stop.abort();
  await looking;
  const answered = asking.answers.filter(({ prediction }) => prediction !== null);
  return {
    latencies: answered.map(({ answeredAt, dueAt }) => answeredAt - dueAt),
    errors: asking.answers.flatMap(({ prediction, error }) => (prediction === null ? [error] : [])),
    broken,
  };
}

/** A turn with a shadow whose runners are broken as soon as they appear. */
async function brokenTurn(
  stand: RolloutStand,
  own: ReadonlySet<number>,
  signal: 'SIGSTOP' | 'SIGKILL',
): Promise<Turn> {
  const started = await stand.command('promote', DRILL_MODEL, '2', '--mode', 'shadow', '--detach').ended;
  if (started.code !== 0) throw new Error(`the shadow was not begun: ${started.output}`);
  await until('the shadow', () => isShadowing(stand));
  const told = await turn(stand, own, signal);
  const ended = await stand.command('rollout', 'abort', DRILL_MODEL, '--yes').ended;
  if (ended.code !== 0) throw new Error(`the shadow was not ended: ${ended.output}`);
  for (const pid of told.broken) signalOne(pid, 'SIGKILL');
  await until('the end of its runners', () =>
    descendantsOf(stand.computes[0]?.pid ?? 0).every((pid) => own.has(pid)),
  );
  return told;
}

function signalOne(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}

async function isShadowing({ pool }: RolloutStand): Promise<boolean> {
  const { rows } = await pool.query("SELECT 1 FROM rollout WHERE state = 'shadow'");
  return rows.length > 0;
}
