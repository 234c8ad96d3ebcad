import type { EventProducer } from '@hotloop/platform/kafka/producer.ts';
import type { KeepDeadLetter } from '@hotloop/platform/postgres/keep-dead-letter.ts';

/** The topic for messages of a topic that cannot be parsed. */
export function deadLetterTopic(topic: string): string {
  return `${topic}.dead-letter`;
}

/**
 * Stores a dead letter twice: on the topic's dead-letter topic, with its bytes and key, and with the reason and its
 * origin in headers; and in the table. Rejects when either fails; the retry may then write it to the topic again.
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
