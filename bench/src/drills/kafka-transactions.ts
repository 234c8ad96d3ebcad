import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { startRealKafka } from '@hotloop/deploy/backing/real-kafka.ts';
import { startWatchdog } from '@hotloop/deploy/backing/watchdog.ts';
import { openSqlDatabase } from '@hotloop/platform/duckdb/sql-database.ts';
import { readTopicRange } from '@hotloop/platform/kafka/read-range.ts';
import { openTransactionalProducer } from '@hotloop/platform/kafka/transactional-producer.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { sendRows } from '@hotloop/retrainer/batch/kafka-rows.ts';
import { CACHE } from '../stand/bench-local.ts';

const START_MS = 180_000;
const READ_MS = 60_000;
const ROWS = 5_000;
const SENT_BEFORE = 1_300;

/**
 * The rows of a batch go to a topic of a real Kafka while two workers hold the run: one that has sent some rows and lost its lease, and the
 * one that takes over. Throws where a row is there twice or not at all, or where the first worker may still send.
 */
export async function kafkaTransactions(folder: string): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const given = { watchdog: stack.use(startWatchdog()), log: () => undefined };
  const kafka = stack.use(
    await startRealKafka(
      { ...given, dir: join(folder, 'kafka'), cacheDir: CACHE },
      AbortSignal.timeout(START_MS),
    ),
  );
  const address = { brokers: [kafka.brokers], clientId: 'drill', log: silentLog() };
  const database = stack.use(await openSqlDatabase({ memoryMb: 128, threads: 1, files: true }));
  using connection = await database.connect();
  const file = join(folder, 'rows.parquet');
  await connection.run(
    `COPY (SELECT n AS "row", 'k' || n % 7 AS message_key, n / 2 AS score FROM range(${ROWS}) t(n)) TO '${file}' (FORMAT parquet)`,
  );
  const runId = randomUUID();
  const location = { kind: 'kafka', topic: 'scores', fromMs: undefined, toMs: undefined } as const;
  const before = stack.use(await openTransactionalProducer(address, `hotloop-batch-${runId}`));
  const messages = Array.from({ length: SENT_BEFORE }, (_, row) => ({
    key: `k${row % 7}`,
    value: '{}',
    headers: { 'hotloop-run': runId, 'hotloop-row': String(row) },
  }));
  await before.send(location.topic, messages);
  const rows = { runId, files: [file], connection, isRepeated: true };
  await sendRows(address, location, rows, AbortSignal.timeout(READ_MS));
  const late = await before.send(location.topic, messages).then(
    () => true,
    () => false,
  );
  if (late) throw new Error('a worker that had lost its run could still send rows');
  const found: number[] = [];
  await readTopicRange(
    address,
    location,
    async (read) => {
      for (const { headers } of read) found.push(Number(headers['hotloop-row']));
    },
    AbortSignal.timeout(READ_MS),
  );
  const distinct = new Set(found).size;
  if (found.length !== ROWS || distinct !== ROWS)
    throw new Error(`${found.length} messages of ${distinct} rows are on the topic instead of ${ROWS}`);
}
