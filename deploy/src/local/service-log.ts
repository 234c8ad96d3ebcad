import { createWriteStream } from 'node:fs';
import { mkdir, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const KEPT_LINES = 20;
const LARGEST_BYTES = 32 * 1024 * 1024;

/** Stores the lines of one service: in a file, and the last few in memory for error messages. */
export interface ServiceLog extends AsyncDisposable {
  readonly file: string;
  write(line: string): void;
  /** The newest lines, oldest first. */
  lastLines(): readonly string[];
}

/** Appends to the file; a large file is renamed to FILE.1 first. */
export async function openServiceLog(file: string): Promise<ServiceLog> {
  await mkdir(dirname(file), { recursive: true });
  const size = await stat(file).then(
    ({ size }) => size,
    () => 0,
  );
  if (size > LARGEST_BYTES) await rename(file, `${file}.1`);
  const stream = createWriteStream(file, { flags: 'a' });
  // A full disk only affects the log, not the service.
  stream.on('error', () => undefined);
  const kept: string[] = [];
  return {
    file,
    write(line) {
      kept.push(line);
      if (kept.length > KEPT_LINES) kept.shift();
      if (stream.writable) stream.write(`${line}\n`);
    },
    lastLines: () => [...kept],
    [Symbol.asyncDispose]: () => new Promise((resolve) => stream.end(() => resolve())),
  };
}
