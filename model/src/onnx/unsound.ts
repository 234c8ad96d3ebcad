import { HotloopError } from '@hotloop/proto/errors.ts';

export { quoted } from '@hotloop/proto/quoted.ts';

/**
 * The error for an invalid ONNX file: its message says what is wrong, where in the graph, and what to do. It is safe
 * to show to a caller: it contains names from the file itself and nothing about this machine.
 */
export function unsound(message: string, cause?: unknown): HotloopError {
  const details = cause === undefined ? {} : { cause };
  return new HotloopError('INVALID_ARGUMENT', message, { reason: 'unsound_model', ...details });
}
