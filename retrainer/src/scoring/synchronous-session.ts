import { createRequire } from 'node:module';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { Tensor } from 'onnxruntime-node';

/** Inputs or outputs of a session: tensors by name. */
export type Feeds = Readonly<Record<string, Tensor>>;

/** A session that runs synchronously on the calling thread, such as for SQL functions. */
export interface SynchronousSession extends Disposable {
  /** Throws the runtime's error. */
  run(feeds: Feeds, outputs: readonly string[]): Feeds;
}

interface NativeSession {
  loadModel(buffer: ArrayBufferLike, offset: number, length: number, options: object): void;
  run(feeds: Feeds, outputs: Readonly<Record<string, null>>, options: object): Feeds;
  dispose(): void;
}

interface Binding {
  readonly binding: { readonly InferenceSession: new () => NativeSession };
  initOrt(): void;
}

/**
 * Loads a model. The runtime's public interface defers every run to a later turn of the event loop although the run itself
 * is synchronous. DuckDB needs a function's result within the same turn, so the native session is used directly.
 */
export function openSynchronousSession(onnx: Uint8Array, threads: number): SynchronousSession {
  const { binding, initOrt } = createRequire(import.meta.url)('onnxruntime-node/dist/binding.js') as Binding;
  initOrt();
  const session = new binding.InferenceSession();
  try {
    session.loadModel(onnx.buffer, onnx.byteOffset, onnx.byteLength, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
  } catch (cause) {
    throw new HotloopError('INVALID_ARGUMENT', 'the runtime does not take the fused model', {
      reason: 'runtime_refused',
      cause,
    });
  }
  return {
    run: (feeds, outputs) => session.run(feeds, Object.fromEntries(outputs.map((name) => [name, null])), {}),
    [Symbol.dispose]: () => session.dispose(),
  };
}

/** The constructor's overloads pair each type with its array class; callers pass matching pairs. */
export function tensorOf(type: string, data: unknown, dims: readonly number[]): Tensor {
  return new (Tensor as unknown as new (type: string, data: unknown, dims: readonly number[]) => Tensor)(
    type,
    data,
    dims,
  );
}
