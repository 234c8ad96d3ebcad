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
  /** Groups are named after it and the topic; retrainers of one deployment share it. */
  readonly groupPrefix: string;
  readonly log: Log;
}

export interface OutcomeConsumers extends AsyncDisposable {
  /** Resolves when every topic declared now is being read. */
  joined(timeoutMs: number): Promise<void>;
}

/**
 * Reads the outcome topics of all registered models, one consumer for each topic, and follows the registry: a topic is
 * begun when a model declares it and left when none does any more. A message is committed only after its outcomes
 * stand in Postgres, so while that is away they wait on the topic. A malformed one becomes a dead letter with its bytes.
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
        // A model pushed a moment ago may be the one the message means: look again before it becomes a dead letter.
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

/** One outcome for the model that the message names, else one for each model that declares the topic. */
function readAccepted(
  raw: RawMessage,
  { rules }: OutcomeDependencies,
  clock: Clock,
): readonly AcceptedOutcome[] {
  const message = readOutcomeMessage(raw.value, raw.topic);
  const targets = message.model === '' ? rules.ofTopic(raw.topic) : [rules.of(message.model)];
  if (targets.length === 0)
    throw new HotloopError('NOT_FOUND', 'no registered model takes its outcomes from this topic');
  // Without its own time an event happened when it was written to the topic, however late it is read.
  const arrivedAt = raw.timestampMs > 0 ? raw.timestampMs : clock.now();
  return targets.flatMap((target) => acceptUnlessBesideThePoint(message.report, target, arrivedAt));
}

/** On a topic of many kinds of events, one that gives no label need not carry the join keys either. */
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
