import { setTimeout as delay } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import type { Log, LogFields } from '../log.ts';
import { openPool } from '../postgres/pool.ts';
import {
  type LogLevelName,
  type ShipOrder,
  type ShipReport,
  type ShipThreadData,
  ShipWords,
} from './ship-messages.ts';
import { type JournalSource, startShipper } from './shipper.ts';

const DOZE_MS = 20;
const QUERY_TIMEOUT_MS = 30_000;

function report(message: ShipReport): void {
  parentPort?.postMessage(message);
}

/** Lines are written by the thread that owns the log. */
function reportingLog(bound: LogFields = {}): Log {
  const at =
    (level: LogLevelName) =>
    (first: LogFields | string, second?: string): void => {
      const { error, ...fields } = { ...bound, ...(typeof first === 'string' ? {} : first) } as LogFields;
      const text = typeof first === 'string' ? first : (second ?? '');
      report({ kind: 'log', level, fields, error: plainError(error), text });
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => reportingLog({ ...bound, ...fields }),
  };
}

function plainError(error: unknown): { message: string; stack?: string; code?: string } | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  return { message: error.message, ...(error.stack === undefined ? {} : { stack: error.stack }), ...code };
}

/** Ships one journal, which another thread writes, until it is told to end. */
async function main(data: ShipThreadData): Promise<void> {
  const words = new ShipWords(data.words);
  const log = reportingLog();
  await using pool = openPool(data.databaseUrl, {
    max: 1,
    queryTimeoutMs: QUERY_TIMEOUT_MS,
    application: data.application,
    log,
  });
  const listeners = new Set<() => void>();
  const closed = Promise.withResolvers<void>();
  let isClosing = false;
  const source: JournalSource = {
    name: data.name,
    directory: data.directory,
    provisional: data.provisional,
    written: () => words.written(),
    fullness: () => words.fullness(),
    onWritten(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    release: (before) => report({ kind: 'shipped', before, counts: shipper.counts() }),
  };
  await using shipper = startShipper(source, pool, log, data.options);
  parentPort?.on('message', (order: ShipOrder) => {
    if (order.kind === 'close') {
      isClosing = true;
      closed.resolve();
    } else
      shipper.flush(order.deadlineMs).then(
        () => report({ kind: 'flushed', id: order.id, counts: shipper.counts() }),
        () => undefined,
      );
  });
  const watch = async () => {
    let seen = words.written();
    while (!isClosing) {
      await words.changed(seen, data.wakeMs);
      // What is written from here on is another change, however soon it comes.
      seen = words.written();
      for (const listener of listeners) listener();
      // Rows gather for longer than this; being woken by each of many writes would cost more than shipping them.
      await Promise.race([delay(DOZE_MS), closed.promise]);
    }
  };
  await Promise.race([watch(), closed.promise]);
  parentPort?.removeAllListeners('message');
}

if (parentPort) {
  await main(workerData as ShipThreadData);
  // Ends this thread alone; a flush that nobody waits for any more would keep it.
  process.exit(0);
}
