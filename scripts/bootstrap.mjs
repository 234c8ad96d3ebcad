// Sets up whatever is missing, then runs one command of the project with the project's own Node.
// Needs Node 20 and npm, and nothing installed: only what comes with Node is imported here.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ChildRunner, Interrupted } from './child-process.mjs';
import { installPackages, packagesAreCurrent, projectNode } from './npm-packages.mjs';
import { takeSetUpLock } from './set-up-lock.mjs';
import { failedTestFiles, readTestCounts, summaryLine } from './test-summary.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MINIMUM_NODE = 20;
/** Node keeps compiled code here, which halves the start of the many processes that the commands start. */
const COMPILED = join(ROOT, '.hotloop', 'cache', 'compiled');
/** kafkajs 2.2 sets a timer for a time long past on every new connection; Node 24 warns about it, and nothing is wrong. */
const QUIET = '--disable-warning=TimeoutNegativeWarning';

/** name -> what it does, whether it needs Redis and kcat, and its run: (tools, args) => exit code. */
const COMMANDS = {
  start: {
    about: 'run the whole loop here, with a demo, until Ctrl-C',
    systemPrograms: true,
    run: ({ node }, args) => node('deploy/src/demo/main.ts', args),
  },
  test: {
    about: 'types, lint, generated code and every test (or: the tests named)',
    systemPrograms: true,
    run: test,
  },
  check: {
    about: 'types, lint and generated code alone',
    systemPrograms: false,
    run: async (tools) => ((await check(tools)).failed === 0 ? 0 : 1),
  },
  tour: {
    about: 'one story through everything, on real parts, in under 10 minutes',
    systemPrograms: true,
    run: ({ node }, args) => node('deploy/src/tour/main.ts', args),
  },
  bench: {
    about: 'measure',
    systemPrograms: true,
    run: ({ node }, args) => node('bench/src/main.ts', args),
  },
  package: {
    about: 'build the npm packages that are published',
    systemPrograms: false,
    run: ({ node }, args) => node('deploy/src/packages/main.ts', args),
  },
  docs: {
    about: 'build the documentation as a site with search, and check its links',
    systemPrograms: false,
    run: ({ node }, args) => node('deploy/src/site/main.ts', args),
  },
  compatibility: {
    about: 'what breaks users of the last release: contracts, HTTP, model.yaml, the client library',
    systemPrograms: false,
    run: ({ node }, args) => node('deploy/src/compatibility/main.ts', args),
  },
  drill: {
    about: 'break things on purpose, and count what is lost',
    systemPrograms: false,
    run: ({ node }, args) => node('bench/src/drills/main.ts', args),
  },
};

/** Everything said here goes to stderr: stdout belongs to the command. */
function say(line) {
  process.stderr.write(`hotloop: ${line}\n`);
}

async function main([name, ...args]) {
  const command = Object.hasOwn(COMMANDS, name ?? '') ? COMMANDS[name] : undefined;
  if (command === undefined) {
    const list = Object.entries(COMMANDS).map(([known, { about }]) => `  ${known.padEnd(8)}${about}`);
    process.stderr.write(
      `${name === undefined ? 'Which command' : `Unknown command "${name}"`}? One of:\n${list.join('\n')}\n`,
    );
    return 2;
  }
  const major = Number(process.versions.node.split('.')[0]);
  if (!(major >= MINIMUM_NODE))
    throw new Error(`Node ${MINIMUM_NODE} or later is needed; this is ${process.versions.node}`);
  if (process.platform === 'win32') throw new Error('Windows is served through WSL: clone and start there');

  const runner = new ChildRunner();
  try {
    const release = await takeSetUpLock(join(ROOT, '.hotloop', 'set-up.lock'), say, () =>
      runner.throwIfInterrupted(),
    );
    let tools;
    try {
      if (!packagesAreCurrent(ROOT)) await installPackages(ROOT, runner, say);
      tools = projectTools(runner);
      if (command.systemPrograms) await fetchSystemPrograms(tools);
    } finally {
      release();
    }
    return await command.run(tools, args);
  } finally {
    runner.close();
  }
}

/** Runs the project's programs with its own Node, and with its own tools first on the PATH. */
function projectTools(runner) {
  const nodePath = projectNode(ROOT);
  const path = [dirname(nodePath), join(ROOT, 'node_modules', '.bin'), process.env.PATH ?? ''].join(
    delimiter,
  );
  const run = async (args, stdio = 'inherit') => {
    const { exitCode } = await runner.run(nodePath, args, {
      cwd: ROOT,
      env: { NODE_COMPILE_CACHE: COMPILED, ...process.env, PATH: path },
      stdio,
    });
    return exitCode;
  };
  /** For a step of ours: one that was interrupted has no result, whatever its exit code. */
  const step = async (...args) => {
    const exitCode = await run(...args);
    runner.throwIfInterrupted();
    return exitCode;
  };
  return {
    node: (script, args) => run([QUIET, script, ...args]),
    quiet: (script, args) => step([script, ...args], ['ignore', process.stderr, process.stderr]),
    tool: (tool, args) => step([join('node_modules', '.bin', tool), ...args]),
  };
}

/** What npm cannot bring: Redis and kcat, unless their services run elsewhere. */
async function fetchSystemPrograms({ quiet }) {
  const { REDIS_CACHE_URL, REDIS_QUEUE_URL, KAFKA_BROKERS } = process.env;
  const needed = [
    ...(REDIS_CACHE_URL && REDIS_QUEUE_URL ? [] : ['redis']),
    ...(KAFKA_BROKERS ? [] : ['kcat']),
  ];
  if (needed.length === 0) return;
  const exitCode = await quiet('deploy/src/backing/fetch-system-programs.ts', [
    join(ROOT, '.hotloop', 'cache'),
    ...needed,
  ]);
  if (exitCode !== 0) throw new Error('a system package is missing (see above)');
}

/** All of them, even after one failed: one run tells everything. */
async function check({ node, tool }) {
  const steps = [
    ['types', () => tool('tsc', ['-p', 'tsconfig.json'])],
    ['types of the console', () => tool('tsc', ['-p', 'console/tsconfig.json'])],
    ['lint', () => tool('biome', ['check', '.'])],
    ['generated code', () => node('proto/src/generate.ts', ['--check'])],
    ['generated schema', () => node('model/src/manifest/generate-schema.ts', ['--check'])],
    ['page of settings', () => node('platform/src/start-up/write-settings-page.ts', ['--check'])],
    ['steps of the tour', () => node('deploy/src/tour/write-tour-page.ts', ['--check'])],
  ];
  const counts = { passed: 0, failed: 0 };
  for (const [name, step] of steps) {
    const ok = (await step()) === 0;
    process.stdout.write(`${ok ? 'ok    ' : 'FAILED'} ${name}\n`);
    counts[ok ? 'passed' : 'failed'] += 1;
  }
  return counts;
}

/** More failing files than this are no accident of timing. */
const RUN_AGAIN_AT_MOST = 3;

/**
 * Ends with one plain line, "N passed, N failed"; the checks count as one test each. Of a whole run, a few failing files are run
 * again alone: what passes then is named as unstable. That is a defect to fix, but not one of the change under test.
 */
async function test(tools, args) {
  const checks = args.length > 0 ? { passed: 0, failed: 0 } : await check(tools);
  const folder = mkdtempSync(join(tmpdir(), 'hotloop-test-'));
  const vitest = async (name, more) => {
    const report = join(folder, `${name}.json`);
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    return { report, exitCode: await tools.tool('vitest', ['run', ...reporters, ...more]) };
  };
  try {
    const first = await vitest('first', args);
    const failing = args.length > 0 ? [] : failedTestFiles(first.report);
    const again = failing.length > 0 && failing.length <= RUN_AGAIN_AT_MOST ? failing : [];
    const counts = [checks, readTestCounts(first.report, first.exitCode, again)];
    if (again.length > 0) {
      const second = await vitest('second', ['--maxWorkers=1', ...again.map((file) => relative(ROOT, file))]);
      counts.push(readTestCounts(second.report, second.exitCode));
      const still = failedTestFiles(second.report);
      for (const file of again.filter((one) => second.exitCode === 0 || !still.includes(one)))
        process.stdout.write(`UNSTABLE ${relative(ROOT, file)}: failed beside others, passed alone\n`);
    }
    const sum = (key) => counts.reduce((total, one) => total + (one[key] ?? 0), 0);
    const failed = sum('failed');
    process.stdout.write(`${summaryLine({ passed: sum('passed'), failed, skipped: sum('skipped') })}\n`);
    return failed === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Interrupted)) say(error.message);
  process.exitCode = error.exitCode ?? 1;
}
