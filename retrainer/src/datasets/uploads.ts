import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { checkHead } from './read-table.ts';

/** A file that was sent over HTTP, on this machine until disposal. */
export interface UploadedFile extends AsyncDisposable {
  /** What came before the file; empty where nothing was announced. */
  readonly preface: string;
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
}

export const MOST_UPLOAD_BYTES = 1024 ** 3;
const HEAD_BYTES = 1024 * 1024;

/**
 * Writes a stream of CSV, JSONL or Parquet into a file. What cannot be read is refused as soon as its first megabyte is here, and
 * more bytes than allowed at once: memory and disk stay bounded. Throws INVALID_ARGUMENT with the reason, or RESOURCE_EXHAUSTED.
 *
 * @param prefaceBytes so many bytes of UTF-8 come before the file in the same body.
 */
export async function receiveTable(stream: Readable, prefaceBytes = 0): Promise<UploadedFile> {
  // A body of JSON, or none, was read already and is no file.
  if (typeof stream?.iterator !== 'function')
    throw new HotloopError(
      'INVALID_ARGUMENT',
      'send the file as text/csv, application/x-ndjson or application/vnd.apache.parquet',
      {
        reason: 'not_a_table',
      },
    );
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-upload-'));
  const dispose = () => rm(folder, { recursive: true, force: true });
  const path = join(folder, randomUUID());
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    await using file = await open(path, 'wx', 0o600);
    let head: Buffer | null = Buffer.alloc(0);
    // Left open when it is refused: a connection that is cut would take the reason with it. The rest is read and dropped.
    let preface = Buffer.alloc(0);
    for await (const piece of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      const before = piece.subarray(0, prefaceBytes - preface.length);
      if (before.length > 0) preface = Buffer.concat([preface, before]);
      const chunk = piece.subarray(before.length);
      bytes += chunk.length;
      if (bytes > MOST_UPLOAD_BYTES)
        throw new HotloopError(
          'RESOURCE_EXHAUSTED',
          `the file is larger than ${MOST_UPLOAD_BYTES} bytes; divide it, or send Parquet`,
          { reason: 'file_too_large' },
        );
      hash.update(chunk);
      if (head !== null) {
        head = Buffer.concat([head, chunk]);
        if (head.length >= HEAD_BYTES) {
          checkHead(head.subarray(0, HEAD_BYTES), false);
          head = null;
        }
      }
      await file.writeFile(chunk);
    }
    if (head !== null) checkHead(head, true);
    return {
      ...{ path, preface: preface.toString('utf8'), sha256: hash.digest('hex'), bytes },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    stream.resume();
    await dispose();
    throw error;
  }
}
