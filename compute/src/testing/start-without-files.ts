import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { Confinements } from '../runner/confinement.ts';
import { startRunner } from '../runner/runner.ts';
import { SMALL } from './model-bundles.ts';

/**
 * A process that starts runners with no free file descriptor, then with one, and so on: `node start-without-files.ts
 * COUNT`, under a low limit of open files. Writes a line with the code of each error, and how many frame files are
 * then open.
 */
const log = silentLog();
const options = {
  executionProviders: ['cpu'],
  threads: 1,
  loadTimeoutMs: 60_000,
  memoryLimitBytes: 2 ** 32,
  confinements: new Confinements(log),
} as const;
await options.confinements.for(options);

function takeAll(): number[] {
  const taken: number[] = [];
  for (;;)
    try {
      taken.push(openSync('/dev/null', 'r'));
    } catch {
      return taken;
    }
}

function frameFiles(): number {
  // The descriptor that lists the folder is already closed when the links are read.
  const links = readdirSync('/proc/self/fd').map((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`);
    } catch {
      return '';
    }
  });
  return links.filter((link) => link.includes('hotloop-frames-')).length;
}

const codes: unknown[] = [];
for (let spare = 0; spare < Number(process.argv[2]); spare++) {
  const taken = takeAll();
  for (const descriptor of taken.splice(0, spare)) closeSync(descriptor);
  try {
    await startRunner(perceptron(SMALL), options, log, new AbortController().signal);
  } catch (error) {
    codes.push(error instanceof Error && 'code' in error ? error.code : String(error));
  }
  for (const descriptor of taken) closeSync(descriptor);
}
process.stdout.write(`${JSON.stringify({ codes, frameFiles: frameFiles() })}\n`);
