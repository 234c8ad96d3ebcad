import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { inferManifest } from '@hotloop/model/manifest/infer-manifest.ts';
import { sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import type { SqlConnection, SqlStatement } from '@hotloop/platform/duckdb/sql-database.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { parse } from 'csv-parse/sync';
import { uuidv7 } from '../batch/batch-id.ts';
import { literalOf, scanSql } from './sql-scan.ts';

/** The parts of `CREATE [OR REPLACE] MODEL name [OPTIONS (label = 'column')] AS SELECT ...`. */
export interface CreateModel {
  readonly name: string;
  readonly replace: boolean;
  readonly label: string | undefined;
  readonly select: string;
}

/** Where the training is requested. */
export interface TrainingDoor {
  /** http://host:port of the control API. */
  readonly url: string;
  readonly apiKey: string | undefined;
  /** How it is called; default: the global `fetch`. */
  readonly fetch?: typeof fetch;
}

export interface CreateModelDependencies {
  readonly registry: RegistryReader;
  readonly bundles: BundleStore;
  readonly door: TrainingDoor | undefined;
  /** Folder for temporary files with the rows. */
  readonly folder: string;
}

/** Number of bytes of rows that are used to draft model.yaml. */
const DRAFT_BYTES = 16 * 1024 * 1024;
const COLUMNS = ['model', 'version', 'created', 'examples', 'dataset'] as const;

/** Parses CREATE MODEL; undefined for every other statement. Throws INVALID_ARGUMENT for a syntax error. */
export function parseCreateModel(sql: string): CreateModel | undefined {
  const tokens = scanSql(sql);
  const words = tokens.slice(0, 4).map(({ text }) => text.toUpperCase());
  const replace = words[1] === 'OR' && words[2] === 'REPLACE';
  const at = replace ? 3 : 1;
  if (words[0] !== 'CREATE' || words[at] !== 'MODEL') return undefined;
  let next = at + 1;
  let name = '';
  while (tokens[next] && !/^(AS|OPTIONS)$/i.test(tokens[next]?.text ?? '')) name += tokens[next++]?.text;
  let label: string | undefined;
  if (/^OPTIONS$/i.test(tokens[next]?.text ?? '')) {
    for (; tokens[next] && tokens[next]?.text !== ')'; next++)
      if (/^(label|input_label_cols)$/i.test(tokens[next]?.text ?? '')) {
        const value = tokens.slice(next).find(({ kind }) => kind === 'text');
        label = value === undefined ? undefined : literalOf(value);
      }
    next++;
  }
  const select = /^AS$/i.test(tokens[next]?.text ?? '') ? sql.slice(tokens[next]?.end).trim() : '';
  if (name === '' || !/^(SELECT|WITH|FROM|\()/i.test(select))
    throw new HotloopError(
      'INVALID_ARGUMENT',
      "it must be CREATE [OR REPLACE] MODEL name [OPTIONS (label = 'column')] AS SELECT ...",
      { reason: 'bad_create_model' },
    );
  return { name: name.replaceAll(/["`]/g, ''), replace, label, select };
}

/**
 * Executes CREATE MODEL: the rows of the SELECT become the history of the model, and a first version is trained from them and
 * registered, but not promoted. An existing model keeps its model.yaml; for a new one it is drafted from the columns.
 */
export function createModelStatement(
  { name, replace, label, select }: CreateModel,
  connection: SqlConnection,
  dependencies: CreateModelDependencies,
  signal: AbortSignal,
): SqlStatement {
  return {
    columns: COLUMNS.map((column) => ({ name: column, type: 'VARCHAR' })),
    parameterTypes: [],
    isQuery: true,
    isSelect: false,
    async *run() {
      const { door, registry, bundles, folder } = dependencies;
      if (door === undefined)
        throw new HotloopError(
          'FAILED_PRECONDITION',
          'set HOTLOOP_CONTROL of the SQL process to train models',
        );
      await registry.refresh();
      const known = registry.current().models.get(name);
      if (known && !replace)
        throw new HotloopError(
          'ALREADY_EXISTS',
          `model "${name}" already exists; say CREATE OR REPLACE MODEL`,
        );
      const path = join(folder, `train-${uuidv7(Date.now())}.csv`);
      try {
        await connection.run(`COPY (${select}) TO ${sqlText(path)} (FORMAT csv, HEADER)`);
        const newest = known?.versions.get(Math.max(...known.versions.keys()));
        const drafted = newest === undefined ? await draft(name, path, label) : undefined;
        const yaml = drafted?.yaml ?? (await bundles.get(newest?.bundleSha256 ?? '')).manifestYaml;
        const column = label ?? drafted?.label;
        if (column === undefined)
          throw new HotloopError(
            'INVALID_ARGUMENT',
            "say which column is learnt: OPTIONS (label = 'column')",
          );
        const trained = await ask(door, path, yaml, column, signal);
        yield [COLUMNS.map((key) => String(trained[key] ?? ''))];
      } finally {
        await rm(path, { force: true });
      }
      return 0;
    },
    [Symbol.dispose]: () => undefined,
  };
}

async function draft(name: string, path: string, label: string | undefined) {
  const file = await open(path);
  try {
    const bytes = Buffer.alloc(DRAFT_BYTES);
    const { bytesRead } = await file.read(bytes, 0, DRAFT_BYTES, 0);
    const whole = bytes.toString('utf8', 0, bytesRead);
    const text = bytesRead < DRAFT_BYTES ? whole : whole.slice(0, whole.lastIndexOf('\n'));
    const [columns = [], ...rows] = parse(text, {
      skip_empty_lines: true,
      relax_column_count: true,
    }) as string[][];
    return inferManifest(name, { columns, rows }, label);
  } catch (error) {
    if (error instanceof RangeError) throw new HotloopError('INVALID_ARGUMENT', error.message);
    throw error;
  } finally {
    await file.close();
  }
}

async function* inTurn(manifest: Uint8Array, rows: Readable): AsyncGenerator<Uint8Array> {
  yield manifest;
  yield* rows as AsyncIterable<Uint8Array>;
}

async function ask(
  door: TrainingDoor,
  path: string,
  yaml: string,
  label: string,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const manifest = Buffer.from(yaml);
  const query = new URLSearchParams({ label, manifest_bytes: String(manifest.length) });
  const call = door.fetch ?? fetch;
  const response = await call(`${door.url}/v1/models/first-version?${query}`, {
    method: 'POST',
    headers: {
      'content-type': 'text/csv',
      ...(door.apiKey === undefined ? {} : { authorization: `Bearer ${door.apiKey}` }),
    },
    body: Readable.toWeb(Readable.from(inTurn(manifest, createReadStream(path)))) as ReadableStream,
    duplex: 'half',
    signal,
  } as RequestInit).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw new HotloopError('UNAVAILABLE', 'the control API cannot be reached', { cause });
  });
  const document = (await response.json()) as Record<string, unknown>;
  if (response.ok) return document;
  throw new HotloopError('INVALID_ARGUMENT', `the model was not trained: ${String(document.detail)}`, {
    reason: 'not_trained',
  });
}
