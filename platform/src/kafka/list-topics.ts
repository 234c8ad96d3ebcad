import { answerWithin, connectKafka, fromKafkaError, type KafkaAddress } from './connection.ts';

const TIMEOUT_MS = 10_000;

/** The topics of a broker. Rejects UNAVAILABLE, or DEADLINE_EXCEEDED after ten seconds. */
export async function listTopics(address: KafkaAddress): Promise<string[]> {
  const admin = connectKafka(address).admin();
  try {
    return await answerWithin(
      admin.connect().then(() => admin.listTopics()),
      TIMEOUT_MS,
      'the event log (Kafka)',
    );
  } catch (error) {
    throw fromKafkaError(error);
  } finally {
    await admin.disconnect().catch(() => undefined);
  }
}
