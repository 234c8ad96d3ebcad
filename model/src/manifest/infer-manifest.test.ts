import { describe, expect, it } from 'vitest';
import { inferManifest, type TextTable } from './infer-manifest.ts';
import { parseManifest } from './parse-manifest.ts';

const table = (columns: Record<string, (row: number) => string>, rows = 200): TextTable => ({
  columns: Object.keys(columns),
  rows: Array.from({ length: rows }, (_, row) => Object.values(columns).map((cell) => cell(row))),
});

describe('a drafted model.yaml', () => {
  const data = table({
    customer_id: (row) => String(1000 + row),
    age: (row) => (row % 10 === 0 ? '' : String(20 + (row % 50))),
    plan: (row) => ['free', 'pro', 'team'][row % 3] ?? '',
    'Plan again': (row) => ['free', 'pro', 'team'][row % 3] ?? '',
    country: () => 'DE',
    comment: (row) => `my card number ${row} has not arrived`,
    active: (row) => (row % 2 === 0 ? 'true' : 'false'),
    signed_up: (row) => `2026-01-${String(1 + (row % 28)).padStart(2, '0')}T10:00:00Z`,
    reason: (row) => (row % 7 < 3 ? 'left' : 'stays'),
    churn: (row) => String(row % 7 < 3 ? 1 : 0),
  });

  it('can be parsed, names the task, and has a feature for each useful column', () => {
    const { yaml, task, label, features } = inferManifest('churn', data, undefined);
    const manifest = parseManifest(yaml);
    expect([task, label]).toEqual(['binary', 'churn']);
    expect(manifest.task).toBe('binary');
    expect(features).toEqual(
      ['age', 'plan', 'comment', 'active', 'signed_up_hour', 'signed_up_weekday'].filter((name) =>
        features.includes(name),
      ),
    );
    expect(features).toContain('comment');
    expect(manifest.features.find(({ name }) => name === 'age')).toMatchObject({
      missing: expect.any(Number),
      range: expect.any(Array),
    });
    expect(manifest.features.find(({ name }) => name === 'plan')?.transform).toEqual([
      { one_hot: ['free', 'pro', 'team'] },
    ]);
  });

  it('reports columns without variance, duplicates, label leaks and ids', () => {
    const findings = inferManifest('churn', data, 'churn').findings.map(({ column, finding }) => [
      column,
      finding,
    ]);
    expect(findings).toEqual(
      expect.arrayContaining([
        ['customer_id', 'id'],
        ['Plan again', 'duplicate'],
        ['country', 'no_variance'],
        ['reason', 'leak'],
      ]),
    );
  });

  it('lists the omitted columns in the draft, also when no feature remains', () => {
    const inferred = inferManifest('churn', data, 'churn');
    expect(inferred.yaml).toContain('# Left out of the features');
    expect(inferred.yaml).toContain('#   "reason" (leak: each of its values occurs with only one label)');
    const leaking = table({
      'two\nlines': (row) => String(row % 3),
      y: (row) => String(Number(row % 3 === 0)),
    });
    expect(() => inferManifest('m', leaking, 'y')).toThrow(
      /no column can be a feature: "two\\nlines" \(leak/,
    );
  });

  it('keeps a measurement that separates the labels, and takes one that is the label in other words for a leak', () => {
    const iris = table({
      petal: (row) => ((row % 3) + (row % 30) / 40).toFixed(2),
      code: (row) => String((row % 3) * 10),
      species: (row) => ['setosa', 'versicolor', 'virginica'][row % 3] ?? '',
    });
    const { features, findings } = inferManifest('iris', iris, undefined);
    expect(features).toEqual(['petal']);
    expect(findings.map(({ column, finding }) => [column, finding])).toEqual([['code', 'leak']]);
  });

  it('names the answer that says no first, whatever the language', () => {
    for (const [no, yes] of [
      ['nein', 'ja'],
      ['non', 'oui'],
      ['N', 'Y'],
    ] as const) {
      const data = table({ x: (row) => String(Math.sin(row)), left: (row) => (row % 3 === 0 ? yes : no) });
      expect(parseManifest(inferManifest('m', data, 'left').yaml).decision.labels).toEqual([no, yes]);
    }
  });

  it('distinguishes regression from many classes, and rejects data that it cannot draft from', () => {
    const numbers = table({ x: (row) => String(Math.sin(row)), y: (row) => String(Math.cos(3 * row)) });
    expect(inferManifest('m', numbers, 'y').task).toBe('regression');
    const classes = table({
      x: (row) => String(Math.sin(row)),
      kind: (row) => ['a', 'b', 'c'][row % 3] ?? '',
    });
    const { yaml, task } = inferManifest('m', classes, undefined);
    expect([task, parseManifest(yaml).decision.labels]).toEqual(['multiclass', ['a', 'b', 'c']]);
    expect(() => inferManifest('m', numbers, 'z')).toThrow(/no column "z"; there are x, y/);
    expect(() => inferManifest('m', { columns: ['a'], rows: [] }, undefined)).toThrow(/no rows/);
  });
});
