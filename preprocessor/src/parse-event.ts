import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import type { Attributes, AttributeValue } from '@hotloop/model/value.ts';
import type { ArchivedEvent } from '@hotloop/platform/archive/event-archive.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { parseRfc3339 } from '@hotloop/proto/rfc3339.ts';
import { z } from 'zod';
import type { HistoryEntry } from './history/history.ts';

const MAX_MESSAGE_BYTES = 256 * 1024;
const MAX_FIELDS_BYTES = 4096;
/** How much longer JSON gets at most when it is written again, as 1e20 does. */
const MOST_GROWTH = 8;
const BYTE_ORDER_MARK = '\uFEFF';
const MAX_ENTITIES = 8;
/** Maximum difference of clocks; an event further in the future is a mistake. */
const MAX_AHEAD_MS = 5 * 60_000;

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;
const MAX_TEXT = 256;
const MAX_SOURCE = 1024;
const WELL_FORMED = 'contains half of a surrogate pair';
const text = z
  .string()
  .min(1)
  .max(MAX_TEXT)
  .refine((given) => given.isWellFormed(), WELL_FORMED);

/** CloudEvents 1.0, JSON event format; attributes that are not listed here are allowed and ignored. */
const eventSchema = z.object({
  specversion: z.literal('1.0'),
  id: text,
  source: z
    .string()
    .min(1)
    .max(MAX_SOURCE)
    .refine((given) => given.isWellFormed(), WELL_FORMED),
  type: z.string().regex(NAME, 'must be letters, digits and _, as history.ENTITY.EVENT names it'),
  time: z.string(),
  data: z.looseObject({ entity: z.record(z.string().regex(NAME), text) }),
});
type EventDocument = z.infer<typeof eventSchema>;

/** A valid event. */
export type ParsedEvent = Omit<ArchivedEvent, 'arrivalUs'>;

/**
 * Parses one event. Fields are the numbers, texts, flags and lists of these at the top level of `data`, and the
 * entities' ids under their names; deeper values are ignored, because no feature can name them. Throws
 * INVALID_ARGUMENT naming the field and its problem.
 */
export function parseEvent(value: Uint8Array | null, nowMs: number): ParsedEvent {
  if (value === null || value.length === 0) throw invalid('the message is empty');
  if (value.length > MAX_MESSAGE_BYTES) throw invalid(`the message has more than ${MAX_MESSAGE_BYTES} bytes`);
  return readEvent(plainJson(value), nowMs, value.length);
}

/** As `parseEvent`, for parsed JSON; `bytes`: its length, where that is known. */
export function readEvent(document: unknown, nowMs: number, bytes = Number.POSITIVE_INFINITY): ParsedEvent {
  const { id, source, type, time, data } = isEvent(document) ? document : checkedEvent(document);
  const atMs = parseRfc3339(time);
  if (atMs === null)
    throw invalid(
      'time: must be an RFC 3339 time with offset, such as 2026-02-28T10:00:00Z, on a day that exists',
    );
  if (atMs > nowMs + MAX_AHEAD_MS) throw invalid('time: is more than 5 minutes in the future');
  const names = Object.keys(data.entity);
  if (names.length === 0) throw invalid('data.entity: names no entity');
  if (names.length > MAX_ENTITIES) throw invalid(`data.entity: names more than ${MAX_ENTITIES} entities`);
  const entities = Object.create(null) as Record<string, string>;
  for (const name of names) entities[name] = data.entity[name] as string;
  const fields = fieldsOf(entities, data);
  if (bytes * MOST_GROWTH > MAX_FIELDS_BYTES && Buffer.byteLength(JSON.stringify(fields)) > MAX_FIELDS_BYTES)
    throw invalid(`data: its fields take more than ${MAX_FIELDS_BYTES} bytes`);
  return { key: eventKey(source, id), type, atMs, entities, fields };
}

/** Whether the schema accepts a document. Much faster than the schema, which names what is wrong with others. */
function isEvent(document: unknown): document is EventDocument {
  if (!isObject(document)) return false;
  const { specversion, id, source, type, time, data } = document;
  if (specversion !== '1.0' || typeof time !== 'string' || !isObject(data)) return false;
  if (!isText(id, MAX_TEXT) || !isText(source, MAX_SOURCE) || !isText(type, MAX_TEXT) || !NAME.test(type))
    return false;
  const { entity } = data;
  if (!isObject(entity)) return false;
  for (const name of Object.keys(entity))
    if (!NAME.test(name) || name === '__proto__' || !isText(entity[name], MAX_TEXT)) return false;
  return true;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown, most: number): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= most && value.isWellFormed();
}

function checkedEvent(document: unknown): EventDocument {
  const result = eventSchema.safeParse(document);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw invalid(`${issue?.path.map(String).join('.') || 'event'}: ${issue?.message ?? 'malformed'}`);
}

/** The histories that an event belongs to: one entry per entity that it names. */
export function entriesOf(
  { key, type, atMs, entities, fields }: ParsedEvent,
  arrivalUs: number,
): HistoryEntry[] {
  return Object.keys(entities).map((entity) => ({
    ...{ entity, entityId: entities[entity] as string, event: type },
    ...{ id: key, atMs, arrivalUs, fields },
  }));
}

/**
 * In CloudEvents, source and id together identify an event. Hashed, because both may be long and are stored with each
 * event.
 */
function eventKey(source: string, id: string): string {
  return hash('sha256', `${source}\n${id}`, 'base64url').slice(0, 22);
}

function plainJson(value: Uint8Array): unknown {
  if (!isUtf8(value)) throw invalid('the message is not UTF-8');
  const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString();
  try {
    return JSON.parse(text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text);
  } catch (cause) {
    throw invalid('the message is not JSON', cause);
  }
}

function fieldsOf(
  entities: Readonly<Record<string, string>>,
  data: Readonly<Record<string, unknown>>,
): Attributes {
  const fields = Object.create(null) as Record<string, AttributeValue>;
  for (const name of Object.keys(entities)) fields[name] = entities[name] ?? '';
  for (const name of Object.keys(data)) {
    const value = data[name];
    if (name !== 'entity' && name !== '__proto__' && isAttribute(name, value)) fields[name] = value;
  }
  return fields;
}

/** Throws INVALID_ARGUMENT for a value that cannot be kept as it is. */
function isAttribute(name: string, value: unknown): value is AttributeValue {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw invalid(`data.${name}: ${WELL_FORMED}`);
    return true;
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw invalid(`data.${name}: is not a number that a double can represent`);
    return true;
  }
  if (!Array.isArray(value)) return typeof value === 'boolean';
  const type = typeof value[0];
  if (value.some((item) => typeof item !== type)) return false;
  return (
    value.length === 0 ||
    ((type === 'string' || type === 'number') && value.every((item) => isAttribute(name, item)))
  );
}

function invalid(message: string, cause?: unknown): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', message, { reason: 'malformed_event', cause });
}
