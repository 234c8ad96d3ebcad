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
const text = z.string().min(1).max(256);

/** CloudEvents 1.0, JSON event format; attributes that are not listed here are allowed and ignored. */
const eventSchema = z.object({
  specversion: z.literal('1.0'),
  id: text,
  source: z.string().min(1).max(1024),
  type: z.string().regex(NAME, 'must be letters, digits and _, as history.ENTITY.EVENT names it'),
  time: z.iso.datetime({ offset: true, message: 'must be an RFC 3339 time with its offset' }),
  data: z.looseObject({ entity: z.record(z.string().regex(NAME), text) }),
});

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
  const result = eventSchema.safeParse(document);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw invalid(`${issue?.path.map(String).join('.') || 'event'}: ${issue?.message ?? 'malformed'}`);
  }
  const { id, source, type, time, data } = result.data;
  const atMs = parseRfc3339(time);
  if (atMs === null)
    throw invalid(
      'time: must be an RFC 3339 time with offset, such as 2026-02-28T10:00:00Z, on a day that exists',
    );
  if (atMs > nowMs + MAX_AHEAD_MS) throw invalid('time: is more than 5 minutes in the future');
  const entities = Object.entries(data.entity);
  if (entities.length === 0) throw invalid('data.entity: names no entity');
  if (entities.length > MAX_ENTITIES) throw invalid(`data.entity: names more than ${MAX_ENTITIES} entities`);
  const fields = fieldsOf(data.entity, data);
  if (bytes * MOST_GROWTH > MAX_FIELDS_BYTES && Buffer.byteLength(JSON.stringify(fields)) > MAX_FIELDS_BYTES)
    throw invalid(`data: its fields take more than ${MAX_FIELDS_BYTES} bytes`);
  return { key: eventKey(source, id), type, atMs, entities: bareTexts(entities), fields };
}

/** The histories that an event belongs to: one entry per entity that it names. */
export function entriesOf(
  { key, type, atMs, entities, fields }: ParsedEvent,
  arrivalUs: number,
): HistoryEntry[] {
  return Object.entries(entities).map(([entity, entityId]) => ({
    ...{ entity, entityId, event: type, id: key, atMs, arrivalUs, fields },
  }));
}

function bareTexts(entries: readonly (readonly [string, string])[]): Record<string, string> {
  return Object.assign(Object.create(null) as Record<string, string>, Object.fromEntries(entries));
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
    if (name !== 'entity' && isAttribute(value)) fields[name] = value;
  }
  return fields;
}

function isAttribute(value: unknown): value is AttributeValue {
  if (typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (!Array.isArray(value)) return false;
  return value.every((item) => typeof item === 'string') || value.every((item) => Number.isFinite(item));
}

function invalid(message: string, cause?: unknown): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', message, { reason: 'malformed_event', cause });
}
