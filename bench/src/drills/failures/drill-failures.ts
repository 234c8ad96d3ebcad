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
import { openScene } from './scene.ts';
import { SERVING_CELLS } from './serving-cells.ts';

const SERVICES_MS = 300_000;
const TESTS_MS = 600_000;
/** A planted bug shows itself in a short outage, too. */
const PLANTED_OUTAGE_MS = 5_000;

export const FAILURE_CELLS: readonly FailureCell[] = [
  ...SERVING_CELLS,
  ...LEARNING_CELLS,
  ...LIVE_CELLS,
].sort((a, b) => a.id - b.id);

/** The result of one cell: its problems, and whether its planted bug was noticed. */
interface CellResult {
  problems: readonly string[];
  caught: boolean;
}

/**
 * Every row of the failure matrix: shown to hold, and shown to fail on a copy of the sources in which its bug was planted. `--only
 * 1,5,9-12` runs some of them, `--outage` says how long a store is away.
 */
export const drillFailures: Drill = async (options): Promise<Figure[]> => {
  const cells = FAILURE_CELLS.filter(({ id }) => chosen(options.only)(id));
  await using folder = await benchFolder();
  const planted = copySources(ROOT, join(folder.path, 'planted'));
  const results = new Map<number, CellResult>();
  const recorded: Record<'recovery_ms' | 'answered', number[]> = { recovery_ms: [], answered: [] };
  await runTestCells(cells.filter((cell) => !isLive(cell)) as TestCell[], planted, results, options);
  await runLiveCells(cells.filter(isLive), planted, results, recorded, folder.path, options);
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
  ];
};

async function runTestCells(
  cells: readonly TestCell[],
  planted: SourceTree,
  results: Map<number, CellResult>,
  { say }: DrillOptions,
): Promise<void> {
  if (cells.length === 0) return;
  say(`${cells.length} rows by tests of the suite`);
  await using services = await startTestServices(
    { stateDir: join(ROOT, '.hotloop'), log: () => undefined },
    AbortSignal.timeout(SERVICES_MS),
  );
  const run = (root: string, tests: readonly NamedTest[]) => runTests(root, tests, services.addresses);
  const all = cells.flatMap(({ tests }) => tests);
  const outcomes = await run(ROOT, all);
  for (const cell of cells) {
    const own = cell.tests.map((test) => ({ test, outcome: outcomes[all.indexOf(test)] }));
    const problems = own.flatMap(({ test, outcome }) => problemsOf(test, outcome));
    using _bug = planted.plant(cell.bug);
    const withBug = await run(planted.root, cell.tests);
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

async function runTests(root: string, tests: readonly NamedTest[], services: object): Promise<TestOutcome[]> {
  const script = fileURLToPath(new URL('./run-tests.ts', import.meta.url));
  // The copy's own script, so that everything it imports is the copy's.
  const own = join(root, script.slice(ROOT.length));
  const child = spawn(process.execPath, [own, JSON.stringify({ tests, services })], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: TESTS_MS,
  });
  let last = '';
  for await (const line of createInterface({ input: child.stdout })) if (line.startsWith('[{')) last = line;
  return last === '' ? tests.map(() => ({ passed: 0, failed: 0, messages: [] })) : JSON.parse(last);
}

async function runLiveCells(
  cells: readonly LiveCell[],
  planted: SourceTree,
  results: Map<number, CellResult>,
  recorded: Record<'recovery_ms' | 'answered', number[]>,
  folder: string,
  { say, outage }: DrillOptions,
): Promise<void> {
  if (cells.length === 0) return;
  say(`${cells.length} rows on running services`);
  const inScene = async (
    name: string,
    root: string,
    outageMs: number,
    record: Scene['record'],
    body: (scene: Scene) => Promise<void>,
  ) => {
    const own = join(folder, name);
    await using stores = await startStores(join(own, 'stores'));
    await using scene = await openScene({ folder: own, stores, root, outageMs, say, record });
    await body(scene);
  };
  await inScene(
    'sound',
    ROOT,
    outage * 1000,
    (key, value) => recorded[key].push(value),
    async (scene) => {
      for (const cell of cells) {
        const problems = await attempt(cell, scene);
        results.set(cell.id, { problems, caught: false });
        say(`${cell.id}: ${problems.length === 0 ? 'holds' : problems.join('; ')}`);
      }
    },
  );
  // Cells of one bug share the services that have it.
  let scenes = 0;
  for (const [bug, same] of Map.groupBy(cells, (cell) => cell.bug)) {
    using _bug = planted.plant(bug);
    await inScene(
      `planted-${++scenes}`,
      planted.root,
      PLANTED_OUTAGE_MS,
      () => undefined,
      async (scene) => {
        for (const cell of same) {
          const problems = await attempt(cell, scene);
          results.set(cell.id, {
            problems: results.get(cell.id)?.problems ?? [],
            caught: problems.length > 0,
          });
          say(`${cell.id}: bug ${problems.length > 0 ? `seen: ${problems[0]}` : 'NOT SEEN'}`);
        }
      },
    );
  }
}

async function attempt(cell: LiveCell, scene: Scene): Promise<readonly string[]> {
  try {
    return await cell.run(scene);
  } catch (error) {
    return [`it broke: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/** Whether an id is among `1,5,9-12`; every one where nothing is said. */
export function chosen(only: string | undefined): (id: number) => boolean {
  if (only === undefined) return () => true;
  const ranges = only.split(',').map((part) => part.split('-').map(Number));
  return (id) => ranges.some(([from = Number.NaN, to = from]) => id >= from && id <= to);
}
