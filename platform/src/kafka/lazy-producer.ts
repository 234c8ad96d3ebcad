import { type EventProducer, openProducer, type ProducerOptions } from './producer.ts';

/** A producer that connects at the first send and again after a connection that failed: a service starts while Kafka is away. */
export function lazyProducer(options: ProducerOptions): EventProducer {
  let opening: Promise<EventProducer> | undefined;
  return {
    async send(topic, messages) {
      const opened = opening ?? openProducer(options);
      opening = opened;
      try {
        await (await opened).send(topic, messages);
      } catch (error) {
        // Only a connection that was never made is forgotten; the library mends one that was.
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
