import type { HotloopError } from '@hotloop/proto/errors.ts';
import type { RawMessage } from '../kafka/message.ts';
import { fromPostgresError, type Queryable } from './pool.ts';

/**
 * Stores dead letters: messages that cannot be processed, byte for byte. Idempotent by consumer, topic, partition and
 * offset.
 */
export type KeepDeadLetter = (raw: RawMessage, error: HotloopError) => Promise<void>;

/** Maximum length of the error text. */
const MOST_CHARACTERS = 2000;

const INSERT = `INSERT INTO set_aside (consumer, topic, "partition", "offset", key, value, headers, error)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
  ON CONFLICT (consumer, topic, "partition", "offset") DO NOTHING`;

/**
 * Stores dead letters in the table set_aside. Rejects UNAVAILABLE while Postgres cannot be reached; the consumer then
 * retries.
 */
export function postgresDeadLetters(store: Queryable, consumer: string): KeepDeadLetter {
  return async (raw, error) => {
    await store
      .query(INSERT, [
        consumer,
        raw.topic,
        raw.partition,
        raw.offset.toString(),
        bytesOf(raw.key),
        bytesOf(raw.value),
        JSON.stringify(cleanHeaders(raw.headers)),
        clean(`${error.code}: ${error.message}`.slice(0, MOST_CHARACTERS)),
      ])
      .catch((cause: unknown) => {
        throw fromPostgresError(cause);
      });
  };
}

/** Replaces NUL and unpaired surrogates, which Postgres cannot store, so that every dead letter can be stored. */
function clean(text: string): string {
  return text.replaceAll('\0', '').toWellFormed();
}

function cleanHeaders(headers: RawMessage['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [clean(name), clean(value)]));
}

function bytesOf(bytes: Uint8Array | null): Buffer | null {
  return bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
