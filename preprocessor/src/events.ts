import type { Clock } from '@hotloop/platform/clock.ts';
import { type EventConsumer, startConsumer } from '@hotloop/platform/kafka/consumer.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { SetAside } from '@hotloop/platform/postgres/set-aside.ts';
import type { History, HistoryEntry } from './history.ts';
import { parseEvent } from './parse-event.ts';

/** The topic that events of entities are sent to. */
export const EVENTS_TOPIC = 'hotloop.events';

/** All preprocessors are one group: each event is written into the shared history once, or again after a fault. */
export const EVENTS_GROUP = 'hotloop-history';

export interface EventsOptions {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly topic?: string;
  readonly groupId?: string;
}

export interface EventsDependencies {
  readonly history: History;
  readonly setAside: SetAside;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Carries events from the topic into the history, at least once; the history drops what it has. A message that cannot
 * be read is set aside with its bytes, and the others go on. While the history is away the topic waits.
 */
export function startEvents(
  options: EventsOptions,
  { history, setAside, clock, log }: EventsDependencies,
  signal?: AbortSignal,
): Promise<EventConsumer> {
  return startConsumer<HistoryEntry[]>(
    {
      brokers: options.brokers,
      clientId: options.clientId,
      groupId: options.groupId ?? EVENTS_GROUP,
      topics: [options.topic ?? EVENTS_TOPIC],
      parse: (raw) => parseEvent(raw.value, clock.now()),
      handle: (messages, stopped) =>
        history.append(
          messages.flatMap(({ value }) => value),
          clock.now(),
          stopped,
        ),
      setAside,
      log,
    },
    signal,
  );
}
