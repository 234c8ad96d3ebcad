import { manifestSchema } from '@hotloop/model/manifest/manifest.ts';
import {
  type EventShape,
  SHAPE_SPAN_MS,
  type ShapeKind,
} from '@hotloop/platform/postgres/event-shape-store.ts';
import { describe, expect, it } from 'vitest';
import { groupSignals } from '../incidents/incident.ts';
import { judgeShapes, judgeTables } from './judge-sources.ts';
import type { Signal } from './signal.ts';
import { usedEvents, usedTables } from './used-sources.ts';

const manifest = manifestSchema.parse({
  name: 'm',
  features: [
    { name: 'spent', from: 'history.user.buy.sum(price)', window: '7d', missing: 0 },
    { name: 'big', from: 'history.user.buy.count', where: 'event.amount > 3.0', missing: 0 },
    { name: 'segment', from: 'reference.customers.segment', by: 'user', max_age: '2d', missing: 0 },
    { name: 'age', from: 'request.age', missing: 0 },
  ],
  kafka: { requests: 'asks', replies: 'answers' },
});
const NOW = 1_780_000_200_000;

/** Counts per span of ten minutes, beginning `from` spans ago and ending `to` spans ago. */
function shapes(field: string, kind: ShapeKind, messages: number, from: number, to: number): EventShape[] {
  return Array.from({ length: from - to }, (_v, index) => {
    const at = Math.floor(NOW / SHAPE_SPAN_MS) * SHAPE_SPAN_MS - (from - index - 1) * SHAPE_SPAN_MS;
    return {
      ...{ topic: 'shop', event: 'buy', field, kind, at, messages, firstPartition: 3 },
      ...{ firstOffset: String(1_000 - (from - index) * 100), firstAt: at, lastAt: at + 1_000 },
      earlier: (20 - from + index) * 100,
    };
  });
}
const used = usedEvents(manifest);
const judge = (given: readonly EventShape[]) => judgeShapes(used, given, NOW);
const usual = [...shapes('', 'message', 100, 20, 0), ...shapes('user', 'text', 100, 20, 0)];

describe('the sources of features', () => {
  it('are read from the manifest', () => {
    expect(
      used.map(({ source, features }) => [source, features.map(({ name, fields }) => [name, ...fields])]),
    ).toEqual([
      [
        'history.user.buy',
        [
          ['spent', 'price'],
          ['big', 'amount', 'count'],
        ],
      ],
      ['topic asks', [['age', 'age']]],
      ['requests', [['age', 'age']]],
    ]);
    expect(usedTables(manifest)).toEqual([
      { table: 'customers', source: 'reference.customers', feature: 'segment', maxAgeMs: 172_800_000 },
    ]);
  });
});

describe('messages of a producer', () => {
  it('raise no alarm while they do not change, including optional fields', () => {
    const optional = [...shapes('note', 'text', 30, 20, 0), ...shapes('note', 'absent', 70, 20, 0)];
    expect(judge([...usual, ...shapes('price', 'number', 100, 20, 0), ...optional])).toEqual([]);
  });

  it('name the topic, the field and the first offset of another type', () => {
    const [found, ...others] = judge([
      ...usual,
      ...shapes('price', 'number', 100, 20, 2),
      ...shapes('price', 'text', 100, 2, 0),
    ]);
    expect(others).toEqual([]);
    expect(found).toMatchObject({
      ...{ kind: 'schema', feature: 'spent', source: 'history.user.buy', severity: 'critical' },
      producer: { topic: 'shop', field: 'price', partition: 3, firstOffset: '800' },
    });
    expect(found!.message).toBe(
      'the field price of events buy is a text in 67 % of the messages; it was a number, from offset 800 of partition 3 of topic shop on',
    );
  });

  it('report a removed field and a new one', () => {
    const gone = judge([
      ...usual,
      ...shapes('amount', 'number', 100, 20, 1),
      ...shapes('amount', 'absent', 60, 1, 0),
      ...shapes('amount', 'number', 40, 1, 0),
    ]);
    expect(gone).toMatchObject([{ kind: 'schema', feature: 'big', producer: { firstOffset: '900' } }]);
    const added = judge([...usual, ...shapes('color', 'text', 100, 1, 0)]);
    expect(added).toMatchObject([{ kind: 'schema', feature: null, severity: 'info' }]);
    expect(added[0]!.message).toContain('color of events buy is new, a text');
  });

  it('report a changed unit, and a field that replaced another', () => {
    const times = judge([
      ...usual,
      ...[...shapes('amount', 'number', 100, 20, 0), ...shapes('amount', '1e1', 90, 20, 2)],
      ...[...shapes('amount', '1e2', 10, 20, 2), ...shapes('amount', '1e4', 90, 2, 0)],
      ...shapes('amount', '1e5', 10, 2, 0),
    ]);
    expect(times).toMatchObject([
      { kind: 'schema', feature: 'big', severity: 'critical', producer: { firstOffset: '800' } },
    ]);
    expect(times[0]!.message).toContain('is about 1,000 times larger in 67 % of the messages');
    const spread = ['1e1', '1e2', '1e3'] as const;
    expect(judge([...usual, ...spread.flatMap((size) => shapes('amount', size, 30, 20, 0))])).toEqual([]);
    const renamed = judge([
      ...usual,
      ...[...shapes('price', 'number', 100, 20, 1), ...shapes('price', 'absent', 100, 1, 0)],
      ...shapes('cost', 'number', 100, 1, 0),
    ]);
    expect(renamed.find(({ feature }) => feature === 'spent')!.message).toMatch(
      /price of events buy is gone .*; cost came in its place: it may have been renamed, from offset 900/,
    );
    expect(groupSignals('m', renamed)).toHaveLength(1);
  });

  it('are judged within minutes; messages before the first of a kind are the baseline', () => {
    const [one] = shapes('', 'message', 250, 1, 0);
    const of = (field: string, kind: ShapeKind, messages: number, earlier: number, offset: string) => ({
      ...{ ...one!, field, kind, messages, earlier, firstOffset: offset },
    });
    const young = [one!, of('price', 'number', 200, 0, '0'), of('price', 'text', 50, 200, '212')];
    const [found, ...others] = judge(young);
    expect(others).toEqual([]);
    expect(found!.message).toContain(
      'price of events buy is a text in 100 % of the messages; it was a number',
    );
    expect(found).toMatchObject({ producer: { firstOffset: '212' } });
    expect(judge([one!, of('price', 'number', 200, 0, '0'), of('price', 'text', 50, 3, '3')])).toEqual([]);
  });

  it('name the caller that changed its requests', () => {
    const ofCaller = (caller: string, changed: readonly EventShape[]) =>
      [...usual, ...changed].map((one) => ({
        ...{ ...one, topic: `caller ${caller}`, event: '$request:m' },
        ...{ firstOffset: null, firstPartition: null },
      }));
    const age = shapes('age', 'number', 100, 20, 0);
    const found = judge([
      ...ofCaller('shop', age),
      ...ofCaller('app', [...age.slice(0, -1), ...shapes('age', 'text', 100, 1, 0)]),
    ]);
    expect(found.map(({ feature, message }) => [feature, message])).toEqual([
      [
        'age',
        'the field age of the requests of caller app is a text in 33 % of the messages; it was a number',
      ],
    ]);
    // Drift of the same feature is a consequence, although its source has another name.
    const drift = { ...found[0]!, kind: 'missing' as const, source: 'request.age' };
    expect(groupSignals('m', [drift, ...found])).toMatchObject([{ cause: 'feature:age' }]);
  });

  it('report delays, and are not judged when there are too few', () => {
    expect(judge([...usual, ...shapes('', 'late', 40, 2, 0)])).toMatchObject([
      { kind: 'late_events', source: 'history.user.buy' },
    ]);
    expect(judge([...shapes('', 'message', 3, 20, 0), ...shapes('', 'late', 3, 2, 0)])).toEqual([]);
  });

  it("are the cause of their features' drift: one incident, whose title names the cause", () => {
    const drift = (feature: string): Signal => ({
      ...{
        kind: 'missing',
        feature,
        source: 'history.user.buy',
        effect: 0.5,
        low: 0.4,
        high: 0.6,
        p: 0,
        n: 900,
      },
      ...{ unit: 'share', threshold: 0.02, severity: 'critical', message: `${feature} is missing` },
    });
    const schema = judge([
      ...usual,
      ...shapes('price', 'number', 100, 20, 2),
      ...shapes('price', 'text', 100, 2, 0),
    ]);
    const incidents = groupSignals('m', [drift('spent'), drift('big'), ...schema]);
    expect(incidents).toHaveLength(1);
    expect(incidents[0]).toMatchObject({ cause: 'source:history.user.buy', severity: 'critical' });
    expect(incidents[0]!.title).toMatch(/2 features .* the field price of events buy is a text/);
  });
});

describe('tables', () => {
  const hours = (count: number) => NOW - count * 3_600_000;
  const plain = [{ table: 'customers', source: 'reference.customers', feature: 'segment', maxAgeMs: null }];
  it('are stale past max_age, or long after the next upload was due', () => {
    const ages = (up: number, before: number | null) => [
      { table: 'customers', uploadedAt: hours(up), previousAt: before === null ? null : hours(before) },
    ];
    expect(judgeTables(usedTables(manifest), ages(40, 50), NOW)).toEqual([]);
    expect(judgeTables(usedTables(manifest), ages(50, 60), NOW)[0]!.message).toBe(
      'the table customers was uploaded 50.0 h ago; segment allows 48.0 h',
    );
    expect(judgeTables(plain, ages(50, 60), NOW)).toMatchObject([{ kind: 'stale' }]);
    expect(judgeTables(plain, ages(50, 90), NOW)).toEqual([]);
    expect(judgeTables(plain, ages(5_000, null), NOW)).toEqual([]);
    expect(judgeTables(plain, [], NOW)).toEqual([]);
  });
});
