import { fromPostgresError, type Queryable } from './pool.ts';

/** The power of ten of a number's magnitude, such as `1e3` for 1,000 to 9,999; it reveals a changed unit. */
export type SizeKind = `1e${number}`;
/**
 * Kind of a field's value. `absent`: other messages have the field, this one does not. `message` and `late` describe
 * the whole message; their field is empty.
 */
export type ShapeKind = 'number' | 'text' | 'flag' | 'list' | 'absent' | 'message' | 'late' | SizeKind;

/** Number of messages of one event in a span of `SHAPE_SPAN_MS` that had a field with values of one kind. */
export interface EventShape {
  /** `http` for events that arrived over HTTP, `caller NAME` for requests that arrived over gRPC or REST. */
  readonly topic: string;
  readonly event: string;
  readonly field: string;
  readonly kind: ShapeKind;
  /** Start of the span, milliseconds since 1970. */
  readonly at: number;
  messages: number;
  /** Partition of the first of these messages; null over HTTP. */
  readonly firstPartition: number | null;
  readonly firstOffset: string | null;
  /** Messages of this topic and event that were counted before the first of these. */
  readonly earlier: number;
  /** Arrival of the first and the last of these messages. */
  readonly firstAt: number;
  lastAt: number;
}

export const SHAPE_SPAN_MS = 600_000;
/** The event under which the requests of a topic are counted. */
export const REQUEST_EVENT = '$request';
/** The event under which a sample of a model's requests over gRPC or REST is counted. */
export const requestEventOf = (model: string): string => `${REQUEST_EVENT}:${model}`;

// Input: shapes as JSON. Effect: adds their counts to the stored ones; the first message of each span is kept.
const ADD = `
  INSERT INTO event_shape AS known (topic, event, field, kind, at, messages, first_partition, first_offset, earlier, first_at, last_at)
  SELECT topic, event, field, kind, to_timestamp(at / 1000.0), messages, "firstPartition", "firstOffset", earlier,
    to_timestamp("firstAt" / 1000.0), to_timestamp("lastAt" / 1000.0)
  FROM jsonb_to_recordset($1::jsonb) AS one (topic text, event text, field text, kind text, at double precision, messages bigint,
    "firstPartition" integer, "firstOffset" bigint, earlier bigint, "firstAt" double precision, "lastAt" double precision)
  ORDER BY event, topic, field, kind, at
  ON CONFLICT (event, topic, field, kind, at) DO UPDATE SET messages = known.messages + EXCLUDED.messages,
    last_at = greatest(known.last_at, EXCLUDED.last_at)`;

/** Adds counts. Rejects UNAVAILABLE while Postgres cannot be reached. */
export async function addEventShapes(database: Queryable, shapes: readonly EventShape[]): Promise<void> {
  if (shapes.length === 0) return;
  await database.query(ADD, [JSON.stringify(shapes)]).catch((cause: unknown) => {
    throw fromPostgresError(cause);
  });
}

/** Counts of some events since a given time, ordered by time. */
export async function readEventShapes(
  database: Queryable,
  events: readonly string[],
  since: number,
): Promise<EventShape[]> {
  if (events.length === 0) return [];
  const { rows } = await database.query<{
    topic: string;
    event: string;
    field: string;
    kind: ShapeKind;
    at_ms: string;
    messages: string;
    first_partition: number | null;
    first_offset: string | null;
    earlier: string;
    first_ms: string;
    last_ms: string;
  }>(
    `SELECT topic, event, field, kind, extract(epoch FROM at) * 1000 AS at_ms, messages, first_partition, first_offset, earlier,
       extract(epoch FROM first_at) * 1000 AS first_ms, extract(epoch FROM last_at) * 1000 AS last_ms
     FROM event_shape WHERE event = ANY($1) AND at >= to_timestamp($2 / 1000.0) ORDER BY at`,
    [events, since],
  );
  return rows.map((row) => ({
    ...{ topic: row.topic, event: row.event, field: row.field, kind: row.kind, at: Number(row.at_ms) },
    ...{ messages: Number(row.messages), firstPartition: row.first_partition, firstOffset: row.first_offset },
    ...{ earlier: Number(row.earlier), firstAt: Number(row.first_ms), lastAt: Number(row.last_ms) },
  }));
}

/** Fields that messages had since a given time; a message without one of them counts as `absent` for it. */
export async function knownFields(
  database: Queryable,
  since: number,
): Promise<{ readonly topic: string; readonly event: string; readonly field: string }[]> {
  const { rows } = await database.query<{ topic: string; event: string; field: string }>(
    `SELECT DISTINCT topic, event, field FROM event_shape
     WHERE field <> '' AND kind <> 'absent' AND at >= to_timestamp($1 / 1000.0)`,
    [since],
  );
  return rows;
}

/** Deletes shapes that are too old to be compared. */
export async function dropOldShapes(database: Queryable, before: number): Promise<void> {
  await database.query('DELETE FROM event_shape WHERE at < to_timestamp($1 / 1000.0)', [before]);
}
