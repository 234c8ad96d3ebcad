import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HotloopClient } from '@hotloop/client';
import { freePort } from '@hotloop/deploy/backing/free-port.ts';
import type { Local } from '@hotloop/deploy/local/start-local.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { openSqlDatabase, type SqlConnection } from '@hotloop/platform/duckdb/sql-database.ts';
import { benchFolder } from './bench-folder.ts';
import { connectTo, startBenchLocal } from './bench-local.ts';

const READY_MS = 60_000;
const LONGEST_BATCH_MS = 15 * 60_000;
const HIDDEN = [256, 128];

export interface BatchReport {
  readonly run_id: string;
  readonly state: string;
  readonly message: string;
  readonly accepted: number;
  readonly refused: number;
}

/**
 * `hotloop up` with SQL, a batch worker and the shoppers example live, and a separate DuckDB to create and compare
 * files.
 */
export interface EnginesStand extends AsyncDisposable {
  readonly local: Local;
  readonly client: HotloopClient;
  readonly manifest: Manifest;
  readonly manifestYaml: string;
  readonly onnx: Uint8Array;
  /** Folder that SQL may read and write. */
  readonly folder: string;
  readonly connection: SqlConnection;
  readonly sqlUrl: string;
  /** Writes this many rows of raw fields with an `id`. */
  writeRows(name: string, rows: number): Promise<string>;
  /** One batch from file to sink; throws when it does not succeed. @returns seconds from the request to the end. */
  batch(source: string, sink: string, options?: object): Promise<number>;
  /** Calls the control API. */
  control<T>(path: string, body?: object): Promise<T>;
}

/** @param hidden sizes of the network's hidden layers. */
export async function startEnginesStand(
  environment: Readonly<Record<string, string>> = {},
  hidden: readonly number[] = HIDDEN,
): Promise<EnginesStand> {
  await using opened = new AsyncDisposableStack();
  const folder = opened.use(await benchFolder()).path;
  const local = opened.use(
    await startBenchLocal(folder, {
      environment: {
        HOTLOOP_TRACE_RATIO: '0',
        HOTLOOP_SQL_FILES: folder,
        HOTLOOP_SQL_TIMEOUT_MS: '900000',
        ...environment,
      },
      sqlListen: `127.0.0.1:${await freePort()}`,
    }),
  );
  const client = opened.use(await connectTo(local));
  const yaml = await readFile(new URL('../../../examples/shoppers/model.yaml', import.meta.url), 'utf8');
  const manifest = parseManifest(yaml);
  const inputs = columnsOf(manifest).width;
  const network = {
    inputs,
    hidden: [...hidden],
    outputs: 1,
    activation: 'relu',
    head: 'sigmoid',
    seed: 1,
  } as const;
  const onnx = perceptron(network);
  const { version } = await client.models.push({ manifestYaml: yaml, onnx }).finished();
  await client.models.promote(version.model, version.version).finished();
  const database = opened.use(await openSqlDatabase({ memoryMb: 1024, threads: 1, files: true }));
  const connection = opened.use(await database.connect());
  const control = async <T>(path: string, body?: object): Promise<T> => {
    const post = {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    };
    const answer = await fetch(
      `http://${local.httpAddresses.retrainer}${path}`,
      body === undefined ? {} : post,
    );
    const document = (await answer.json()) as T & { detail?: string };
    if (!answer.ok) throw new Error(`${path}: ${document.detail}`);
    return document;
  };
  await firstAnswer(client, manifest);
  const stack = opened.move();
  return {
    ...{ local, client, manifest, manifestYaml: yaml, onnx, folder, connection, control },
    sqlUrl: `postgres://bench@${local.sqlAddress}/hotloop`,
    async writeRows(name, rows) {
      const path = join(folder, name);
      await connection.run(
        `COPY (${shopperRows(manifest, rows)}) TO '${path}' (FORMAT parquet, ROW_GROUP_SIZE 100000)`,
      );
      return path;
    },
    async batch(source, sink, options = {}) {
      const begun = performance.now();
      let report = await control<BatchReport>('/v1/batch/runs', {
        ...{ model: manifest.name, source, sink, options },
      });
      while (!['done', 'failed', 'cancelled'].includes(report.state)) {
        if (performance.now() - begun > LONGEST_BATCH_MS) throw new Error('the batch did not end in time');
        report = await control<BatchReport>(`/v1/batch/runs/${report.run_id}?wait=2000`);
      }
      if (report.state !== 'done') throw new Error(`the batch ${report.state}: ${report.message}`);
      return (performance.now() - begun) / 1000;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** A query for this many rows of raw fields of the shoppers example, the same every time. */
export function shopperRows(manifest: Manifest, rows: number): string {
  const values = manifest.features.map(({ name, from }) => {
    const column = `"${from.slice('request.'.length)}"`;
    if (name === 'visitor')
      return `['Returning_Visitor', 'New_Visitor', 'Other'][1 + (hash(n) % 3)::INTEGER] AS ${column}`;
    if (name === 'weekend') return `hash(n + 1) % 2 = 0 AS ${column}`;
    return `(hash(n * 31 + ${from.length}) % 10000) / ${/rate|day/.test(name) ? 50_000 : 100} AS ${column}`;
  });
  return `SELECT n AS id, ${values.join(', ')} FROM range(${rows}) t(n)`;
}

/** Waits until the preprocessor knows about the new model, at most about a second. */
async function firstAnswer(client: HotloopClient, manifest: Manifest): Promise<void> {
  const request = Object.fromEntries(
    manifest.features.map(({ name, from }) => [
      from.slice('request.'.length),
      name === 'visitor' ? 'Other' : name === 'weekend' ? true : 0.1,
    ]),
  );
  const end = performance.now() + READY_MS;
  for (;;) {
    try {
      await client.predict(manifest.name, { request });
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Writes a text to a file for the program of a peer. */
export async function leave(folder: string, name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}
