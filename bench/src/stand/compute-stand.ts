import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../child.ts';
import { type BareLoad, openBareLoad } from '../load/bare-load.ts';
import { type RawLoad, rawLoad } from '../load/raw-load.ts';
import type { BenchModel } from '../models/bench-models.ts';
import type { ComputeChildOptions, SetRoles } from './compute-child.ts';

const FLUSH_MS = 120_000;
const CHILD = fileURLToPath(new URL('./compute-child.ts', import.meta.url));

export interface ComputeStandOptions extends Omit<ComputeChildOptions, 'folder'> {
  readonly folder: string;
  readonly profile?: string | undefined;
}

/** Compute in its own process, and a client of it in this one. */
export interface ComputeStand extends AsyncDisposable {
  readonly child: Child;
  readonly load: RawLoad;
  /** A client for tail latencies, without pauses of its own. */
  openBare(): Promise<BareLoad>;
  /** Registers a version under the model's name, or another; it is not loaded yet. */
  put(model: BenchModel, version: number, options?: PutOptions): Promise<void>;
  /** Resolves when the live and the target version are ready. */
  roles(roles: SetRoles): Promise<void>;
  /** For a compute that was started with `switchesLog`. Call while nothing is in flight. */
  switchLog(isOn: boolean): Promise<void>;
  /** Resolves when everything that was answered is in Postgres. */
  settle(): Promise<void>;
  /** Registers a first version and makes it live. */
  serve(model: BenchModel, options?: PutOptions): Promise<void>;
}

export interface PutOptions {
  readonly name?: string;
  /** Additional lines of model.yaml. */
  readonly yaml?: string;
}

export async function startComputeStand(options: ComputeStandOptions): Promise<ComputeStand> {
  const { profile, ...told } = options;
  await using opened = new AsyncDisposableStack();
  const child = opened.use(await startChild(CHILD, { args: [JSON.stringify(told)], profile }));
  const address = `127.0.0.1:${child.port}`;
  const load = opened.use(rawLoad(address));
  const put = async (
    model: BenchModel,
    version: number,
    { name = model.name, yaml = '' }: PutOptions = {},
  ) => {
    const path = join(options.folder, `${name}-${version}.onnx`);
    await writeFile(path, model.onnx);
    const manifestYaml = `name: ${name}\ntask: tensor\n${yaml}`;
    await child.ask('put', { manifestYaml, version, path });
  };
  const roles = (set: SetRoles) => child.ask<void>('roles', set);
  const stack = opened.move();
  return {
    child,
    load,
    openBare: () => openBareLoad(address),
    put,
    roles,
    switchLog: (isOn) => child.ask<void>('switchLog', isOn),
    settle: () => child.ask<void>('flush', FLUSH_MS, FLUSH_MS + 1_000),
    async serve(model, given = {}) {
      await put(model, 1, given);
      await roles({ model: given.name ?? model.name, live: 1, previous: null, target: null });
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
