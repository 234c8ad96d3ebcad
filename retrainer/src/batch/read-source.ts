import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { SqlConnection } from '@hotloop/platform/duckdb/sql-database.ts';
import type { KafkaAddress } from '@hotloop/platform/kafka/connection.ts';
import { openObjectStore } from '@hotloop/platform/object-store/open-object-store.ts';
import { copyQueryToCsv } from '@hotloop/platform/postgres/copy-query.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Fingerprint } from './batch-run.ts';
import { copyTopic } from './kafka-rows.ts';
import { type Format, formatOf, type Location, parseLocation } from './location.ts';
import { stageText } from './text-source.ts';

/** Addresses of databases, by the name of the variable that holds them. */
export type DatabaseAddresses = (variable: string) => string | undefined;

/** What sources and sinks beside files are reached by. */
export interface OutsideAddresses {
  readonly databases: DatabaseAddresses;
  /** Undefined where the worker has no brokers. */
  readonly kafka?: KafkaAddress;
}

export interface ReadSource {
  /** Parquet files that hold the rows, in order. */
  readonly files: readonly string[];
  readonly fingerprints: readonly Fingerprint[];
  readonly datasetSha256: string;
}

/**
 * Makes a source readable in parts: Parquet files stay where they are; CSV, JSONL, S3 objects and Postgres rows are copied once
 * into `folder`, so that all parts see the same rows whatever happens to the source. `types` says what columns of text files are
 * read as, where the file does not say. Throws NOT_FOUND or INVALID_ARGUMENT.
 */
export async function readSource(
  text: string,
  folder: string,
  types: Readonly<Record<string, string>>,
  connection: SqlConnection,
  outside: OutsideAddresses,
  signal: AbortSignal,
): Promise<ReadSource> {
  await mkdir(folder, { recursive: true });
  const location = parseLocation(text);
  const local = await localFiles(location, folder, outside, signal);
  const fingerprints = await Promise.all(local.files.map(fingerprintOf));
  const datasetSha256 = await digestOf(local.files);
  if (local.format === 'parquet') return { files: local.files, fingerprints, datasetSha256 };
  const staged = join(folder, 'source.parquet');
  const { format, types: certain = {} } = local;
  try {
    await stageText(connection, { files: local.files, format, types, certain }, staged);
  } finally {
    // A file that changed while it was copied may fail in any way, or not at all.
    await checkUnchanged(fingerprints);
  }
  // A copy of ours does not change; what was copied is in the digest.
  return { files: [staged], fingerprints: [], datasetSha256 };
}

/** Throws FAILED_PRECONDITION `source_changed` when a file is not as it was. */
export async function checkUnchanged(fingerprints: readonly Fingerprint[]): Promise<void> {
  for (const before of fingerprints) {
    const now = await fingerprintOf(before.path).catch(() => undefined);
    if (now?.bytes !== before.bytes || now.modifiedNs !== before.modifiedNs)
      throw new HotloopError(
        'FAILED_PRECONDITION',
        `${before.path} changed while it was being read; run the batch again`,
        { reason: 'source_changed' },
      );
  }
}

interface LocalFiles {
  readonly files: readonly string[];
  readonly format: Format;
  /** Types that are known better than a CSV file says. */
  readonly types?: Readonly<Record<string, string>>;
}

async function localFiles(
  location: Location,
  folder: string,
  { databases, kafka }: OutsideAddresses,
  signal: AbortSignal,
): Promise<LocalFiles> {
  switch (location.kind) {
    case 'file':
      return { files: [location.path], format: location.format };
    case 'folder':
      return ofOneFormat(location.path, await filesIn(location.path));
    case 's3': {
      const at = location.url.lastIndexOf('/');
      const single = formatOf(location.url) !== undefined;
      using store = openObjectStore(single ? location.url.slice(0, at) : location.url);
      const files: string[] = [];
      for await (const { key } of store.list('')) {
        if (formatOf(key) === undefined || (single && key !== location.url.slice(at + 1))) continue;
        const path = join(folder, `object-${String(files.length).padStart(5, '0')}.${formatOf(key)}`);
        await store.getFile(key, path);
        files.push(path);
      }
      return ofOneFormat(location.url, files);
    }
    case 'kafka':
      return { files: await copyTopic(kafka, location, folder, signal), format: 'jsonl' };
    case 'table':
    case 'query': {
      const url = databases(location.variable);
      if (url === undefined)
        throw new HotloopError('INVALID_ARGUMENT', `the worker has no variable ${location.variable}`, {
          reason: 'bad_location',
        });
      const query = location.kind === 'query' ? location.query : `SELECT * FROM ${location.table}`;
      const path = join(folder, 'rows.csv');
      return { files: [path], format: 'csv', types: await copyQueryToCsv(url, query, path, signal) };
    }
  }
}

async function filesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOTDIR')
      throw new HotloopError(
        'INVALID_ARGUMENT',
        `${folder} is a file, whose name must end in .parquet, .csv or .jsonl`,
        { reason: 'bad_location', cause },
      );
    throw new HotloopError('NOT_FOUND', `${folder} is not there`, { cause });
  });
  return names
    .filter((name) => formatOf(name) !== undefined && !name.startsWith('.') && !name.startsWith('_'))
    .sort()
    .map((name) => join(folder, name));
}

function ofOneFormat(where: string, files: readonly string[]): LocalFiles {
  const formats = [...new Set(files.map(formatOf))];
  const format = formats[0];
  if (format === undefined || formats.length > 1)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `${where} must hold Parquet, CSV or JSONL files of one kind; it holds ${formats.join(', ') || 'none'}`,
      { reason: 'bad_location' },
    );
  return { files, format };
}

async function fingerprintOf(path: string): Promise<Fingerprint> {
  const found = await stat(path, { bigint: true }).catch((cause: unknown) => {
    throw new HotloopError('NOT_FOUND', `${path} is not there`, { cause });
  });
  return { path, bytes: Number(found.size), modifiedNs: found.mtimeNs.toString() };
}

/** SHA-256 over the bytes of the files, one after another. */
async function digestOf(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) for await (const bytes of createReadStream(file)) hash.update(bytes as Buffer);
  return hash.digest('hex');
}
