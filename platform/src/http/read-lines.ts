import { HotloopError } from '@hotloop/proto/errors.ts';

const NEWLINE = 0x0a;
const RETURN = 0x0d;

export interface Line {
  /** Counted from 1, including empty lines. */
  readonly number: number;
  /** Without the line end. */
  readonly bytes: Uint8Array;
}

/**
 * Splits a stream of bytes into its non-empty lines, ended by LF or CRLF. Throws INVALID_ARGUMENT for a line longer
 * than `maxBytes`, so at most that much and one chunk is buffered.
 */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Line, void, undefined> {
  let number = 1;
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  const lineOf = (last: Uint8Array): Line => {
    const joined = rest.length === 0 ? last : Buffer.concat([...rest, last]);
    rest = [];
    restBytes = 0;
    const length = joined.at(-1) === RETURN ? joined.length - 1 : joined.length;
    return { number: number++, bytes: joined.subarray(0, length) };
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      if (restBytes + end - from > maxBytes) throw tooLong(number, maxBytes);
      const line = lineOf(chunk.subarray(from, end));
      from = end + 1;
      if (line.bytes.length > 0) yield line;
    }
    const left = chunk.subarray(from);
    if (restBytes + left.length > maxBytes) throw tooLong(number, maxBytes);
    if (left.length > 0) rest.push(left);
    restBytes += left.length;
  }
  if (restBytes > 0) yield lineOf(new Uint8Array());
}

function tooLong(number: number, maxBytes: number): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `line ${number} has more than ${maxBytes} bytes`, {
    reason: 'line_too_long',
  });
}
