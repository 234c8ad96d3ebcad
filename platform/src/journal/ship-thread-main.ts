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

/**
 * Longer than a shipment may take: the shipper itself closes the connection of a shipment that takes too long, and
 * copyInto requires that.
 */
const QUERY_TIMEOUT_MS = 60_000;

function report(message: ShipReport): void {
  parentPort?.postMessage(message);
}

/** Sends lines to the thread that owns the log. */
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

/** Ships one journal, which another thread writes, until a message ends it. */
async function main(data: ShipThreadData): Promise<void> {
  const words = new ShipWords(data.words);
  const log = reportingLog();
  await using pool = openPool(data.databaseUrl, {
    max: 1,
    queryTimeoutMs: QUERY_TIMEOUT_MS,
    application: data.application,
    log,
  });
  const closed = Promise.withResolvers<void>();
  const source: JournalSource = {
    name: data.name,
    directory: data.directory,
    provisional: data.provisional,
    written: () => words.written(),
    fullness: () => words.fullness(),
    changed: (seen) => words.changed(seen, data.wakeMs),
    release: (before) => report({ kind: 'shipped', before, counts: shipper.counts() }),
  };
  await using shipper = startShipper(source, pool, log, data.options);
  parentPort?.on('message', (order: ShipOrder) => {
    if (order.kind === 'close') closed.resolve();
    else
      shipper.flush(order.deadlineMs).then(
        () => report({ kind: 'flushed', id: order.id, counts: shipper.counts() }),
        () => undefined,
      );
  });
  await closed.promise;
  parentPort?.removeAllListeners('message');
}

if (parentPort) {
  await main(workerData as ShipThreadData);
  // Ends only this thread. Without it, a pending flush would keep the thread alive.
  process.exit(0);
}
