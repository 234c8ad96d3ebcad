import { readFile } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { quantile } from '../interleave.ts';
import { serveCommands } from '../stand/commands.ts';

/** The result of a tight loop in one turn. */
export interface TightRun {
  readonly rowsPerSecond: number;
  readonly p50Ms: number;
}

export interface TightLoop {
  readonly name: string;
  readonly rows: number;
  readonly seconds: number;
}

interface Loaded {
  readonly name: string;
  /** File with the model's bytes. */
  readonly path: string;
  readonly input: string;
  readonly row: readonly number[];
}

/**
 * Bare ONNX Runtime: the same session options as compute's runners, one input created once, consecutive runs.
 * Commands: `load` a model, `run` it for a while.
 */
async function main(): Promise<void> {
  const loaded = new Map<string, Loaded & { readonly session: InferenceSession }>();
  serveCommands({
    async load(model: Loaded) {
      const session = await InferenceSession.create(new Uint8Array(await readFile(model.path)), {
        executionProviders: ['cpu'],
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        graphOptimizationLevel: 'all',
        extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
      });
      loaded.set(model.name, { ...model, session });
    },
    async run({ name, rows, seconds }: TightLoop): Promise<TightRun> {
      const model = loaded.get(name);
      if (!model) throw new RangeError(`${name} is not loaded`);
      const length = model.row.reduce((product, dimension) => product * dimension, rows);
      const values = Float32Array.from({ length }, (_, index) => Math.sin(index * 12.9898));
      const feeds = { [model.input]: new Tensor('float32', values, [rows, ...model.row]) };
      const times: number[] = [];
      const start = performance.now();
      const end = start + seconds * 1000;
      let now = start;
      while (now < end) {
        await model.session.run(feeds);
        const after = performance.now();
        times.push(after - now);
        now = after;
      }
      return { rowsPerSecond: (times.length * rows * 1000) / (now - start), p50Ms: quantile(times, 0.5) };
    },
  });
  console.log(JSON.stringify({ ready: true, port: 0 }));
  process.once('disconnect', () => process.exit(0));
}

if (import.meta.main) await main();
