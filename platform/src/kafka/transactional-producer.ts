import { HotloopError } from '@hotloop/proto/errors.ts';
import { Partitioners } from 'kafkajs';
import { answerWithin, connectKafka, fromKafkaError, type KafkaAddress } from './connection.ts';
import type { EventMessage } from './producer.ts';

/**
 * Sends lists of messages, each list in a transaction of its own: readers of committed messages see all of a list or nothing. Opening it
 * ends what an earlier producer with the same id has left open and bars that producer, even one that was only frozen, so what
 * is on the topic then stays as it is until the next `send`.
 */
export interface TransactionalProducer extends AsyncDisposable {
  send(topic: string, messages: readonly EventMessage[]): Promise<void>;
}

const TIMEOUT_MS = 30_000;

/** Rejects UNAVAILABLE when no broker answers, or when the broker has no transactions. */
export async function openTransactionalProducer(
  address: KafkaAddress,
  transactionalId: string,
): Promise<TransactionalProducer> {
  const producer = connectKafka(address).producer({
    allowAutoTopicCreation: true,
    createPartitioner: Partitioners.DefaultPartitioner,
    maxInFlightRequests: 1,
    transactionalId,
  });
  const begin = () => answerWithin(producer.transaction(), TIMEOUT_MS, 'beginning a transaction');
  const close = () => answerWithin(producer.disconnect(), TIMEOUT_MS, 'disconnecting').catch(() => undefined);
  let current: Awaited<ReturnType<typeof begin>>;
  try {
    await answerWithin(producer.connect(), TIMEOUT_MS, 'connecting to Kafka');
    current = await begin();
  } catch (cause) {
    await close();
    throw new HotloopError('UNAVAILABLE', 'the event log (Kafka) cannot be reached for a transaction', {
      cause,
    });
  }
  return {
    async send(topic, messages) {
      if (messages.length === 0) return;
      try {
        await answerWithin(
          current.send({
            topic,
            messages: messages.map(({ key, value, headers }) => ({
              key: key instanceof Uint8Array ? Buffer.from(key) : (key ?? null),
              value: typeof value === 'string' ? value : Buffer.from(value),
              ...(headers ? { headers: { ...headers } } : {}),
            })),
          }),
          TIMEOUT_MS,
          'sending events',
        );
        await answerWithin(current.commit(), TIMEOUT_MS, 'committing events');
        current = await begin();
      } catch (error) {
        throw fromKafkaError(error);
      }
    },
    [Symbol.asyncDispose]: close,
  };
}
