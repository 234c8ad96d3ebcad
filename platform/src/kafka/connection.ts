import { HotloopError } from '@hotloop/proto/errors.ts';
import { Kafka, type KafkaConfig, type LogEntry, logLevel } from 'kafkajs';
import type { Log } from '../log.ts';
import { within } from '../within.ts';
import { readBrokers } from './broker-list.ts';

export interface KafkaAddress {
  /** host:port each; the first may contain credentials (`readBrokers`). */
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly log: Log;
}

const WRITERS = {
  [logLevel.ERROR]: 'warn',
  [logLevel.WARN]: 'debug',
  [logLevel.INFO]: 'debug',
  [logLevel.DEBUG]: 'debug',
  [logLevel.NOTHING]: 'debug',
} as const;

/**
 * A client whose waits are all bounded, and whose log goes into ours. Its errors are retried, so they are logged as
 * warnings.
 */
export function connectKafka(address: KafkaAddress): Kafka {
  const config: KafkaConfig = {
    clientId: address.clientId,
    ...readBrokers(address.brokers),
    connectionTimeout: 3000,
    requestTimeout: 10_000,
    enforceRequestTimeout: true,
    retry: { initialRetryTime: 100, maxRetryTime: 2000, retries: 5 },
    logLevel: logLevel.INFO,
    logCreator: () => (entry) => bridge(address.log, entry),
  };
  return new Kafka(config);
}

function bridge(log: Log, entry: LogEntry): void {
  const { message, error, groupId, topic, broker } = entry.log;
  log[WRITERS[entry.level]]({ kafka: entry.namespace, problem: error, groupId, topic, broker }, message);
}

export function fromKafkaError(cause: unknown): HotloopError {
  if (cause instanceof HotloopError) return cause;
  return new HotloopError('UNAVAILABLE', 'the event log (Kafka) cannot be reached; try again', { cause });
}

/** Waits for the promise; rejects DEADLINE_EXCEEDED after `timeoutMs`. `what` is used in the message. */
export function answerWithin<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  return within(promise, timeoutMs, () => {
    throw new HotloopError('DEADLINE_EXCEEDED', `${what} took longer than ${timeoutMs} ms`);
  });
}
