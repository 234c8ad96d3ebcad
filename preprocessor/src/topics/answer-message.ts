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

/** A request of a topic, with what its answer repeats of it. */
export interface TopicRequest {
  readonly request: PredictionRequest;
  /** As it came, for the reader of the answer. */
  readonly document: Readonly<Record<string, unknown>>;
  readonly timeoutMs: number;
}

/** Ids older than a day are refused by the front door; a message may be older. */
const OLDEST_ID_MS = 23 * 3_600_000;
const TIMEOUT_MS = 10_000;

/** What passes when one waits: the request is tried again. Anything else is the request's own fault and is answered. */
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
 * Reads one request. Without an id of its own it gets one that follows from its place on the topic, so that a message that
 * is predicted again, after a crash, is the same prediction. Throws INVALID_ARGUMENT.
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
  // An old message gets the start of its day's hour, which is still the same when it is read again soon.
  const hour = Math.ceil((nowMs - OLDEST_ID_MS) / 3_600_000) * 3_600_000;
  return predictionIdOf(Math.max(atMs, hour), digest.subarray(0, 10));
}

/** The answer and its topic: keyed as the request came, with the request beside the prediction. */
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

/** What is answered to a request that can never be predicted; undefined where answers are sorted by label. */
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
