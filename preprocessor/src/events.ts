import type { Clock } from '@hotloop/platform/clock.ts';
import { type EventConsumer, startConsumer } from '@hotloop/platform/kafka/consumer.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { KeepDeadLetter } from '@hotloop/platform/postgres/keep-dead-letter.ts';
import type { CountShapes } from './event-shapes.ts';
import { type ParsedEvent, parseEvent } from './parse-event.ts';
import type { TakeEvents } from './take-events.ts';

/** The topic for events of entities. */
export const EVENTS_TOPIC = 'hotloop.events';

/**
 * All preprocessors are one consumer group: each event is written into the shared history once, or again after a
 * fault.
 */
export const EVENTS_GROUP = 'hotloop-history';

export interface EventsOptions {
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** Default: only EVENTS_TOPIC. */
  readonly topics?: readonly string[];
  readonly groupId?: string;
}

export interface EventsDependencies {
  readonly take: TakeEvents;
  /** Called for each accepted message. */
  readonly countShapes?: CountShapes;
  readonly keepDeadLetter: KeepDeadLetter;
  readonly clock: Clock;
  readonly log: Log;
  /** Called with the number of messages of a partition that wait. */
  readonly onLag?: (topic: string, partition: number, messages: number) => void;
}

/** Messages per batch, which is packed at once: predictions of this process wait some milliseconds for it. */
const MAX_BATCH = 1000;

/**
 * Copies events from topics into the history and the archive, at least once; both ignore duplicates. A message that
 * cannot be parsed becomes a dead letter with its bytes, and the others continue. While the history cannot be
 * reached, the topics wait.
 */
export function startEvents(
  options: EventsOptions,
  { take, countShapes, keepDeadLetter, clock, log, onLag }: EventsDependencies,
  signal?: AbortSignal,
): Promise<EventConsumer> {
  return startConsumer<ParsedEvent>(
    {
      brokers: options.brokers,
      clientId: options.clientId,
      groupId: options.groupId ?? EVENTS_GROUP,
      topics: options.topics ?? [EVENTS_TOPIC],
      parse: (raw) => parseEvent(raw.value, clock.now()),
      async handle(messages, stopped) {
        await take(
          messages.map(({ value }) => value),
          stopped,
        );
        countShapes?.(
          messages.map(({ raw, value }) => ({
            ...{ topic: raw.topic, partition: raw.partition, offset: raw.offset },
            ...{ event: value.type, fields: value.fields, atMs: value.atMs },
          })),
        );
      },
      keepDeadLetter,
      maxBatch: MAX_BATCH,
      ...(onLag ? { onLag } : {}),
      log,
    },
    signal,
  );
}
