import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../child.ts';
import { type RawLoad, rawLoad } from '../load/raw-load.ts';
import type { BenchModel } from '../models/bench-models.ts';
import type { TightLoop, TightRun } from './tight-loop.ts';

const ECHO_SERVER = fileURLToPath(new URL('./echo-server.ts', import.meta.url));
const TIGHT_LOOP = fileURLToPath(new URL('./tight-loop.ts', import.meta.url));

/** The bare grpc-js server in its own process, and a client of it in this one. */
export interface EchoPeer extends AsyncDisposable {
  readonly load: RawLoad;
}

export async function startEcho(profile?: string): Promise<EchoPeer> {
  await using opened = new AsyncDisposableStack();
  const child = opened.use(await startChild(ECHO_SERVER, { profile }));
  const load = opened.use(rawLoad(`127.0.0.1:${child.port}`));
  const stack = opened.move();
  return { load, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** The bare runtime in its own process. */
export interface TightPeer extends AsyncDisposable {
  readonly pid: number;
  load(model: BenchModel, path: string): Promise<void>;
  run(loop: TightLoop): Promise<TightRun>;
}

export async function startTightLoop(): Promise<TightPeer> {
  const child: Child = await startChild(TIGHT_LOOP);
  return {
    pid: child.process.pid ?? 0,
    load: ({ name, input, row }, path) => child.ask('load', { name, input, row, path }),
    run: (loop) => child.ask<TightRun>('run', loop),
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}
