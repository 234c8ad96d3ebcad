import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { sqlName, sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import type { SqlConnection } from '@hotloop/platform/duckdb/sql-database.ts';
import type { KafkaAddress } from '@hotloop/platform/kafka/connection.ts';
import type { RawMessage } from '@hotloop/platform/kafka/message.ts';
import { readTopicRange, topicSize } from '@hotloop/platform/kafka/read-range.ts';
import { openTransactionalProducer } from '@hotloop/platform/kafka/transactional-producer.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Location } from './location.ts';

type KafkaLocation = Extract<Location, { kind: 'kafka' }>;

/** What a row keeps of its message, beside the fields of the request. */
export const MESSAGE_COLUMNS = ['message_key', 'message_at', 'message_partition', 'message_offset'] as const;

const AT_ONCE = 1_000;

/**
 * Copies the requests of a topic (`{"request": {...}, "entities": {...}, "candidates": [...]}`, as for `kafka` in model.yaml) into files of
 * JSON lines, one for each partition: request fields and entities as columns, and the message's key, time and place. A message that
 * is no such document becomes a row without fields, which is refused.
 *
 * @returns the files, by partition.
 */
export async function copyTopic(
  address: KafkaAddress | undefined,
  location: KafkaLocation,
  folder: string,
  signal: AbortSignal,
): Promise<string[]> {
  const files = new Map<number, ReturnType<typeof createWriteStream>>();
  try {
    await readTopicRange(
      brokersOf(address),
      location,
      async (messages) => {
        for (const message of messages) {
          const file = files.get(message.partition) ?? createWriteStream(pathOf(folder, message.partition));
          files.set(message.partition, file);
          if (!file.write(`${JSON.stringify(rowOf(message))}\n`)) await once(file, 'drain');
        }
      },
      signal,
    );
  } finally {
    for (const file of files.values()) {
      file.end();
      await finished(file);
    }
  }
  if (files.size === 0)
    throw new HotloopError('NOT_FOUND', `the topic ${location.topic} has no message of that time`);
  return [...files.keys()].sort((a, b) => a - b).map((partition) => pathOf(folder, partition));
}

const pathOf = (folder: string, partition: number) =>
  join(folder, `messages-${String(partition).padStart(5, '0')}.jsonl`);

function rowOf({ key, value, timestampMs, partition, offset }: RawMessage): Record<string, unknown> {
  const message = {
    message_key: key === null ? null : Buffer.from(key).toString('utf8'),
    message_at: new Date(timestampMs).toISOString(),
    message_partition: partition,
    message_offset: Number(offset),
  };
  try {
    const document = JSON.parse(Buffer.from(value ?? new Uint8Array()).toString('utf8')) as {
      readonly request?: object;
      readonly entities?: object;
      readonly candidates?: unknown;
    };
    const { candidates } = document;
    return {
      ...Object(document.request),
      ...Object(document.entities),
      ...(candidates === undefined ? {} : { candidates }),
      ...message,
    };
  } catch {
    return message;
  }
}

/** Throws ALREADY_EXISTS for a topic that holds messages, unless the run appends. */
export async function checkTopic(
  address: KafkaAddress | undefined,
  { topic }: KafkaLocation,
  append: boolean,
): Promise<void> {
  if (append || (await topicSize(brokersOf(address), topic)) === 0) return;
  throw new HotloopError(
    'ALREADY_EXISTS',
    `the topic ${topic} holds messages already; say --append to add to them`,
    {
      reason: 'sink_exists',
    },
  );
}

/** The rows of one result, and whether a worker before this one may have sent some of them. */
export interface RowsToSend {
  readonly runId: string;
  readonly files: readonly string[];
  readonly connection: SqlConnection;
  readonly isRepeated: boolean;
}

/**
 * Sends the rows of a result in their order, one message each, under the key that the request came with, so messages of one key stay in
 * order. A thousand rows are one transaction, and a worker that takes over first bars the one before it and then leaves out the rows that
 * are on the topic, so readers of committed messages have each row once. The headers `hotloop-run` and `hotloop-row` name a row.
 */
export async function sendRows(
  address: KafkaAddress | undefined,
  { topic }: KafkaLocation,
  { runId, files, connection, isRepeated }: RowsToSend,
  signal: AbortSignal,
): Promise<void> {
  const brokers = brokersOf(address);
  await using producer = await openTransactionalProducer(brokers, `hotloop-batch-${runId}`);
  const sent = isRepeated ? await sentRows(brokers, topic, runId, signal) : new Set<string>();
  for (const file of files) {
    const table = `read_parquet(${sqlText(file)})`;
    const described = await connection.rows(`DESCRIBE SELECT * FROM ${table}`);
    const names = described.map((row) => String(row.column_name));
    const fields = names.filter((name) => !(MESSAGE_COLUMNS as readonly string[]).includes(name));
    const struct = fields.map((name) => `${sqlText(name)}: ${sqlName(name)}`).join(', ');
    const key = names.includes('message_key') ? 'message_key' : 'NULL';
    for (let from = 0; ; from += AT_ONCE) {
      signal.throwIfAborted();
      const found = await connection.rows(
        `SELECT "row" AS place, ${key} AS key, CAST(to_json({${struct}}) AS VARCHAR) AS value FROM ${table} ORDER BY "row" LIMIT ${AT_ONCE} OFFSET ${from}`,
      );
      if (found.length === 0) break;
      await producer.send(
        topic,
        found
          .filter(({ place }) => !sent.has(String(place)))
          .map(({ place, key: given, value }) => ({
            ...(given === null ? {} : { key: String(given) }),
            value: String(value),
            headers: { 'hotloop-run': runId, 'hotloop-row': String(place) },
          })),
      );
    }
  }
}

/** The rows of a run that are on a topic already. */
async function sentRows(
  address: KafkaAddress,
  topic: string,
  runId: string,
  signal: AbortSignal,
): Promise<Set<string>> {
  const sent = new Set<string>();
  if ((await topicSize(address, topic)) === 0) return sent;
  const take = async (messages: readonly RawMessage[]) => {
    for (const { headers } of messages)
      if (headers['hotloop-run'] === runId) sent.add(headers['hotloop-row'] ?? '');
  };
  await readTopicRange(address, { topic, fromMs: undefined, toMs: undefined }, take, signal);
  return sent;
}

function brokersOf(address: KafkaAddress | undefined): KafkaAddress {
  if (address !== undefined) return address;
  throw new HotloopError(
    'FAILED_PRECONDITION',
    'the batch worker has no KAFKA_BROKERS, so it reads no topics',
    {
      reason: 'no_kafka',
    },
  );
}
