import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { EventArchive } from '@hotloop/platform/archive/event-archive.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';

export interface EventSpoolOptions {
  /** Used by this node only; files that an earlier process left there are shipped too. */
  readonly folder: string;
  /** Interval at which written events are shipped to the archive; default 5 s. */
  readonly everyMs?: number;
  /** A file of this size is shipped at once; default 32 MiB. */
  readonly fileBytes?: number;
  /** Limit for data on disk while the store cannot be reached; beyond it `append` rejects. Default 4 GiB. */
  readonly maxBytes?: number;
}

/**
 * Events waiting for the archive: lines in local files, which survive the process and are shipped every few seconds.
 * `append` resolves when the operating system has the bytes.
 */
export interface EventSpool extends AsyncDisposable {
  /** Appends lines of `eventLine`. Rejects RESOURCE_EXHAUSTED when too much data waits to be shipped. */
  append(lines: Buffer): Promise<void>;
  /** Ships everything that was appended before the call. Rejects UNAVAILABLE when the store cannot be reached. */
  flush(): Promise<void>;
}

const DEFAULTS = { everyMs: 5000, fileBytes: 32 * 1024 * 1024, maxBytes: 4 * 1024 ** 3 };

/** Opens the spool of a folder and ships what an earlier process left. Disposal ships what it can and closes. */
export async function openEventSpool(
  options: EventSpoolOptions,
  archive: Pick<EventArchive, 'addFile'>,
  log: Log,
): Promise<EventSpool> {
  await mkdir(options.folder, { recursive: true });
  const spool = new FileSpool({ ...DEFAULTS, ...options }, archive, log);
  await spool.start();
  return spool;
}

class FileSpool implements EventSpool {
  readonly #options: Required<EventSpoolOptions>;
  readonly #archive: Pick<EventArchive, 'addFile'>;
  readonly #log: Log;
  /** Complete files waiting to be shipped, oldest first. */
  readonly #waiting: string[] = [];
  #current: { readonly path: string; readonly file: FileHandle; bytes: number } | undefined;
  #bytes = 0;
  /** Serializes writes and rotations. */
  #writing: Promise<unknown> = Promise.resolve();
  #shipping: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #failed = false;

  constructor(options: Required<EventSpoolOptions>, archive: Pick<EventArchive, 'addFile'>, log: Log) {
    this.#options = options;
    this.#archive = archive;
    this.#log = log;
  }

  async start(): Promise<void> {
    for (const name of (await readdir(this.#options.folder))
      .filter((file) => file.endsWith('.jsonl'))
      .sort()) {
      const path = join(this.#options.folder, name);
      this.#bytes += (await stat(path)).size;
      this.#waiting.push(path);
    }
    this.#timer = setInterval(() => void this.flush().catch(() => undefined), this.#options.everyMs);
    this.#timer.unref();
  }

  append(lines: Buffer): Promise<void> {
    if (lines.length === 0) return Promise.resolve();
    return this.#inTurn(async () => {
      if (this.#bytes > this.#options.maxBytes)
        throw new HotloopError(
          'RESOURCE_EXHAUSTED',
          'too many events wait for the archive; try again later',
          {
            reason: 'archive_behind',
          },
        );
      this.#current ??= await this.#open();
      await this.#current.file.appendFile(lines);
      this.#current.bytes += lines.length;
      this.#bytes += lines.length;
      if (this.#current.bytes >= this.#options.fileBytes) {
        await this.#rotate();
        void this.flush().catch(() => undefined);
      }
    });
  }

  async flush(): Promise<void> {
    await this.#inTurn(() => this.#rotate());
    const shipping = this.#shipping.catch(() => undefined).then(() => this.#ship());
    this.#shipping = shipping;
    shipping.catch(() => undefined);
    await shipping;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.flush().catch((error: unknown) => {
      this.#log.warn({ error }, 'events stay on disk until the next start');
    });
  }

  async #ship(): Promise<void> {
    for (let path = this.#waiting[0]; path !== undefined; path = this.#waiting[0]) {
      try {
        const { size } = await stat(path);
        await this.#archive.addFile(path);
        await rm(path);
        this.#waiting.shift();
        this.#bytes -= size;
        if (this.#failed) this.#log.info('events are archived again');
        this.#failed = false;
      } catch (error) {
        if (!this.#failed) this.#log.warn({ error }, 'events cannot be archived; they wait on disk');
        this.#failed = true;
        throw error;
      }
    }
  }

  /** The name sorts by time and is unique, because the archive identifies a file by its name. */
  async #open() {
    const path = join(this.#options.folder, `${Date.now().toString(36)}-${randomUUID()}.jsonl`);
    return { path, file: await open(path, 'ax', 0o644), bytes: 0 };
  }

  async #rotate(): Promise<void> {
    const current = this.#current;
    if (!current) return;
    this.#current = undefined;
    await current.file.close();
    this.#waiting.push(current.path);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#writing.then(work);
    this.#writing = turn.catch(() => undefined);
    return turn;
  }
}
