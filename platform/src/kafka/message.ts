import { HotloopError } from '@hotloop/proto/errors.ts';
import type { KafkaMessage } from 'kafkajs';

/** A message as it is on the topic. */
export interface RawMessage {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  /** Text of each header; if a header is repeated, of the first one. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timestampMs: number;
}

export interface ParsedMessage<T> {
  readonly raw: RawMessage;
  readonly value: T;
}

export interface UnreadableMessage {
  readonly raw: RawMessage;
  readonly error: HotloopError;
}

export function rawMessage(topic: string, partition: number, message: KafkaMessage): RawMessage {
  const headers: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(message.headers ?? {})) {
    const first = Array.isArray(value) ? value[0] : value;
    if (first !== undefined) headers[name] = first.toString();
  }
  return {
    topic,
    partition,
    offset: BigInt(message.offset),
    key: message.key,
    value: message.value,
    headers,
    timestampMs: Number(message.timestamp),
  };
}

export interface SortedMessages<T> {
  readonly readable: readonly ParsedMessage<T>[];
  readonly unreadable: readonly UnreadableMessage[];
}

/** Parses each message; a message that cannot be parsed does not stop the others. */
export function sortMessages<T>(
  raws: readonly RawMessage[],
  parse: (raw: RawMessage) => T,
): SortedMessages<T> {
  const readable: ParsedMessage<T>[] = [];
  const unreadable: UnreadableMessage[] = [];
  for (const raw of raws) {
    try {
      readable.push({ raw, value: parse(raw) });
    } catch (cause) {
      const error =
        cause instanceof HotloopError
          ? cause
          : new HotloopError('INVALID_ARGUMENT', cause instanceof Error ? cause.message : String(cause), {
              cause,
            });
      unreadable.push({ raw, error });
    }
  }
  return { readable, unreadable };
}
