import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { HotloopClient } from '@hotloop/client';
import type { EventProducer } from '@hotloop/platform/kafka/producer.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { Local } from '../local/start-local.ts';
import type { BusinessDatabase } from './business-database.ts';
import { TourFailure } from './tour-failure.ts';

const COMMAND = fileURLToPath(new URL('../../../cli/bin/hotloop.mjs', import.meta.url));
const POLL_MS = 100;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Output and exit code of a command of the tour. */
export interface CommandResult {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

export interface TourContextOptions {
  readonly folder: string;
  /** Contains unpacked system packages, for a step that starts a separate platform. */
  readonly cacheFolder: string;
  /** Folder of public data sets, if there is one. */
  readonly dataFolder: string | undefined;
  /** The PATH of the commands that are run. */
  readonly path: string;
  readonly local: Local;
  readonly client: HotloopClient;
  readonly producer: EventProducer;
  readonly pool: Pool;
  readonly business: BusinessDatabase;
  readonly signal: AbortSignal;
}

/** What every step gets: the running platform, a folder for files, and the `hotloop` command. */
export class TourContext {
  readonly folder: string;
  readonly cacheFolder: string;
  readonly local: Local;
  readonly client: HotloopClient;
  /** Sends to the platform's Kafka. */
  readonly producer: EventProducer;
  /** For reading the platform's tables, never for writing. */
  readonly pool: Pool;
  /** The database to which BOOKINGS_URL of the services refers. */
  readonly business: BusinessDatabase;
  readonly signal: AbortSignal;
  /** Values that earlier steps leave for later ones, by name. */
  readonly notes = new Map<string, string>();
  readonly #dataFolder: string | undefined;
  readonly #path: string;

  constructor(options: TourContextOptions) {
    this.folder = options.folder;
    this.cacheFolder = options.cacheFolder;
    this.local = options.local;
    this.client = options.client;
    this.producer = options.producer;
    this.pool = options.pool;
    this.business = options.business;
    this.signal = options.signal;
    this.#dataFolder = options.dataFolder;
    this.#path = options.path;
  }

  /** The path of a public data file such as `banking77/train.csv`; undefined if it is not on this machine. */
  dataFile(name: string): string | undefined {
    if (this.#dataFolder === undefined) return undefined;
    const path = join(this.#dataFolder, name);
    return existsSync(path) ? path : undefined;
  }

  /** Writes a file below the tour's folder and returns its path. */
  async write(name: string, text: string | Uint8Array): Promise<string> {
    const path = join(this.folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    return path;
  }

  /** Runs another program; undefined if it is not on this machine. */
  program(name: string, ...args: readonly string[]): Promise<CommandResult | undefined> {
    return new Promise((resolve) => {
      const options = { cwd: this.folder, env: { PATH: this.#path }, signal: this.signal };
      execFile(name, [...args], options, (error, out, err) => {
        if (error?.code === ('ENOENT' as unknown)) resolve(undefined);
        else resolve({ exitCode: typeof error?.code === 'number' ? error.code : error ? 1 : 0, out, err });
      });
    });
  }

  /** Runs `hotloop` with these arguments against the running platform; never rejects because of an exit code. */
  command(...args: readonly string[]): Promise<CommandResult> {
    const { addresses, httpAddresses } = this.local;
    const environment = {
      PATH: this.#path,
      HOME: this.folder,
      NO_COLOR: '1',
      HOTLOOP_PREPROCESSOR: addresses.preprocessor,
      HOTLOOP_RETRAINER: addresses.retrainer,
      HOTLOOP_FRONT_DOOR: `http://${httpAddresses.preprocessor}`,
      HOTLOOP_CONTROL: `http://${httpAddresses.retrainer}`,
    };
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        [COMMAND, ...args],
        { cwd: this.folder, env: environment, maxBuffer: MAX_OUTPUT_BYTES, signal: this.signal },
        (error, out, err) => {
          const exitCode = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
          resolve({ exitCode, out, err });
        },
      );
    });
  }

  /** Runs `hotloop ... --json` and returns its output. Throws TourFailure when it fails. */
  async json<T = Record<string, unknown>>(...args: readonly string[]): Promise<T> {
    const { exitCode, out, err } = await this.command(...args, '--json');
    if (exitCode !== 0)
      throw new TourFailure(
        `\`hotloop ${args.join(' ')}\` to succeed`,
        `it ended with ${exitCode}: ${(err || out).trim()}`,
      );
    return JSON.parse(out) as T;
  }

  /**
   * A request to a service's HTTP address, such as `control('GET', '/v1/models')`. Throws TourFailure on an error
   * status.
   */
  async http<T = Record<string, unknown>>(
    service: keyof Local['httpAddresses'],
    method: string,
    path: string,
    body?: unknown,
  ): Promise<T> {
    const response = await fetch(`http://${this.local.httpAddresses[service]}${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      signal: this.signal,
    });
    const text = await response.text();
    if (!response.ok)
      throw new TourFailure(`${method} ${path} to succeed`, `it was answered ${response.status}: ${text}`);
    return (response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text) as T;
  }

  /** Retries until the answer is not undefined; throws TourFailure at the timeout. */
  async until<T>(expected: string, ask: () => Promise<T | undefined>, timeoutMs = 30_000): Promise<T> {
    const endsAt = performance.now() + timeoutMs;
    let last: unknown;
    for (;;) {
      try {
        const answer = await ask();
        if (answer !== undefined) return answer;
      } catch (error) {
        last = error;
      }
      if (performance.now() > endsAt) {
        const why = last instanceof Error ? `: ${last.message}` : '';
        throw new TourFailure(expected, `not so after ${timeoutMs / 1000} s${why}`);
      }
      await delay(POLL_MS, undefined, { signal: this.signal });
    }
  }
}
