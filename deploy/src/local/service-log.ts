import { createWriteStream } from 'node:fs';
import { mkdir, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const KEPT_LINES = 20;
const LARGEST_BYTES = 32 * 1024 * 1024;

/** Where the lines of one service go: a file, and the last few in memory for the moment when it fails. */
export interface ServiceLog extends AsyncDisposable {
  readonly file: string;
  write(line: string): void;
  /** The newest lines, oldest first. */
  lastLines(): readonly string[];
}

/** Appends to the file; one that has grown large is renamed to FILE.1 first. */
export async function openServiceLog(file: string): Promise<ServiceLog> {
  await mkdir(dirname(file), { recursive: true });
  const size = await stat(file).then(
    ({ size }) => size,
    () => 0,
  );
  if (size > LARGEST_BYTES) await rename(file, `${file}.1`);
  const stream = createWriteStream(file, { flags: 'a' });
  // A full disk costs the log, not the service.
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
