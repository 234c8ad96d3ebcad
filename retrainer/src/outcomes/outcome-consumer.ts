import type { Clock } from '@hotloop/platform/clock.ts';
import { type EventConsumer, type RawMessage, startConsumer } from '@hotloop/platform/kafka/consumer.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { postgresDeadLetters } from '@hotloop/platform/postgres/keep-dead-letter.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { type AcceptedOutcome, acceptOutcome, type ReportedOutcome } from './accept-outcome.ts';
import type { ModelRule } from './model-rules.ts';
import { readOutcomeMessage } from './outcome-message.ts';
import { insertOutcomes, reportKey } from './outcome-store.ts';
import { type OutcomeDependencies, traceOutcome } from './record-outcomes.ts';

const STOP_MS = 5_000;

export interface OutcomeConsumerOptions {
  readonly brokers: readonly string[];
  /** Prefix of consumer groups, followed by the topic; the same for all retrainers of a deployment. */
  readonly groupPrefix: string;
  readonly log: Log;
}

export interface OutcomeConsumers extends AsyncDisposable {
  /** Resolves when every topic that is declared at the time of the call is being read. */
  joined(timeoutMs: number): Promise<void>;
}

/**
 * Reads the outcome topics of all registered models, one consumer per topic, and follows the registry: it starts to read a
 * topic when a model declares it, and stops when none does. A message is committed only after its outcomes are in Postgres, so
 * messages wait on the topic while Postgres is unavailable. A malformed message becomes a dead letter with its bytes.
 */
export function startOutcomeConsumers(
  dependencies: OutcomeDependencies,
  options: OutcomeConsumerOptions,
): OutcomeConsumers {
  const running = new Map<string, Promise<EventConsumer>>();
  const stopped = new AbortController();
  const stop = async (consumer: Promise<EventConsumer>) => (await consumer).stop(STOP_MS);
  const follow = () => {
    if (stopped.signal.aborted) return;
    const wanted = new Set(dependencies.rules.topics());
    for (const [topic, consumer] of running) {
      if (wanted.has(topic)) continue;
      running.delete(topic);
      void stop(consumer);
    }
    for (const topic of wanted)
      if (!running.has(topic)) running.set(topic, startTopic(topic, dependencies, options, stopped.signal));
  };

  const unsubscribe = dependencies.registry.onChange(follow);
  follow();
  return {
    async joined(timeoutMs) {
      await Promise.all([...running.values()].map(async (consumer) => (await consumer).joined(timeoutMs)));
    },
    async [Symbol.asyncDispose]() {
      unsubscribe();
      stopped.abort();
      await Promise.all([...running.values()].map(stop));
    },
  };
}

function startTopic(
  topic: string,
  dependencies: OutcomeDependencies,
  { brokers, groupPrefix, log }: OutcomeConsumerOptions,
  signal: AbortSignal,
): Promise<EventConsumer> {
  const { database, registry, clock } = dependencies;
  const groupId = `${groupPrefix}-${topic}`;
  const keepAside = postgresDeadLetters(database, groupId);
  return startConsumer<readonly AcceptedOutcome[]>(
    {
      brokers,
      groupId,
      topics: [topic],
      clientId: 'hotloop-retrainer',
      parse: (raw) => readAccepted(raw, dependencies, clock),
      async handle(messages) {
        const outcomes = messages.flatMap((message) => message.value);
        const fresh = await insertOutcomes(database, outcomes);
        for (const outcome of outcomes)
          if (fresh.has(reportKey(outcome))) traceOutcome(dependencies.tracing, outcome);
      },
      async keepDeadLetter(raw, error) {
        // The model may have been pushed a moment ago: look again before the message becomes a dead letter.
        await registry.refresh(AbortSignal.timeout(2_000)).catch(() => undefined);
        const late = tryAgain(() => readAccepted(raw, dependencies, clock));
        if (late) return void (await insertOutcomes(database, late));
        await keepAside(raw, error);
      },
      fromBeginning: true,
      log,
    },
    signal,
  );
}

function tryAgain<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

/** One outcome for the model that the message names, or one for each model that declares the topic. */
function readAccepted(
  raw: RawMessage,
  { rules }: OutcomeDependencies,
  clock: Clock,
): readonly AcceptedOutcome[] {
  const message = readOutcomeMessage(raw.value, raw.topic);
  const targets = message.model === '' ? rules.ofTopic(raw.topic) : [rules.of(message.model)];
  if (targets.length === 0)
    throw new HotloopError('NOT_FOUND', 'no registered model takes its outcomes from this topic');
  // An event without a time gets the time when it was written to the topic.
  const arrivedAt = raw.timestampMs > 0 ? raw.timestampMs : clock.now();
  return targets.flatMap((target) => acceptUnlessBesideThePoint(message.report, target, arrivedAt));
}

/** On a topic with several event types, an event that gives no label does not need the join keys. */
function acceptUnlessBesideThePoint(
  report: ReportedOutcome,
  { manifest, rule }: ModelRule,
  arrivedAt: number,
): readonly AcceptedOutcome[] {
  try {
    return [acceptOutcome(report, manifest, rule, arrivedAt)];
  } catch (error) {
    const isLabelled = report.kind === 'retract' || rule.labelOf(report) !== null;
    if (isLabelled) throw error;
    return [];
  }
}
