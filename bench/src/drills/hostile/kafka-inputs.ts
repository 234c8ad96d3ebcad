import { setTimeout as delay } from 'node:timers/promises';
import type { EventProducer } from '@hotloop/platform/kafka/producer.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { HOSTILE_JSON, HOSTILE_TEXTS, type HostileInput, mutated } from './hostile-input.ts';

const TOPIC = 'hotloop.events';
const TAKEN_MS = 15_000;
const MUTANTS = 60;

const EVENT = {
  ...{ specversion: '1.0', id: 'e1', source: '/drill', type: 'view', time: '2026-01-01T00:00:00Z' },
  data: { entity: { user: 'u1' }, price: 1 },
};

/**
 * Messages of the event topic: each must be accepted or become a dead letter with its bytes, and the messages after
 * it must be accepted.
 */
export function kafkaInputs(producer: EventProducer, pool: Pool): HostileInput[] {
  const bytes = Buffer.from(JSON.stringify(EVENT));
  const values: [string, Uint8Array | string][] = [
    ...HOSTILE_JSON.map((text): [string, string] => [text.slice(0, 20), text]),
    ...HOSTILE_TEXTS.map((text): [string, string] => [
      `an id ${JSON.stringify(text.slice(0, 20))}`,
      JSON.stringify({ ...EVENT, id: text }),
    ]),
    ...HOSTILE_TEXTS.map((text): [string, string] => [
      `a user ${JSON.stringify(text.slice(0, 20))}`,
      JSON.stringify({ ...EVENT, data: { entity: { user: text } } }),
    ]),
    ...HOSTILE_TEXTS.map((text): [string, string] => [
      `a time ${JSON.stringify(text.slice(0, 20))}`,
      JSON.stringify({ ...EVENT, time: text }),
    ]),
    ...Array.from({ length: MUTANTS }, (_, index): [string, Uint8Array] => [
      `an event, damaged (${index})`,
      mutated(bytes, index),
    ]),
  ];
  let marker = 0;
  return values.map(([what, value]) => ({
    door: 'kafka',
    name: what,
    async send() {
      // The same key means the same partition, so the next message arrives after this one was processed.
      const id = `marker-${process.pid}-${++marker}`;
      await producer.send(TOPIC, [
        { key: 'one', value },
        { key: 'one', value: `not an event ${id}` },
      ]);
      const end = performance.now() + TAKEN_MS;
      while (performance.now() < end) {
        const { rowCount } = await pool.query('SELECT 1 FROM set_aside WHERE value = $1', [
          Buffer.from(`not an event ${id}`),
        ]);
        if (rowCount !== 0) return undefined;
        await delay(20);
      }
      return 'the message after it was not processed';
    },
  }));
}
