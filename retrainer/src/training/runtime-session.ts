import { HotloopError } from '@hotloop/proto/errors.ts';
import * as ort from 'onnxruntime-node';

/**
 * Opens a runtime session on bytes that were verified already. The caller releases it.
 *
 * @param refusal what the caller is told (INVALID_ARGUMENT) when the runtime does not take the file.
 */
export async function openRuntimeSession(
  bytes: Uint8Array,
  threads: number,
  refusal: string,
): Promise<ort.InferenceSession> {
  const options = {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // Waiting threads must not spin: serving has priority.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  };
  return ort.InferenceSession.create(bytes, options).catch((cause: unknown) => {
    throw new HotloopError('INVALID_ARGUMENT', refusal, { reason: 'runtime_refused', cause });
  });
}

/** Runs a session. @param refusal what the caller is told (INVALID_ARGUMENT) when the runtime cannot. */
export async function runRuntimeSession(
  session: ort.InferenceSession,
  feeds: Record<string, ort.Tensor>,
  outputs: readonly string[],
  refusal: string,
): Promise<ort.InferenceSession.OnnxValueMapType> {
  // Not every refusal of the runtime is a rejected promise: some are thrown at once.
  try {
    return await session.run(feeds, outputs);
  } catch (cause) {
    throw new HotloopError('INVALID_ARGUMENT', refusal, { reason: 'runtime_refused', cause });
  }
}
