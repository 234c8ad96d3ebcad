import { Readable } from 'node:stream';
import type { Clock } from '@hotloop/platform/clock.ts';
import { toFailure } from '@hotloop/platform/framed/status.ts';
import { attributesFromMessage, textsFromMessage } from '@hotloop/platform/grpc/attributes.ts';
import { bidiStream, clientStream, unary } from '@hotloop/platform/grpc/handlers.ts';
import { parseStrictJson } from '@hotloop/platform/http/strict-json.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { DeclareTableReply } from '@hotloop/proto/gen/hotloop/v1/DeclareTableReply.ts';
import type { DeclareTableRequest__Output } from '@hotloop/proto/gen/hotloop/v1/DeclareTableRequest.ts';
import type { Event__Output } from '@hotloop/proto/gen/hotloop/v1/Event.ts';
import type { IngestEventsReply } from '@hotloop/proto/gen/hotloop/v1/IngestEventsReply.ts';
import type { IngestEventsRequest__Output } from '@hotloop/proto/gen/hotloop/v1/IngestEventsRequest.ts';
import type { IntakeServiceHandlers } from '@hotloop/proto/gen/hotloop/v1/IntakeService.ts';
import type { UploadTableReply } from '@hotloop/proto/gen/hotloop/v1/UploadTableReply.ts';
import type { UploadTableRequest__Output } from '@hotloop/proto/gen/hotloop/v1/UploadTableRequest.ts';
import { type ParsedEvent, readEvent } from './parse-event.ts';
import { declareTable, uploadFile } from './tables/table-intake.ts';
import type { TableStore } from './tables/table-store.ts';
import type { TakeEvents } from './take-events.ts';

const MAX_EVENTS = 10_000;

/** Maps IntakeService to events and tables; contains no logic. Without `tables`, uploads are rejected. */
export function intakeHandlers(
  take: TakeEvents,
  tables: TableStore | undefined,
  clock: Clock,
): IntakeServiceHandlers {
  const store = () => {
    if (tables) return tables;
    throw new HotloopError('UNIMPLEMENTED', 'this service has no reference tables');
  };
  return {
    IngestEvents: bidiStream(async function* (
      messages: AsyncIterable<IngestEventsRequest__Output>,
      context,
    ): AsyncGenerator<IngestEventsReply> {
      for await (const { events } of messages) {
        if (events.length > MAX_EVENTS)
          throw new HotloopError('INVALID_ARGUMENT', `events: a message may contain at most ${MAX_EVENTS}`);
        yield await takeMessage(events, take, clock.now(), context.signal);
      }
    }),
    DeclareTable: unary(
      async ({ table, schemaJson }: DeclareTableRequest__Output): Promise<DeclareTableReply> => {
        await declareTable(store(), table, parseStrictJson(Buffer.from(schemaJson)));
        return {};
      },
    ),
    UploadTable: clientStream(
      async (messages: AsyncIterable<UploadTableRequest__Output>): Promise<UploadTableReply> => {
        const parts = messages[Symbol.asyncIterator]();
        const first = await parts.next();
        const header = first.done ? null : first.value.header;
        if (!header)
          throw new HotloopError('INVALID_ARGUMENT', 'header: must be the first message of an upload');
        const { table, contentType, maxRefused } = header;
        const file = Readable.from(chunksOf(parts), { objectMode: false });
        const uploaded = await uploadFile(store(), { table, type: contentType, maxRefused, file });
        return { ...uploaded, refusedRows: uploaded.refusedRows.map((row) => ({ ...row })) };
      },
    ),
  };
}

async function takeMessage(
  events: readonly Event__Output[],
  take: TakeEvents,
  nowMs: number,
  signal: AbortSignal,
): Promise<IngestEventsReply> {
  const read: ParsedEvent[] = [];
  const refused: NonNullable<IngestEventsReply['refused']> = [];
  for (const [index, event] of events.entries()) {
    try {
      read.push(readEvent(documentOf(event), nowMs));
    } catch (error) {
      refused.push({ index, failure: toFailure(error) });
    }
  }
  await take(read, signal);
  return { accepted: read.length, refused };
}

/** The CloudEvent document of a message. */
function documentOf({ id, source, type, time, entities, fields }: Event__Output): unknown {
  const data = { ...attributesFromMessage(fields), entity: { ...textsFromMessage(entities) } };
  return { specversion: '1.0', id, source, type, time, data };
}

async function* chunksOf(parts: AsyncIterator<UploadTableRequest__Output>): AsyncGenerator<Uint8Array> {
  for (let part = await parts.next(); !part.done; part = await parts.next()) {
    const { chunk } = part.value;
    if (!chunk)
      throw new HotloopError('INVALID_ARGUMENT', 'chunk: after the header, messages must contain only bytes');
    yield chunk;
  }
}
