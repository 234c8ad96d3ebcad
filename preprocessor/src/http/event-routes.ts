import type { Clock } from '@hotloop/platform/clock.ts';
import type { HttpApp, RouteModule } from '@hotloop/platform/http/http-server.ts';
import { toHotloopError } from '@hotloop/proto/errors.ts';
import { z } from 'zod';
import { type ParsedEvent, readEvent } from '../parse-event.ts';
import type { TakeEvents } from '../take-events.ts';

const MAX_EVENTS = 10_000;

const cloudEvent = z
  .looseObject({})
  .describe('CloudEvents 1.0 (JSON): specversion, id, source, type, time, data with data.entity');

const eventsReply = z.object({
  accepted: z.int(),
  refused: z.array(z.object({ index: z.int(), detail: z.string() })),
});

/** POST /v1/events: accepts events without Kafka. An invalid event does not stop the others. */
export function eventRoutes(take: TakeEvents, clock: Clock): RouteModule {
  return (app: HttpApp) => {
    app.post(
      '/v1/events',
      {
        config: { requires: 'feedback' },
        schema: {
          summary: 'Events of entities: one CloudEvent, or a list of them',
          tags: ['events'],
          consumes: [
            'application/json',
            'application/cloudevents+json',
            'application/cloudevents-batch+json',
          ],
          body: z.union([z.array(cloudEvent).max(MAX_EVENTS), cloudEvent], {
            error: ({ input }) =>
              Array.isArray(input) && input.length > MAX_EVENTS
                ? `at most ${MAX_EVENTS} events may be sent at once, not ${input.length}`
                : 'must be a CloudEvent (a JSON object), or a list of CloudEvents',
          }),
          response: { 200: eventsReply },
        },
      },
      async ({ body }) => {
        const nowMs = clock.now();
        // For a single event, its error is the request's error; in a list, each event has its own result.
        if (!Array.isArray(body)) {
          await take([readEvent(body, nowMs)]);
          return { accepted: 1, refused: [] };
        }
        const events: ParsedEvent[] = [];
        const refused: { index: number; detail: string }[] = [];
        for (const [index, document] of body.entries()) {
          try {
            events.push(readEvent(document, nowMs));
          } catch (error) {
            refused.push({ index, detail: toHotloopError(error).message });
          }
        }
        await take(events);
        return { accepted: events.length, refused };
      },
    );
  };
}
