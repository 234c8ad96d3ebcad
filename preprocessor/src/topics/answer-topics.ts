import type { KafkaSpec } from '@hotloop/model/manifest/kafka-schema.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import { type EventConsumer, type ParsedMessage, startConsumer } from '@hotloop/platform/kafka/consumer.ts';
import type { EventMessage, EventProducer } from '@hotloop/platform/kafka/producer.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { REQUEST_EVENT } from '@hotloop/platform/postgres/event-shape-store.ts';
import type { KeepDeadLetter } from '@hotloop/platform/postgres/keep-dead-letter.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import type { CountShapes } from '../event-shapes.ts';
import type { Predictor } from '../predict.ts';
import {
  answerMessage,
  passes,
  readTopicRequest,
  refusalMessage,
  type TopicRequest,
} from './answer-message.ts';

export interface AnswerTopicsOptions {
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** Prefix of the consumer groups, followed by the model; all preprocessors of a deployment share them. */
  readonly groupPrefix: string;
}

export interface AnswerTopicsDependencies {
  readonly registry: RegistryReader;
  readonly predictor: Predictor;
  readonly producer: EventProducer;
  readonly keepDeadLetter: KeepDeadLetter;
  /** Called for each answered request. */
  readonly countShapes?: CountShapes;
  /** Told how many requests of a partition are not yet answered. */
  readonly onLag?: (topic: string, partition: number, messages: number) => void;
  readonly clock: Clock;
  readonly log: Log;
}

export interface AnswerTopics extends AsyncDisposable {
  /** Resolves when every topic that is declared now is being read. */
  joined(timeoutMs: number): Promise<void>;
}

/** Requests predicted concurrently. */
const AT_ONCE = 128;
const STOP_MS = 5000;

/**
 * Predicts the requests of the topics that live versions declare (`kafka` in model.yaml), with one consumer per
 * model, and follows the registry. Answers are sent before the requests are committed: after a crash some are
 * answered again, with the same prediction_id. A request that cannot be parsed becomes a dead letter; one that can
 * never be predicted is answered with its error. While compute cannot be reached, requests wait.
 */
export function startAnswerTopics(
  options: AnswerTopicsOptions,
  dependencies: AnswerTopicsDependencies,
): AnswerTopics {
  const running = new Map<string, { spec: string; consumer: Promise<EventConsumer> }>();
  const stop = async (consumer: Promise<EventConsumer>) => (await consumer).stop(STOP_MS);
  let over = false;
  const follow = () => {
    if (over) return;
    const wanted = declared(dependencies.registry);
    for (const [model, { spec, consumer }] of running) {
      if (JSON.stringify(wanted.get(model)) === spec) continue;
      running.delete(model);
      void stop(consumer);
    }
    for (const [model, spec] of wanted)
      if (!running.has(model))
        running.set(model, {
          spec: JSON.stringify(spec),
          consumer: answerTopic(model, spec, options, dependencies),
        });
  };
  const unsubscribe = dependencies.registry.onChange(follow);
  follow();
  const consumers = () => [...running.values()].map(({ consumer }) => consumer);
  return {
    async joined(timeoutMs) {
      await Promise.all(consumers().map(async (consumer) => (await consumer).joined(timeoutMs)));
    },
    async [Symbol.asyncDispose]() {
      over = true;
      unsubscribe();
      await Promise.all(consumers().map(stop));
    },
  };
}

function declared(registry: RegistryReader): Map<string, KafkaSpec> {
  const specs = new Map<string, KafkaSpec>();
  for (const { name, liveVersion, versions } of registry.current().models.values()) {
    const spec = liveVersion === null ? undefined : versions.get(liveVersion)?.manifest.kafka;
    if (spec) specs.set(name, spec);
  }
  return specs;
}

function answerTopic(
  model: string,
  spec: KafkaSpec,
  { brokers, clientId, groupPrefix }: AnswerTopicsOptions,
  { predictor, producer, keepDeadLetter, countShapes, onLag, clock, log }: AnswerTopicsDependencies,
): Promise<EventConsumer> {
  const answer = async ({ raw, value }: ParsedMessage<TopicRequest>, signal: AbortSignal) => {
    try {
      const { request, timeoutMs } = value;
      const prediction = await predictor.predict(request, {
        caller: `kafka:${raw.topic}`,
        timeoutMs,
        signal,
      });
      return answerMessage(spec, raw, value, prediction);
    } catch (thrown) {
      const error = toHotloopError(thrown);
      if (passes(error)) throw new HotloopError('UNAVAILABLE', error.message, { cause: error });
      const refusal = refusalMessage(spec, raw, value, error);
      if (refusal === undefined) await keepDeadLetter(raw, error);
      return refusal;
    }
  };
  return startConsumer<TopicRequest>({
    brokers,
    clientId,
    groupId: `${groupPrefix}-${model}`,
    topics: [spec.requests],
    parse: (raw) => readTopicRequest(raw, model, clock.now()),
    async handle(messages, signal) {
      const byTopic = new Map<string, EventMessage[]>();
      for (let from = 0; from < messages.length; from += AT_ONCE) {
        const answers = await Promise.all(
          messages.slice(from, from + AT_ONCE).map((message) => answer(message, signal)),
        );
        for (const answered of answers)
          if (answered)
            byTopic.set(answered.topic, [...(byTopic.get(answered.topic) ?? []), answered.message]);
      }
      for (const [topic, replies] of byTopic) await producer.send(topic, replies);
      countShapes?.(
        messages.map(({ raw, value }) => ({
          ...{ topic: raw.topic, partition: raw.partition, offset: raw.offset, event: REQUEST_EVENT },
          ...{ fields: Object(value.document.request), atMs: raw.timestampMs },
        })),
      );
    },
    keepDeadLetter,
    ...(onLag ? { onLag } : {}),
    log,
  });
}
