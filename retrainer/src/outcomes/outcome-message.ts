import type { AttributeValue } from '@hotloop/model/value.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { ReportedOutcome } from './accept-outcome.ts';

const MAX_BYTES = 1024 * 1024;
const MAX_FIELDS = 1000;

/** An outcome as read from a topic, with the model that it names or an empty text. */
export interface OutcomeMessage {
  readonly model: string;
  readonly report: ReportedOutcome;
}

/**
 * Reads a CloudEvents 1.0 message (JSON, structured mode) of an outcome topic. Join keys are `data.keys`, else the fields of
 * `data`. Fields that are neither numbers, texts, flags nor lists of them are left out. Throws INVALID_ARGUMENT.
 */
export function readOutcomeMessage(value: Uint8Array | null, topic: string): OutcomeMessage {
  if (value === null || value.length === 0) throw malformed('the message is empty');
  if (value.length > MAX_BYTES) throw malformed(`the message is larger than ${MAX_BYTES} bytes`);
  const event = record(parseJson(value), 'the message');
  if (event.specversion !== '1.0') throw malformed('specversion must be 1.0 (CloudEvents)');
  const id = text(event, 'id');
  const type = text(event, 'type');
  if (id === '') throw malformed('id is missing');
  if (text(event, 'source') === '') throw malformed('source is missing');
  if (type === '') throw malformed('type is missing');
  const data = record(event.data, 'data');
  if (Object.keys(data).length > MAX_FIELDS) throw malformed(`data has more than ${MAX_FIELDS} fields`);
  const fields = attributesOf(data);
  const kind = text(data, 'kind');
  return {
    model: text(data, 'model'),
    report: {
      id,
      source: `kafka:${topic}`,
      // A field with this name may have another meaning in the sender's events.
      kind: kind === 'label' || kind === 'retract' ? kind : '',
      predictionId: text(data, 'prediction_id'),
      keys: keysOf(data.keys === undefined ? data : record(data.keys, 'data.keys')),
      value: data.value === undefined || data.value === null ? null : attribute(data.value, 'data.value'),
      attributes: { ...fields, type },
      occurredAt: text(event, 'time'),
    },
  };
}

function parseJson(value: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(value));
  } catch (cause) {
    throw new HotloopError('INVALID_ARGUMENT', 'the message is not JSON in UTF-8', {
      reason: 'malformed_message',
      cause,
    });
  }
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed(`${what} must be an object`);
  return value as Record<string, unknown>;
}

function text(holder: Record<string, unknown>, name: string): string {
  const value = Object.hasOwn(holder, name) ? holder[name] : undefined;
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw malformed(`${name} must be a text`);
  return value;
}

function keysOf(holder: Record<string, unknown>): Record<string, string> {
  const keys: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(holder)) {
    if (typeof value === 'string') keys[name] = value;
    else if (typeof value === 'number' || typeof value === 'boolean') keys[name] = String(value);
  }
  return keys;
}

function attributesOf(data: Record<string, unknown>): Record<string, AttributeValue> {
  const attributes: Record<string, AttributeValue> = Object.create(null);
  for (const [name, value] of Object.entries(data)) if (isAttribute(value)) attributes[name] = value;
  return attributes;
}

function attribute(value: unknown, what: string): AttributeValue {
  if (isAttribute(value)) return value;
  throw malformed(`${what} must be a number, a text, a flag or a list of numbers or texts`);
}

function isAttribute(value: unknown): value is AttributeValue {
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number') return true;
  if (!Array.isArray(value)) return false;
  return (
    value.every((entry) => typeof entry === 'number') || value.every((entry) => typeof entry === 'string')
  );
}

function malformed(problem: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', problem, { reason: 'malformed_message' });
}
