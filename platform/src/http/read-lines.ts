import { HotloopError } from '@hotloop/proto/errors.ts';

const NEWLINE = 0x0a;
const RETURN = 0x0d;

export interface Line {
  /** Counted from 1, including empty lines. */
  readonly number: number;
  /** Without the line end. Undefined for a line that is too long: see `lineTooLong`. */
  readonly bytes: Uint8Array | undefined;
}

/**
 * Splits a stream of bytes into its non-empty lines, ended by LF or CRLF. The content of a line longer than `maxBytes`
 * is dropped as it arrives, so at most that much and one chunk is buffered.
 */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Line, void, undefined> {
  let number = 1;
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  const add = (part: Uint8Array) => {
    restBytes += part.length;
    if (restBytes > maxBytes) rest = [];
    else if (part.length > 0) rest.push(part);
  };
  const take = (): Line => {
    const joined = rest.length === 1 ? (rest[0] as Uint8Array) : Buffer.concat(rest);
    const isLong = restBytes > maxBytes;
    rest = [];
    restBytes = 0;
    const length = joined.at(-1) === RETURN ? joined.length - 1 : joined.length;
    return { number: number++, bytes: isLong ? undefined : joined.subarray(0, length) };
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      add(chunk.subarray(from, end));
      const line = take();
      from = end + 1;
      if (line.bytes?.length !== 0) yield line;
    }
    add(chunk.subarray(from));
  }
  if (restBytes > 0) yield take();
}

export function lineTooLong({ number }: Line, maxBytes: number): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `line ${number} has more than ${maxBytes} bytes`, {
    reason: 'line_too_long',
  });
}
