import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { startTestServices } from '../deploy/src/backing/test-services.ts';

const STATE_DIR = fileURLToPath(new URL('../.hotloop', import.meta.url));
const START_TIMEOUT_MS = 300_000;

/** One real Postgres, Redis and Kafka for the whole run; tests reach them through platform/src/testing/test-services.ts. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const services = await startTestServices(
    { stateDir: STATE_DIR, log: (line) => process.stderr.write(`${line}\n`) },
    AbortSignal.timeout(START_TIMEOUT_MS),
  );
  project.provide('hotloopServices', services.addresses);
  return async () => services[Symbol.asyncDispose]();
}
