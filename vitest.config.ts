import { RUNTIME_ENVIRONMENT } from '@hotloop/model/onnx/runtime-environment.ts';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // Some tests run ONNX Runtime themselves.
    env: RUNTIME_ENVIRONMENT,
    maxWorkers: 2,
    // Bounds on what hangs. A busy machine must not reach them, so they are far above what anything takes.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 20_000 } },
    sequence: { concurrent: false },
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
