import { describe, expect, it } from 'vitest';
import {
  featuresOf,
  fieldNames,
  manifestOf,
  problemOf,
  readCsv,
  requestOf,
  withFieldNames,
} from './read-csv.ts';

const LINES = Array.from(
  { length: 40 },
  (_, row) => `${row},${row % 7 === 0 ? '' : row / 10},"red, dark",${row % 2 ? 'yes' : 'no'}`,
);
const TEXT = `ID,Petal length (cm),"Colour ""of"" petal",Will buy?\r\n${LINES.join('\r\n').replace('red, dark', 'blue')}\r\n`;

describe('a CSV for a first version', () => {
  const table = readCsv(TEXT);
  const label = table.columns[3]!;

  it('gives its columns names that fields of a request may have, each one once', () => {
    expect(fieldNames(['Petal length (cm)', 'petal.length_cm', '2024', 'été', '名'])).toEqual([
      'petal_length_cm',
      'petal_length_cm_2',
      'column_3',
      't',
      'column_5',
    ]);
    expect(table.columns.map(({ name }) => name)).toEqual([
      'id',
      'petal_length_cm',
      'colour_of_petal',
      'will_buy',
    ]);
  });

  it('leaves out what only tells rows apart, and asks first with a row that has everything', () => {
    expect(featuresOf(table, label).map(({ name }) => name)).toEqual(['petal_length_cm', 'colour_of_petal']);
    expect(requestOf(table, label)).toEqual({ petal_length_cm: 0.1, colour_of_petal: 'red, dark' });
    expect(manifestOf('flowers', table, label)).toContain('from: request.petal_length_cm');
  });

  it.each([
    ['plain', TEXT],
    ['with a BOM', `\uFEFF${TEXT}`],
  ])('is uploaded with these names and the same rows: %s', async (_how, text) => {
    const file = new Blob([text]);
    // As a browser does, a BOM is not part of the text.
    const read = await file.text();
    const sent = await (await withFieldNames(file, read, readCsv(read))).text();
    expect(sent.split('\n')[0]).toBe('id,petal_length_cm,colour_of_petal,will_buy');
    expect(sent.split('\n').slice(1)).toEqual(TEXT.split('\n').slice(1));
  });

  it.each([
    ['a;b\n1;2\n', 'divided by commas; this file has ;'],
    ['a\tb\n1\t2\n', 'this file has tabs'],
    ['\u0000\u0001PNG', 'This is no CSV'],
    ['', 'This is no CSV'],
    ['a\n1\n', 'At least two columns'],
    ['a,b\n1,2\n3\n', 'At least 20 rows are needed, each with 2 values as in the header; this file has 1'],
  ])('is refused with what to do: %j', (text, problem) => {
    expect(problemOf(readCsv(text))).toContain(problem);
  });
});
