import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startTestServices } from '@hotloop/deploy/backing/test-services.ts';
import { type Figure, figure } from '../../figure.ts';
import { quantile } from '../../interleave.ts';
import { benchFolder } from '../../stand/bench-folder.ts';
import { ROOT } from '../../stand/cluster.ts';
import { copySources, type SourceTree } from '../../stand/source-tree.ts';
import { startStores } from '../../stand/stores.ts';
import type { Drill, DrillOptions } from '../drill.ts';
import {
  type FailureCell,
  isLive,
  type LiveCell,
  type NamedTest,
  type Scene,
  type TestCell,
  type TestOutcome,
} from './failure-cell.ts';
import { LEARNING_CELLS } from './learning-cells.ts';
import { LIVE_CELLS } from './live-cells.ts';
import { openScene, type SceneOptions } from './scene.ts';
import { SERVING_CELLS } from './serving-cells.ts';

const SERVICES_MS = 300_000;
const TESTS_MS = 600_000;
/** A planted bug is also visible in a short outage. */
const PLANTED_OUTAGE_MS = 5_000;
const LANES = 2;

export const FAILURE_CELLS: readonly FailureCell[] = [
  ...SERVING_CELLS,
  ...LEARNING_CELLS,
  ...LIVE_CELLS,
].sort((a, b) => a.id - b.id);

/** The result of one cell: its problems, and whether its planted bug was detected. */
interface CellResult {
  readonly problems: readonly string[];
  readonly caught: boolean;
}

/** Results of all cells so far, by id. */
type Results = Map<number, CellResult>;

/**
 * Every row of the failure matrix: shown to hold, and shown to fail on a copy of the sources with its bug planted.
 * `--only 1,5,9-12` runs some of them, `--outage` sets the duration of outages.
 *
 * Rows that wait for a store run concurrently with those that tests show. Rows that measure time run alone. Planted
 * bugs are tried two at a time, because a busy machine does not hide one.
 */
export const drillFailures: Drill = async (options): Promise<Figure[]> => {
  const cells = FAILURE_CELLS.filter(({ id }) => chosen(options.only)(id));
  const live = cells.filter(isLive);
  const shownByTests = cells.filter((cell): cell is TestCell => !isLive(cell));
  const begun = performance.now();
  const seconds = () => Math.round((performance.now() - begun) / 1000);
  const say = (line: string) => options.say(`${seconds()} s: ${line}`);
  await using folder = await benchFolder();
  const copy = (name: string) => copySources(ROOT, join(folder.path, name));
  const results: Results = new Map();
  const recorded: Record<'recovery_ms' | 'answered', number[]> = { recovery_ms: [], answered: [] };
  const byTests = () => runTestCells(shownByTests, copy('planted-tests'), results, say);

  if (live.length === 0) await byTests();
  else {
    say(`${live.length} rows on running services`);
    await using sound = await openCellScene({
      ...{ folder: join(folder.path, 'sound'), root: ROOT, outageMs: options.outage * 1000, say },
      record: (key, value) => recorded[key].push(value),
    });
    const patient = live.filter((cell) => cell.patient);
    const quick = live.filter((cell) => !cell.patient);
    await allOf([byTests(), judge(patient, sound.scene, results, say)]);
    await judge(quick, sound.scene, results, say);
  }
  await plantInLanes(live, copy, folder.path, results, say);

  let passed = 0;
  for (const { id, fault, holds } of cells) {
    const { problems, caught } = results.get(id) ?? { problems: ['it was not run'], caught: false };
    if (problems.length === 0 && caught) passed++;
    options.say(`${id} ${fault}: ${problems.length === 0 ? holds : `FAILED: ${problems.join('; ')}`}`);
    if (!caught) options.say(`${id}: FAILED: its planted bug was not seen`);
  }
  return [
    figure('failures_passed', [passed], { atLeast: cells.length }),
    ...(recorded.recovery_ms.length > 0
      ? [figure('recovery_ms', [quantile(recorded.recovery_ms, 0.95)], { atMost: 2_000 })]
      : []),
    ...(recorded.answered.length > 0
      ? [figure('answered', [Math.min(...recorded.answered)], { atLeast: 0.999 })]
      : []),
    figure('failures_s', [seconds()]),
  ];
};

/** Waits for all, also when one fails; then throws the first error. */
async function allOf(running: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(running);
  await Promise.all(running);
}

async function runTestCells(
  cells: readonly TestCell[],
  planted: SourceTree,
  results: Results,
  say: DrillOptions['say'],
): Promise<void> {
  if (cells.length === 0) return;
  say(`${cells.length} rows by tests of the suite`);
  await using services = await startTestServices(
    { stateDir: join(ROOT, '.hotloop'), log: () => undefined },
    AbortSignal.timeout(SERVICES_MS),
  );
  const run = (root: string, tests: readonly NamedTest[], untilFailure = false) =>
    runTests(root, { tests, untilFailure, services: services.addresses });
  const all = cells.flatMap(({ tests }) => tests);
  const outcomes = await run(ROOT, all);
  for (const cell of cells) {
    const own = cell.tests.map((test) => ({ test, outcome: outcomes[all.indexOf(test)] }));
    const problems = own.flatMap(({ test, outcome }) => problemsOf(test, outcome));
    using _bug = planted.plant(cell.bug);
    const withBug = await run(planted.root, cell.tests, true);
    const caught = withBug.some(({ failed }) => failed > 0);
    results.set(cell.id, { problems, caught });
    say(
      `${cell.id}: ${problems.length === 0 ? 'holds' : problems.join('; ')}; bug ${caught ? 'seen' : 'NOT SEEN'}`,
    );
  }
}

function problemsOf({ file, name }: NamedTest, outcome: TestOutcome | undefined): string[] {
  if (!outcome || outcome.passed + outcome.failed === 0)
    return [`no test "${name}" ran in ${file}: ${outcome?.messages[0] ?? ''}`];
  return outcome.failed > 0 ? [`"${name}" failed: ${outcome.messages[0] ?? ''}`] : [];
}

async function runTests(
  root: string,
  order: { readonly tests: readonly NamedTest[]; readonly untilFailure: boolean; readonly services: object },
): Promise<TestOutcome[]> {
  const script = fileURLToPath(new URL('./run-tests.ts', import.meta.url));
  // The copy's own script, so that everything it imports is the copy's.
  const own = join(root, script.slice(ROOT.length));
  const child = spawn(process.execPath, [own, JSON.stringify(order)], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: TESTS_MS,
  });
  let last = '';
  for await (const line of createInterface({ input: child.stdout })) if (line.startsWith('[{')) last = line;
  return last === '' ? order.tests.map(() => ({ passed: 0, failed: 0, messages: [] })) : JSON.parse(last);
}

/** A scene with its own stores. */
async function openCellScene(
  options: Omit<SceneOptions, 'stores'>,
): Promise<{ readonly scene: Scene } & AsyncDisposable> {
  await using opened = new AsyncDisposableStack();
  const stores = opened.use(await startStores(join(options.folder, 'stores')));
  const scene = opened.use(await openScene({ ...options, stores }));
  const stack = opened.move();
  return { scene, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function judge(
  cells: readonly LiveCell[],
  scene: Scene,
  results: Results,
  say: DrillOptions['say'],
): Promise<void> {
  for (const cell of cells) {
    const problems = await attempt(cell, scene);
    results.set(cell.id, { problems, caught: false });
    say(`${cell.id}: ${problems.length === 0 ? 'holds' : problems.join('; ')}`);
  }
}

/** Cells with the same bug share the services that have it; each lane has a copy of the sources. */
async function plantInLanes(
  cells: readonly LiveCell[],
  copy: (name: string) => SourceTree,
  folder: string,
  results: Results,
  say: DrillOptions['say'],
): Promise<void> {
  // The bug with the most cells first, so that the lanes end at about the same time.
  const bugs = [...Map.groupBy(cells, (cell) => cell.bug)].sort(([, a], [, b]) => b.length - a.length);
  const lane = async (number: number) => {
    const name = `planted-${number}`;
    const planted = copy(name);
    for (let next = bugs.shift(); next; next = bugs.shift()) {
      const [bug, same] = next;
      using _bug = planted.plant(bug);
      await using own = await openCellScene({
        ...{ folder: join(folder, `${name}-${bugs.length}`), root: planted.root, say: () => undefined },
        ...{ outageMs: PLANTED_OUTAGE_MS, record: () => undefined },
      });
      for (const cell of same) {
        const problems = await attempt(cell, own.scene);
        results.set(cell.id, {
          problems: results.get(cell.id)?.problems ?? [],
          caught: problems.length > 0,
        });
        say(`${cell.id}: bug ${problems.length > 0 ? `seen: ${problems[0]}` : 'NOT SEEN'}`);
      }
    }
  };
  await allOf(Array.from({ length: Math.min(LANES, bugs.length) }, (_, number) => lane(number + 1)));
}

async function attempt(cell: LiveCell, scene: Scene): Promise<readonly string[]> {
  try {
    return await cell.run(scene);
  } catch (error) {
    return [`it broke: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/** Whether an id is in a list such as `1,5,9-12`; true for all without a list. */
export function chosen(only: string | undefined): (id: number) => boolean {
  if (only === undefined) return () => true;
  const ranges = only.split(',').map((part) => part.split('-').map(Number));
  return (id) => ranges.some(([from = Number.NaN, to = from]) => id >= from && id <= to);
}
