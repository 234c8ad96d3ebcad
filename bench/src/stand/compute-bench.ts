import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { benchFolder } from './bench-folder.ts';
import { startBenchPostgres } from './bench-postgres.ts';
import type { ComputeChildOptions } from './compute-child.ts';
import { type ComputeStand, startComputeStand } from './compute-stand.ts';

/** A folder, a Postgres, and a compute that uses both; more computes can be added. */
export interface ComputeBench extends AsyncDisposable {
  readonly folder: string;
  readonly databaseUrl: string;
  readonly compute: ComputeStand;
  /** Adds a compute with the same Postgres and its own folder for the journal. */
  add(node: string, how?: LogKind): Promise<ComputeStand>;
}

export type LogKind = Pick<ComputeChildOptions, 'switchesLog'>;

export interface ComputeBenchOptions {
  /** For the first compute. */
  readonly log?: LogKind;
  readonly profile?: string | undefined;
  readonly memoryBudgetBytes?: number;
}

export async function openComputeBench({ log = {}, ...options }: ComputeBenchOptions): Promise<ComputeBench> {
  await using opened = new AsyncDisposableStack();
  const { path } = opened.use(await benchFolder());
  const postgres = opened.use(await startBenchPostgres(path));
  const start = async (node: string, how: LogKind, owner: AsyncDisposableStack) => {
    const folder = join(path, node);
    await mkdir(folder, { recursive: true });
    return owner.use(
      await startComputeStand({ databaseUrl: postgres.url, node, folder, ...how, ...options }),
    );
  };
  const compute = await start('bench', log, opened);
  const stack = opened.move();
  return {
    folder: path,
    databaseUrl: postgres.url,
    compute,
    add: (node, how = {}) => start(node, how, stack),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
