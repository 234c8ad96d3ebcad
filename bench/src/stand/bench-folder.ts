import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface BenchFolder extends AsyncDisposable {
  readonly path: string;
}

const REMOVAL = { recursive: true, force: true, maxRetries: 3 } as const;

/** A temporary folder of the benchmark; removed on disposal, and also when an interrupted process ends. */
export async function benchFolder(): Promise<BenchFolder> {
  const path = await mkdtemp(join(tmpdir(), 'hotloop-bench-'));
  const removeAtExit = () => rmSync(path, REMOVAL);
  process.once('exit', removeAtExit);
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, REMOVAL);
      process.off('exit', removeAtExit);
    },
  };
}
