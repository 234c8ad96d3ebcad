import type { EventProducer } from '@hotloop/platform/kafka/producer.ts';
import type { KeepDeadLetter } from '@hotloop/platform/postgres/keep-dead-letter.ts';

/** Where messages of a topic go that cannot be read. */
export function deadLetterTopic(topic: string): string {
  return `${topic}.dead-letter`;
}

/**
 * Keeps a message that cannot be read: with its bytes and key on the topic's dead-letter topic, the reason and its place in headers, and in
 * the table. Rejected when either fails; then it is tried again, so the topic may hold it twice.
 */
export function deadLetters(producer: EventProducer, keep: KeepDeadLetter): KeepDeadLetter {
  return async (raw, error) => {
    await producer.send(deadLetterTopic(raw.topic), [
      {
        ...(raw.key === null ? {} : { key: raw.key }),
        value: raw.value ?? new Uint8Array(),
        headers: {
          'hotloop-error': `${error.code}: ${error.message}`.slice(0, 2000),
          'hotloop-topic': raw.topic,
          'hotloop-partition': String(raw.partition),
          'hotloop-offset': String(raw.offset),
        },
      },
    ]);
    await keep(raw, error);
  };
}
