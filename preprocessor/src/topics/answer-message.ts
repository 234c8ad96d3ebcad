import { createHash } from 'node:crypto';
import { type KafkaSpec, replyTopic } from '@hotloop/model/manifest/kafka-schema.ts';
import { problemOf } from '@hotloop/platform/http/problem.ts';
import { parseStrictJson } from '@hotloop/platform/http/strict-json.ts';
import type { RawMessage } from '@hotloop/platform/kafka/message.ts';
import type { EventMessage } from '@hotloop/platform/kafka/producer.ts';
import type { ErrorCode, HotloopError } from '@hotloop/proto/errors.ts';
import { predictionIdOf } from '@hotloop/proto/prediction-id.ts';
import { parsePredictionBody, replyOfPrediction, requestOfBody } from '../http/prediction-body.ts';
import type { Prediction, PredictionRequest } from '../prediction.ts';

/** A request from a topic, with the parts that its answer repeats. */
export interface TopicRequest {
  readonly request: PredictionRequest;
  /** As received, for the reader of the answer. */
  readonly document: Readonly<Record<string, unknown>>;
  readonly timeoutMs: number;
}

/** The prediction API rejects ids older than a day, but a message may be older. */
const OLDEST_ID_MS = 23 * 3_600_000;
const TIMEOUT_MS = 10_000;

/**
 * Codes of temporary failures, after which the request is retried. Any other error is the request's own fault and is
 * answered.
 */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'RESOURCE_EXHAUSTED',
  'CANCELLED',
  'ABORTED',
  'NOT_FOUND',
]);

export const passes = ({ code }: HotloopError): boolean => PASSING.has(code);

/**
 * Parses one request. Without its own id it gets one derived from its position on the topic, so that a message that
 * is processed again after a crash is the same prediction. Throws INVALID_ARGUMENT.
 */
export function readTopicRequest(raw: RawMessage, model: string, nowMs: number): TopicRequest {
  const document = parseStrictJson(raw.value ?? new Uint8Array());
  const body = parsePredictionBody(document);
  const request = requestOfBody(model, body);
  const predictionId = request.predictionId === '' ? idOfPlace(raw, nowMs) : request.predictionId;
  return {
    request: { ...request, predictionId },
    document: document as Readonly<Record<string, unknown>>,
    timeoutMs: body.timeout_ms ?? TIMEOUT_MS,
  };
}

function idOfPlace({ topic, partition, offset, timestampMs }: RawMessage, nowMs: number): string {
  const digest = createHash('sha256').update(`${topic}\n${partition}\n${offset}`).digest();
  const atMs = Math.min(nowMs, timestampMs);
  // An old message gets a recent full hour as its time, which is still the same when the message is processed again
  // soon.
  const hour = Math.ceil((nowMs - OLDEST_ID_MS) / 3_600_000) * 3_600_000;
  return predictionIdOf(Math.max(atMs, hour), digest.subarray(0, 10));
}

/** The answer and its topic: with the key of the request, and the request next to the prediction. */
export function answerMessage(
  spec: KafkaSpec,
  raw: RawMessage,
  { document }: TopicRequest,
  prediction: Prediction,
): { topic: string; message: EventMessage } {
  const reply = {
    ...replyOfPrediction(prediction),
    request: document.request ?? {},
    entities: document.entities ?? {},
  };
  return {
    topic: replyTopic(spec, prediction.decision.label),
    message: keyed(raw, JSON.stringify(reply), prediction.predictionId),
  };
}

/** The answer to a request that can never be predicted; undefined when answers are routed by label. */
export function refusalMessage(
  spec: KafkaSpec,
  raw: RawMessage,
  { request }: TopicRequest,
  error: HotloopError,
): { topic: string; message: EventMessage } | undefined {
  if (spec.replies === undefined) return undefined;
  const reply = { prediction_id: request.predictionId, model: request.model, error: problemOf(error) };
  return { topic: spec.replies, message: keyed(raw, JSON.stringify(reply), request.predictionId) };
}

function keyed(raw: RawMessage, value: string, predictionId: string): EventMessage {
  return {
    ...(raw.key === null ? {} : { key: raw.key }),
    value,
    headers: { ...raw.headers, 'hotloop-prediction-id': predictionId },
  };
}
