import { RUNTIME_ENVIRONMENT } from '@hotloop/model/onnx/runtime-environment.ts';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The longest first: one of them that began last would run alone. */
const LONGEST = [
  'test/whole-loop.test.ts',
  'test/console-browser.test.ts',
  'deploy/src/demo/interruption.test.ts',
  'deploy/src/packages/platform-package.test.ts',
  'compute/src/slots/poisoned-warm-up.test.ts',
  'compute/src/triton-client.test.ts',
  'test/perf-analyzer.test.ts',
  'retrainer/src/batch/batch.test.ts',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => LONGEST.some((name) => moduleId.endsWith(`/${name}`));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    // Some tests run ONNX Runtime themselves.
    env: RUNTIME_ENVIRONMENT,
    // Most tests wait for processes, brokers and timers: three workers keep two cores busy.
    maxWorkers: 3,
    // Bounds on what hangs. A busy machine must not reach them, so they are far above what anything takes.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 20_000 } },
    sequence: { concurrent: false, sequencer: LongestFirst },
    pool: 'forks',
    // kafkajs 2.2 sets a timer for a time long past on every new connection; Node 24 warns about it, and nothing is wrong.
    execArgv: ['--disable-warning=TimeoutNegativeWarning'],
    projects: [
      {
        extends: true,
        test: {
          name: 'services',
          include: [
            '{platform,client-sdk,cli,console,preprocessor,compute,postprocessor,retrainer,deploy,bench,test}/**/*.test.ts',
            'examples/*/**/*.test.ts',
          ],
          globalSetup: ['test/global-setup.ts'],
        },
      },
      {
        extends: true,
        // Pure code holds no state between files: loading it once saves a quarter of the time.
        test: { name: 'pure', include: ['{proto,model}/**/*.test.ts'], isolate: false },
      },
    ],
  },
});
