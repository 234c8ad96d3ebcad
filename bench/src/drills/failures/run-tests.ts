import { resolve } from 'node:path';
import type { TestServiceAddresses } from '@hotloop/platform/testing/test-services.ts';
import { startVitest, type TestCase } from 'vitest/node';
import type { NamedTest, TestOutcome } from './failure-cell.ts';

interface Order {
  readonly tests: readonly NamedTest[];
  readonly services: TestServiceAddresses;
  /** Ends at the first test that fails. */
  readonly untilFailure: boolean;
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/**
 * Prints, as the last line on stdout, the result of each named test; a name selects all tests whose name contains it.
 */
async function run({ tests, services, untilFailure }: Order): Promise<TestOutcome[]> {
  const root = process.cwd();
  const vitest = await startVitest(
    'test',
    [...new Set(tests.map(({ file }) => file))],
    {
      ...{ root, run: true, watch: false, maxWorkers: 1, reporters: [{}], globalSetup: [] },
      bail: untilFailure ? 1 : 0,
      testNamePattern: new RegExp(tests.map(({ name }) => escaped(name)).join('|')),
      provide: { hotloopServices: services },
    },
    { cacheDir: resolve(root, 'node_modules', '.vitest-drill-cache') },
  );
  const outcomes = new Map(tests.map((test) => [test, { passed: 0, failed: 0, messages: [] as string[] }]));
  for (const module of vitest.state.getTestModules()) {
    for (const test of module.children.allTests()) count(module.moduleId, test);
    const broken = module.errors().map(({ message }) => message);
    for (const [test, outcome] of outcomes)
      if (broken.length > 0 && module.moduleId.endsWith(test.file)) outcome.messages.push(...broken);
  }
  await vitest.close();
  return tests.map((test) => outcomes.get(test)!);

  function count(file: string, test: TestCase): void {
    const { state, errors } = test.result();
    for (const [named, outcome] of outcomes) {
      if (!file.endsWith(named.file) || !test.fullName.includes(named.name)) continue;
      if (state === 'passed') outcome.passed++;
      if (state === 'failed') outcome.failed++;
      outcome.messages.push(...(errors ?? []).map(({ message }) => message.slice(0, 300)));
    }
  }
}

const outcomes = await run(JSON.parse(process.argv[2] ?? '') as Order);
process.stdout.write(`\n${JSON.stringify(outcomes)}\n`, () => process.exit(0));
