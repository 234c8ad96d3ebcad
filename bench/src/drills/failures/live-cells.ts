import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceName } from '@hotloop/deploy/single/single-listen.ts';
import {
  type AskedPrediction,
  answeredShare,
  between,
  p99Ms,
  recoveryMs,
  steadyLoad,
} from '../../load/steady-load.ts';
import { DRILL_MODEL, drillInput, NO_HISTORY_MODEL } from '../../stand/drill-model.ts';
import { signalTree } from '../../stand/process-tree.ts';
import { residentBytes } from '../../stand/resident-bytes.ts';
import type { StoreName } from '../../stand/stores.ts';
import type { LiveCell, Problems, Scene } from './failure-cell.ts';
import { overload } from './overload.ts';

const PER_SECOND = 100;
const CALM_MS = 3_000;
const AFTER_KILL_MS = 6_000;
/** Limit for the slowest kill; for most of them, `recovery_ms` is the figure with the goal. */
const RECOVERED_MS = 5_000;
const ADDED_P99_MS = 25;
const GROWTH_BYTES = 64 * 2 ** 20;

const load = ({ client }: Scene, model = DRILL_MODEL, perSecond = PER_SECOND) =>
  steadyLoad({ client, model, perSecond, input: drillInput });

/** Failed predictions, and those that are missing in the log. */
async function lossesOf(scene: Scene, asked: readonly AskedPrediction[], mayFail = 0): Promise<string[]> {
  const failures = asked.flatMap(({ failure }) => failure ?? []);
  const ids = asked.flatMap(({ answer }) => (answer ? [answer.id] : []));
  const missing = await scene.notLogged(ids);
  return [
    ...(failures.length > mayFail * asked.length
      ? [`${failures.length} of ${asked.length} predictions failed: ${failures[0]}`]
      : []),
    ...(missing.length > 0 ? [`${missing.length} of ${ids.length} answers are not in the log`] : []),
  ];
}

/** Runs the parts in order, up to the first that finds a problem. */
async function inTurn(...parts: readonly (() => Promise<Problems>)[]): Promise<Problems> {
  for (const part of parts) {
    const problems = await part();
    if (problems.length > 0) return problems;
  }
  return [];
}

/** Kills a process under load repeatedly; nothing may fail, and goodput must recover quickly. */
async function killed(scene: Scene, kills: number, victims: () => readonly (number | undefined)[]) {
  const under = load(scene);
  await delay(CALM_MS);
  const recoveries: number[] = [];
  for (let kill = 0; kill < kills; kill++) {
    const alive = victims().filter((pid) => pid !== undefined);
    const victim = alive[kill % Math.max(1, alive.length)];
    if (victim === undefined) return ['there was nothing to kill'];
    const at = performance.now();
    const perSecond =
      between(under.asked, at - CALM_MS, at - 500).filter(({ answer }) => answer).length /
      ((CALM_MS - 500) / 1000);
    process.kill(victim, 'SIGKILL');
    await delay(AFTER_KILL_MS);
    recoveries.push(recoveryMs(under.asked, at, perSecond));
  }
  const asked = await under.stop();
  await scene.cluster.untilUp();
  for (const one of recoveries) scene.record('recovery_ms', one);
  const slowest = Math.max(...recoveries);
  return [
    ...(slowest > RECOVERED_MS ? [`goodput came back after ${Math.round(slowest)} ms`] : []),
    ...(await lossesOf(scene, asked)),
  ];
}

/** A store is down for a while; predictions must continue. */
async function away(
  scene: Scene,
  store: StoreName,
  how: 'stop' | 'freeze',
  check: (during: readonly AskedPrediction[], without: readonly AskedPrediction[]) => string[] = () => [],
): Promise<string[]> {
  const under = load(scene);
  // The effects of a busy machine also affect predictions that need no history, so these are the baseline.
  const beside = load(scene, NO_HISTORY_MODEL, PER_SECOND / 2);
  await delay(CALM_MS);
  const from = performance.now();
  {
    using _broken = scene.stores[how](store);
    await delay(scene.outageMs);
  }
  const until = performance.now();
  await delay(CALM_MS);
  const asked = await under.stop();
  const during = between(asked, from, until);
  const without = between(await beside.stop(), from, until);
  const share = answeredShare([...during, ...without]);
  scene.record('answered', share);
  const what = `${store} ${how === 'stop' ? 'stopped' : 'frozen'}`;
  scene.say(
    `${what}: ${(share * 100).toFixed(2)} % of ${during.length + without.length} answered, p99 ${Math.round(p99Ms(during))} ms, without history ${Math.round(p99Ms(without))} ms`,
  );
  return [
    ...(share < 0.999 ? [`${what}: ${(share * 100).toFixed(2)} % answered`] : []),
    ...check(during, without).map((problem) => `${what}: ${problem}`),
    ...(await lossesOf(scene, asked, 0.001)).map((problem) => `${what}: ${problem}`),
  ];
}

const mustSayDegraded = (during: readonly AskedPrediction[]) => {
  const silent = during.filter(({ answer }) => answer && !answer.degraded.includes('history')).length;
  // Tolerates reads in flight at the start, and those while the first failures are counted.
  return silent > during.length * 0.2
    ? [`${silent} of ${during.length} answers are not marked degraded "history"`]
    : [];
};
const mustBeQuick = (during: readonly AskedPrediction[], without: readonly AskedPrediction[]) => {
  const added = p99Ms(during) - p99Ms(without);
  return added > ADDED_P99_MS ? [`p99 rose by ${Math.round(added)} ms`] : [];
};

const DROPPED_ROWS = {
  file: 'compute/src/infer.ts',
  from: '      this.#write(asked, outputs, result, failure ?? null).then(',
  to: '      (Math.random() < 0.02 ? Promise.resolve() : this.#write(asked, outputs, result, failure ?? null)).then(',
} as const;

/**
 * Rows of the failure matrix that are shown on running services under load. Rows with the same bug share services
 * that have it.
 */
export const LIVE_CELLS: readonly LiveCell[] = [
  {
    id: 1,
    fault: 'kill -9 of a preprocessor under load',
    holds:
      'the client library continues with the other one, no prediction fails, and every answer is in the log',
    bug: DROPPED_ROWS,
    run: (scene) => killed(scene, 2, () => scene.cluster.of('preprocessor').map(({ pid }) => pid)),
  },
  {
    id: 2,
    fault: 'kill -9 of a compute front and of a runner under load',
    holds: 'as row 1; the front’s runners end with it, and its journal is shipped by its successor',
    bug: DROPPED_ROWS,
    run: (scene) => {
      const pids = (service: ServiceName) => () => scene.cluster.of(service).map(({ pid }) => pid);
      const runners = () => scene.cluster.of('compute').flatMap((node) => node.children().slice(0, 1));
      return inTurn(
        () => killed(scene, 2, pids('compute')),
        () => killed(scene, 2, runners),
        () => killed(scene, 1, pids('postprocessor')),
        () => killed(scene, 1, pids('retrainer')),
      );
    },
  },
  {
    id: 8,
    fault: 'kill -9 of everything at once, Postgres and Redis too',
    holds:
      'answers within 15 s of the restart, and every answer from before is in the log (a kill is not a power cut)',
    bug: DROPPED_ROWS,
    async run(scene) {
      const under = load(scene);
      await delay(CALM_MS);
      const at = performance.now();
      for (const { pid } of scene.cluster.nodes) if (pid !== undefined) signalTree(pid, 'SIGKILL');
      for (const store of ['redis', 'postgres'] as const) {
        using _ended = scene.stores.stop(store);
      }
      const before = under.asked.filter(({ answer }) => answer);
      while (
        performance.now() - at < 60_000 &&
        !under.asked.some(({ dueAt, answer }) => answer && dueAt > at + 500)
      )
        await delay(100);
      const backMs = performance.now() - at;
      await under.stop();
      await scene.cluster.untilUp();
      scene.say(`everything killed: answers again after ${Math.round(backMs)} ms`);
      return [
        ...(backMs > 15_000 ? [`the first answer came after ${Math.round(backMs)} ms`] : []),
        ...(await lossesOf(scene, before)),
      ];
    },
  },
  {
    id: 9,
    fault: 'Redis stopped',
    holds: 'predictions continue with defaults, are marked `degraded`, and are not slower',
    bug: {
      file: 'preprocessor/src/predict.ts',
      from: "...(events === null ? ['history'] : []),",
      to: '',
    },
    patient: true,
    run: (scene) =>
      away(scene, 'redis', 'stop', (during, without) => [
        ...mustSayDegraded(during),
        ...mustBeQuick(during, without),
      ]),
  },
  {
    id: 10,
    fault: 'Redis frozen',
    holds: 'a few predictions wait for the budget of 20 ms, then none',
    bug: {
      file: 'preprocessor/src/history/history-gate.ts',
      from: 'Math.min(budgetMs, timeoutMs)',
      to: 'timeoutMs + budgetMs',
    },
    patient: true,
    run: (scene) =>
      away(scene, 'redis', 'freeze', (during, without) => [
        ...mustSayDegraded(during),
        ...mustBeQuick(during, without),
      ]),
  },
  {
    id: 13,
    fault: 'Postgres stopped',
    holds:
      'predictions continue; the log waits in journals and loses nothing; a promotion fails with UNAVAILABLE',
    bug: DROPPED_ROWS,
    patient: true,
    run: (scene) => away(scene, 'postgres', 'stop'),
  },
  {
    id: 14,
    fault: 'Postgres frozen',
    holds: 'as row 13; no service grows by more than 64 MB',
    bug: DROPPED_ROWS,
    patient: true,
    async run(scene) {
      const bytes = () => scene.cluster.nodes.map(({ pid }) => (pid === undefined ? 0 : residentBytes(pid)));
      const before = bytes();
      const problems = await away(scene, 'postgres', 'freeze');
      const grown = Math.max(...bytes().map((now, index) => now - (before[index] ?? 0)));
      return grown > GROWTH_BYTES
        ? [...problems, `a service grew by ${Math.round(grown / 2 ** 20)} MB`]
        : problems;
    },
  },
  {
    id: 16,
    fault: 'Kafka stopped, and frozen',
    holds: 'predictions go on; events wait where they are',
    bug: DROPPED_ROWS,
    patient: true,
    run: (scene) =>
      inTurn(
        () => away(scene, 'kafka', 'stop'),
        () => away(scene, 'kafka', 'freeze'),
      ),
  },
  {
    id: 29,
    fault: 'a load of three times the capacity',
    holds:
      'goodput stays at 90 % of the peak or more; excess requests are rejected at once (RESOURCE_EXHAUSTED)',
    bug: {
      file: 'preprocessor/src/model-gate.ts',
      from: '    this.#inFlight--;\n',
      to: '',
    },
    run: overload,
  },
  {
    id: 38,
    fault: 'the wall clock jumps by an hour, and five seconds back',
    holds: 'no deadline expires because of it: durations are measured by the monotonic clock',
    bug: {
      file: 'preprocessor/src/predict.ts',
      from: 'const deadline = clock.monotonic() + call.timeoutMs;\n    const timeLeft = () => remaining(deadline - clock.monotonic(), call.signal);',
      to: 'const deadline = clock.now() + call.timeoutMs;\n    const timeLeft = () => remaining(deadline - clock.now(), call.signal);',
    },
    async run(scene) {
      const under = load(scene);
      await delay(1_000);
      for (let jump = 0; jump < 20; jump++) {
        for (const shift of [3_600_000, -5_000, 0]) {
          scene.setClock(shift);
          await delay(60);
        }
      }
      await delay(1_000);
      return lossesOf(scene, await under.stop());
    },
  },
  {
    id: 41,
    fault: 'a half-open connection: one end has disappeared silently',
    holds: 'it is detected within 3 s, and the requests in flight are answered by another node',
    bug: {
      file: 'platform/src/grpc/client.ts',
      from: 'const DEFAULT_KEEPALIVE_MS = 1000;',
      to: 'const DEFAULT_KEEPALIVE_MS = 3_600_000;',
    },
    async run(scene) {
      const under = load(scene);
      await delay(CALM_MS);
      const from = performance.now();
      const [first] = scene.toCompute;
      first?.swallow();
      await delay(8_000);
      first?.heal();
      first?.cut();
      await delay(1_000);
      const asked = await under.stop();
      const longest = Math.max(
        ...between(asked, from, from + 8_000).map(({ dueAt, doneAt }) => doneAt - dueAt),
      );
      scene.say(`half-open: the longest answer took ${Math.round(longest)} ms`);
      return [
        ...(longest > 4_500 ? [`an answer took ${Math.round(longest)} ms`] : []),
        ...(await lossesOf(scene, asked)),
      ];
    },
  },
];
