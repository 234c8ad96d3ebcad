import { randomUUID } from 'node:crypto';
import type { Event } from '@hotloop/proto/gen/hotloop/v1/Event.ts';
import type { IngestEventsReply__Output } from '@hotloop/proto/gen/hotloop/v1/IngestEventsReply.ts';
import { type Attributes, encodeAttributes } from './attributes.ts';
import type { CallContext, CallPatience } from './call-context.ts';
import { callMetadata } from './channel.ts';
import { HotloopClientError, toClientError } from './hotloop-client-error.ts';
import { failureOf } from './prediction-stream.ts';

/** Something that happened to entities. */
export interface EventInput {
  /** Such as view; features name it: history.user.view.count. */
  readonly type: string;
  /** Kind of entity to its id, such as {user: 'u1'}. */
  readonly entities: Readonly<Record<string, string>>;
  readonly fields?: Attributes;
  /** When it happened; now when absent. */
  readonly time?: Date | string;
  /** With `source` it names the event: sending it again changes nothing. Made by the client when absent. */
  readonly id?: string;
  /** Default: /client. */
  readonly source?: string;
}

export interface EventsResult {
  readonly accepted: number;
  /** By their place in what was sent. */
  readonly refused: readonly { readonly index: number; readonly error: HotloopClientError }[];
}

const AT_ONCE = 1000;

/**
 * Sends events over one stream, in messages of a thousand; the next message goes when the one before is taken in. Resolved: all that are
 * not refused are in the history and on their way to the archive. After a failure send the same events, with their ids, again.
 */
export async function sendEvents(
  context: CallContext,
  events: Iterable<EventInput> | AsyncIterable<EventInput>,
  patience: CallPatience = {},
): Promise<EventsResult> {
  const deadline = Date.now() + (patience.timeoutMs ?? context.options.timeoutMs);
  const call = context.stubs.intake.IngestEvents(callMetadata(context.options), { deadline });
  const cancel = () => call.cancel();
  patience.signal?.addEventListener('abort', cancel, { once: true });
  if (patience.signal?.aborted) cancel();
  let accepted = 0;
  let sent = 0;
  const refused: EventsResult['refused'][number][] = [];
  try {
    const answers = (call as AsyncIterable<IngestEventsReply__Output>)[Symbol.asyncIterator]();
    const send = async (batch: readonly Event[]) => {
      call.write({ events: [...batch] });
      const answer = await answers.next();
      if (answer.done) throw new HotloopClientError('UNAVAILABLE', 'the stream of events ended early');
      accepted += answer.value.accepted;
      for (const { index, failure } of answer.value.refused)
        refused.push({ index: sent + index, error: failureOf(failure ?? undefined) });
      sent += batch.length;
    };
    let batch: Event[] = [];
    let index = 0;
    for await (const event of events) {
      batch.push(encodeEvent(event, index++));
      if (batch.length < AT_ONCE) continue;
      await send(batch);
      batch = [];
    }
    if (batch.length > 0) await send(batch);
    call.end();
    return { accepted, refused };
  } catch (error) {
    call.cancel();
    throw toClientError(error);
  } finally {
    patience.signal?.removeEventListener('abort', cancel);
  }
}

function encodeEvent(event: EventInput, index: number): Event {
  const time = event.time ?? new Date();
  if (time instanceof Date && Number.isNaN(time.getTime()))
    throw new HotloopClientError('INVALID_ARGUMENT', `events.${index}.time is not a time`);
  return {
    id: event.id ?? randomUUID(),
    source: event.source ?? '/client',
    type: event.type,
    time: time instanceof Date ? time.toISOString() : time,
    entities: { ...event.entities },
    fields: encodeAttributes(event.fields ?? {}, `events.${index}.fields`),
  };
}
