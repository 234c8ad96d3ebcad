import { dataSchema } from '@hotloop/model/manifest/data-schema.ts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PARTS, type RowReader, splitRows } from './split-rows.ts';

interface SplitRow {
  readonly group: number;
  readonly key: string;
  readonly source: string;
  readonly isNew: boolean;
}

const readerOf = (rows: readonly SplitRow[]): RowReader => ({
  length: rows.length,
  group: (index) => rows[index]!.group,
  key: (index) => rows[index]!.key,
  source: (index) => rows[index]!.source,
  isNew: (index) => rows[index]!.isNew,
});

const rowsOf = (
  predictions: number,
  candidates: number,
  change: (group: number) => Partial<SplitRow> = () => ({}),
) =>
  Array.from({ length: predictions * candidates }, (_, index): SplitRow => {
    const group = Math.floor(index / candidates);
    return { group, key: `p${group}`, source: 'sdk', isNew: true, ...change(group) };
  });

function partsOf(
  rows: readonly SplitRow[],
  data: object = {},
  holdout = 0.2,
  hasParent = false,
  validation = 0,
) {
  const spec = { holdout, validation, data: dataSchema.parse(data), hasParent };
  return [...splitRows(readerOf(rows), spec)].map((part) => PARTS[part]!);
}
const count = (parts: readonly string[], part: string) => parts.filter((one) => one === part).length;

describe('dividing rows', () => {
  it('keeps the newest predictions for the gate, never a part of one', () => {
    void fc.assert(
      fc.property(fc.double({ min: 0.01, max: 0.89, noNaN: true }), (share) => {
        const rows = rowsOf(5, 3);
        const parts = partsOf(rows, {}, share);
        const held = rows.filter((_, index) => parts[index] === 'holdout').map(({ group }) => group);
        const learnt = rows.filter((_, index) => parts[index] === 'training').map(({ group }) => group);
        expect(held.length % 3).toBe(0);
        expect(held.length).toBeGreaterThan(0);
        expect(Math.max(...learnt)).toBeLessThan(Math.min(...held));
      }),
    );
    expect(partsOf(rowsOf(1, 1))).toEqual(['training']);
    expect(partsOf([])).toEqual([]);
  });

  it('draws the same share of whole predictions where the order of the rows is not that of time', () => {
    // Sorted by the label, as many files are: the last fifth would be one class alone.
    const rows = rowsOf(100, 2);
    const spec = {
      holdout: 0.2,
      validation: 0.1,
      data: dataSchema.parse({}),
      hasParent: false,
      isOrdered: false,
    };
    const parts = [...splitRows(readerOf(rows), spec)].map((part) => PARTS[part]!);
    expect(PARTS.map((part) => count(parts, part))).toEqual([144, 40, 0, 0, 16]);
    for (const part of ['holdout', 'validation']) {
      const groups = rows.filter((_, index) => parts[index] === part).map(({ group }) => group);
      expect(groups.filter((group) => groups.filter((one) => one === group).length === 2)).toEqual(groups);
      expect(Math.min(...groups)).toBeLessThan(30);
      expect(Math.max(...groups)).toBeGreaterThan(70);
    }
    expect([...splitRows(readerOf(rows), spec)]).toEqual([...splitRows(readerOf(rows), spec)]);
  });

  it('validates on the newest training rows, or on separate entities', () => {
    const parts = partsOf(rowsOf(10, 2), {}, 0.2, false, 0.25);
    expect(parts.map((part) => part[0]).join('')).toBe('ttttttttttttvvvvhhhh');
    const rows = rowsOf(60, 1, (group) => ({ key: `u${group % 7}` }));
    const sides = new Map<string, Set<string>>();
    for (const [index, part] of partsOf(
      rows,
      { split: 'entity', entity: 'user' },
      0.3,
      false,
      0.4,
    ).entries()) {
      const { key } = rows[index]!;
      sides.set(key, (sides.get(key) ?? new Set()).add(part));
    }
    expect([...sides.values()].every(({ size }) => size === 1)).toBe(true);
    expect(new Set([...sides.values()].flatMap((side) => [...side]))).toEqual(
      new Set(['training', 'validation', 'holdout']),
    );
    expect(partsOf(rowsOf(1, 1), {}, 0.2, false, 0.5)).toEqual(['training']);
  });

  it('never has an entity in two parts, also in later datasets', () => {
    void fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'), { minLength: 2, maxLength: 60 }),
        fc.constantFrom('entity', 'time_and_entity'),
        (users, split) => {
          const rows = rowsOf(users.length, 1, (group) => ({ key: users[group]! }));
          const data = { split, entity: 'user', frozen: 0.2 };
          const parts = partsOf(rows, data, 0.3);
          const sides = new Map<string, Set<string>>();
          for (const [index, part] of parts.entries())
            if (part !== 'left_out')
              sides.set(users[index]!, (sides.get(users[index]!) ?? new Set()).add(part));
          for (const side of sides.values()) expect(side.size).toBe(1);
          if (split !== 'entity') return;
          const more = [...rows, ...rowsOf(9, 1, (group) => ({ group: group + 1000, key: `new${group}` }))];
          expect(partsOf(more, data, 0.3).slice(0, rows.length)).toEqual(parts);
        },
      ),
    );
  });

  it('freezes a share that no later dataset trains on', () => {
    const parts = partsOf(rowsOf(5000, 1), { frozen: 0.1 });
    expect(count(parts, 'frozen') / 5000).toBeCloseTo(0.1, 1);
    expect(partsOf(rowsOf(4000, 1), { frozen: 0.1 }).map((part) => part === 'frozen')).toEqual(
      parts.slice(0, 4000).map((part) => part === 'frozen'),
    );
  });

  it('mixes the declared share of older rows into the new ones', () => {
    const rows = rowsOf(10_000, 1, (group) => ({ isNew: group >= 9_000 }));
    const parts = partsOf(rows, { replay: 0.5 }, 0.01, true);
    const old = rows.filter((row, index) => parts[index] === 'training' && !row.isNew).length;
    const fresh = rows.filter((row, index) => parts[index] === 'training' && row.isNew).length;
    expect(old / (old + fresh)).toBeGreaterThan(0.45);
    expect(old / (old + fresh)).toBeLessThan(0.55);
    expect(count(partsOf(rows, { replay: 0.5 }, 0.01, false), 'left_out')).toBe(0);
  });

  it('limits the share of one source', () => {
    const rows = rowsOf(10_000, 1, (group) => ({ source: group % 10 === 0 ? 'sdk' : 'analyst:mallory' }));
    const parts = partsOf(rows, { max_per_source: 0.6 });
    const learnt = rows.filter((_, index) => parts[index] === 'training');
    const mallory = learnt.filter(({ source }) => source === 'analyst:mallory').length / learnt.length;
    expect(mallory).toBeGreaterThan(0.55);
    expect(mallory).toBeLessThan(0.65);
  });
});
