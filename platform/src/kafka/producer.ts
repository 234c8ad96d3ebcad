import { HotloopError } from '@hotloop/proto/errors.ts';
import { CompressionTypes, Partitioners } from 'kafkajs';
import { answerWithin, connectKafka, fromKafkaError, type KafkaAddress } from './connection.ts';

export interface EventMessage {
  /** Messages with the same key keep their order. */
  readonly key?: string | Uint8Array;
  readonly value: Uint8Array | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Sends events. `send` resolves when all in-sync replicas have them. It rejects UNAVAILABLE, or DEADLINE_EXCEEDED
 * after the bounded wait; the messages may then still arrive, so a caller that retries must use the same ids.
 */
export interface EventProducer extends AsyncDisposable {
  send(topic: string, messages: readonly EventMessage[]): Promise<void>;
}

export interface ProducerOptions extends KafkaAddress {
  /** Time limit of one send, and of the first connection; default 5000. */
  readonly timeoutMs?: number;
  /**
   * Maximum number of unacknowledged messages; beyond it sends are rejected with RESOURCE_EXHAUSTED. Default 10,000.
   */
  readonly maxInFlight?: number;
}

const ALL_REPLICAS = -1;

/** Rejects UNAVAILABLE when no broker answers in time. */
export async function openProducer(options: ProducerOptions): Promise<EventProducer> {
  const timeoutMs = options.timeoutMs ?? 5000;
  const maxInFlight = options.maxInFlight ?? 10_000;
  const producer = connectKafka(options).producer({
    allowAutoTopicCreation: true,
    createPartitioner: Partitioners.DefaultPartitioner,
  });
  try {
    await answerWithin(producer.connect(), timeoutMs, 'connecting to Kafka');
  } catch (cause) {
    void producer.disconnect().catch(() => undefined);
    throw new HotloopError('UNAVAILABLE', 'the event log (Kafka) cannot be reached', { cause });
  }
  let inFlight = 0;
  return {
    async send(topic, messages) {
      if (messages.length === 0) return;
      if (inFlight + messages.length > maxInFlight)
        throw new HotloopError('RESOURCE_EXHAUSTED', 'too many events are in flight; try again later');
      inFlight += messages.length;
      const sending = producer.send({
        topic,
        acks: ALL_REPLICAS,
        timeout: timeoutMs,
        compression: CompressionTypes.None,
        messages: messages.map((message) => ({
          key: message.key instanceof Uint8Array ? Buffer.from(message.key) : (message.key ?? null),
          value: typeof message.value === 'string' ? message.value : Buffer.from(message.value),
          ...(message.headers ? { headers: { ...message.headers } } : {}),
        })),
      });
      const settled = () => {
        inFlight -= messages.length;
      };
      sending.then(settled, settled);
      try {
        await answerWithin(sending, timeoutMs, 'sending events');
      } catch (error) {
        throw fromKafkaError(error);
      }
    },
    async [Symbol.asyncDispose]() {
      await answerWithin(producer.disconnect(), timeoutMs, 'disconnecting').catch(() => undefined);
    },
  };
}
