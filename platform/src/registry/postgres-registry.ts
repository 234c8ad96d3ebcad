import { HotloopError } from '@hotloop/proto/errors.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { Log } from '../log.ts';
import { type Listener, listen } from '../postgres/listener.ts';
import { fromPostgresError, type Pool } from '../postgres/pool.ts';
import {
  modelRecord,
  type RegistryRows,
  readRegistry,
  readRevision,
  readVersions,
  sameModel,
  versionKey,
} from './registry-queries.ts';
import type { ModelRecord, RegistryReader, RegistrySnapshot, VersionRecord } from './snapshot.ts';
import { decodeRegistry, encodeRegistry, type SnapshotFile } from './snapshot-file.ts';

/** The channel that announces changes of the registry; triggers on its tables send the notifications. */
export const REGISTRY_CHANNEL = 'hotloop_registry';

export interface RegistryOptions {
  /** Interval at which the revision is compared in case a notification was lost; default 1000. */
  readonly pollMs?: number;
  readonly clock?: Clock;
  /** Keeps the newest snapshot on disk; with it the registry also opens while Postgres cannot be reached. */
  readonly file?: SnapshotFile | undefined;
}

/**
 * A registry over Postgres. Resolves when the first snapshot is read, from disk if Postgres cannot be reached;
 * rejects UNAVAILABLE when neither can be read. Reads again when Postgres notifies, when the listening connection is
 * restored, and when a poll finds another revision. The pool belongs to the caller; disposal ends the listening
 * connection and the poll.
 */
export async function openRegistry(
  pool: Pool,
  listenUrl: string,
  log: Log,
  options: RegistryOptions = {},
): Promise<RegistryReader & AsyncDisposable> {
  const registry = new PostgresRegistry(pool, log, options);
  await registry.refresh().catch(async (error: unknown) => {
    if (!(await registry.readFile())) throw error;
  });
  registry.start(listenUrl);
  return registry;
}

class PostgresRegistry implements RegistryReader, AsyncDisposable {
  readonly #pool: Pool;
  readonly #log: Log;
  readonly #pollMs: number;
  readonly #clock: Clock;
  readonly #file: SnapshotFile | undefined;
  readonly #listeners = new Set<(snapshot: RegistrySnapshot) => void>();
  #snapshot: RegistrySnapshot = { models: new Map() };
  #versions: ReadonlyMap<string, VersionRecord> = new Map();
  #revision = '';
  #confirmedAt = 0;
  #reading: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #listener: Listener | undefined;
  #away = false;
  #closed = false;

  constructor(pool: Pool, log: Log, options: RegistryOptions) {
    this.#pool = pool;
    this.#log = log;
    this.#pollMs = options.pollMs ?? 1000;
    this.#clock = options.clock ?? systemClock;
    this.#file = options.file;
  }

  /** Publishes the snapshot that an earlier process left on disk. Returns false when there is none that can be read. */
  async readFile(): Promise<boolean> {
    const kept = decodeRegistry(await this.#file?.read());
    if (kept === null) return false;
    this.#snapshot = kept.snapshot;
    this.#confirmedAt = kept.confirmedAt;
    for (const model of kept.snapshot.models.values())
      this.#versions = new Map([
        ...this.#versions,
        ...[...model.versions.values()].map(
          (record) => [versionKey(record.model, record.version), record] as const,
        ),
      ]);
    const since = new Date(kept.confirmedAt).toISOString();
    this.#log.warn({ since }, 'Postgres cannot be reached: using the registry as this node last read it');
    return true;
  }

  start(listenUrl: string): void {
    this.#listener = listen(listenUrl, REGISTRY_CHANNEL, () => this.#refreshQuietly(), this.#log);
    this.#schedulePoll();
  }

  current(): RegistrySnapshot {
    return this.#snapshot;
  }

  confirmedAt(): number {
    return this.#confirmedAt;
  }

  onChange(listener: (snapshot: RegistrySnapshot) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * A read in progress may have started before the change that the caller waits for, so one more follows it, shared
   * by all callers.
   */
  async refresh(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#reading) {
      this.#next ??= this.#reading.then(
        () => this.#startReading(),
        () => this.#startReading(),
      );
      await abortable(this.#next, signal);
    } else await abortable(this.#startReading(), signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#listeners.clear();
    await this.#listener?.close();
    await Promise.allSettled([this.#reading, this.#next]);
    await this.#file?.written();
  }

  #startReading(): Promise<void> {
    this.#next = undefined;
    const reading = this.#read().finally(() => {
      if (this.#reading === reading) this.#reading = undefined;
    });
    this.#reading = reading;
    return reading;
  }

  async #read(): Promise<void> {
    try {
      const revision = await readRevision(this.#pool);
      if (revision !== this.#revision || this.#revision === '') await this.#readAll();
      this.#confirmedAt = this.#clock.now();
      if (this.#away) this.#log.info('the registry can be read again');
      this.#away = false;
    } catch (error) {
      const known = fromPostgresError(error);
      if (!this.#away && !this.#closed)
        this.#log.warn({ error: known }, 'the registry cannot be read; keeping the last snapshot');
      this.#away = true;
      throw new HotloopError(known.code, 'the registry cannot be read', { cause: error });
    }
  }

  async #readAll(): Promise<void> {
    const rows = await readRegistry(this.#pool);
    const unknown = rows.versions.filter((row) => !this.#versions.has(versionKey(row.model, row.version)));
    const fresh = await readVersions(this.#pool, unknown, this.#log);
    const versions = new Map<string, VersionRecord>();
    for (const row of rows.versions) {
      const key = versionKey(row.model, row.version);
      const record = this.#versions.get(key) ?? fresh.get(key);
      if (record) versions.set(key, record);
    }
    this.#versions = versions;
    this.#revision = rows.revision;
    this.#publish(rows);
  }

  /** Unchanged models keep their identity, so that readers can compare by reference. */
  #publish(rows: RegistryRows): void {
    const byModel = Map.groupBy(this.#versions.values(), (record) => record.model);
    const rollouts = Map.groupBy(rows.rollouts, (rollout) => rollout.model);
    const models = new Map<string, ModelRecord>();
    let changed = rows.models.length !== this.#snapshot.models.size;
    for (const row of rows.models) {
      const own = new Map((byModel.get(row.name) ?? []).map((record) => [record.version, record]));
      const record = modelRecord(row, own, rollouts.get(row.name));
      const before = this.#snapshot.models.get(row.name);
      const same = before !== undefined && sameModel(before, record);
      models.set(row.name, same ? before : record);
      changed ||= !same;
    }
    if (!changed) return;
    this.#snapshot = { models };
    this.#file?.write(encodeRegistry(this.#snapshot, this.#clock.now()));
    for (const listener of [...this.#listeners]) this.#tell(listener);
  }

  #tell(listener: (snapshot: RegistrySnapshot) => void): void {
    try {
      listener(this.#snapshot);
    } catch (error) {
      this.#log.error({ error }, 'a listener of the registry failed');
    }
  }

  #schedulePoll(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(async () => {
      await this.#refreshQuietly();
      this.#schedulePoll();
    }, this.#pollMs);
  }

  /** The failure is already logged; the next poll tries again. */
  #refreshQuietly(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return this.refresh().catch(() => undefined);
  }
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
