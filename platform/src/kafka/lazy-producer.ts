import { type EventProducer, openProducer, type ProducerOptions } from './producer.ts';

/**
 * A producer that connects at the first send, and again after a failed connection attempt, so that a service starts
 * while Kafka is down.
 */
export function lazyProducer(options: ProducerOptions): EventProducer {
  let opening: Promise<EventProducer> | undefined;
  return {
    async send(topic, messages) {
      const opened = opening ?? openProducer(options);
      opening = opened;
      try {
        await (await opened).send(topic, messages);
      } catch (error) {
        // Only failed attempts are forgotten; the library restores an established connection by itself.
        await opened.catch(() => {
          if (opening === opened) opening = undefined;
        });
        throw error;
      }
    },
    async [Symbol.asyncDispose]() {
      const opened = await opening?.catch(() => undefined);
      await opened?.[Symbol.asyncDispose]();
    },
  };
}
