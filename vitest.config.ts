import { RUNTIME_ENVIRONMENT } from '@hotloop/model/onnx/runtime-environment.ts';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: [
      '{proto,model,platform,client-sdk,cli,console,preprocessor,compute,postprocessor,retrainer,deploy,bench,test}/**/*.test.ts',
      'examples/*/**/*.test.ts',
    ],
    globalSetup: ['test/global-setup.ts'],
    pool: 'forks',
    // Some tests run ONNX Runtime themselves.
    env: RUNTIME_ENVIRONMENT,
    // kafkajs 2.2 sets a timer for a time long past on every new connection; Node 24 warns about it, and nothing is wrong.
    execArgv: ['--disable-warning=TimeoutNegativeWarning'],
    maxWorkers: 2,
    // Bounds on what hangs. A busy machine must not reach them, so they are far above what anything takes.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 20_000 } },
    sequence: { concurrent: false },
  },
});
