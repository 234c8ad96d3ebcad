import { HotloopError } from '@hotloop/proto/errors.ts';

/**
 * The refusal of an ONNX file: its message names what is wrong, where in the graph, and what to do. It is safe to
 * show to a caller: it carries names from the file itself and nothing of this machine.
 */
export function unsound(message: string, cause?: unknown): HotloopError {
  const details = cause === undefined ? {} : { cause };
  return new HotloopError('INVALID_ARGUMENT', message, { reason: 'unsound_model', ...details });
}

/** A name from the file, cut and cleaned so that it can stand in a message. */
export function quoted(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed here
  const clean = name.replace(/[\u0000-\u001f\u007f]/g, '?');
  return `'${clean.length > 80 ? `${clean.slice(0, 77)}...` : clean}'`;
}
