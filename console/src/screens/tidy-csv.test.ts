import { describe, expect, it } from 'vitest';
import { notesOf, problemOf, shapeOf, tidy } from './tidy-csv.ts';

const HEADER = 'Name,Price,Sold on,Note,Will buy?';
const ROWS = Array.from(
  { length: 30 },
  (_, row) =>
    `n${row},"${row},000",2026-01-${String((row % 28) + 1).padStart(2, '0')},"a ""b""\nc",${row % 2 ? 'yes' : 'no'}`,
);
const PLAIN = `${[HEADER, ...ROWS].join('\n')}\n`;
const bytes = (text: string) => new TextEncoder().encode(text);
const utf16 = (text: string) =>
  new Uint8Array(Uint16Array.from(`\uFEFF${text}`, (sign) => sign.charCodeAt(0)).buffer);
const latin = (text: string) => Uint8Array.from(text, (sign) => sign.charCodeAt(0));

async function read(file: Uint8Array<ArrayBuffer>) {
  const shape = shapeOf(file);
  const tidied = await tidy(new Blob([file]), shape);
  return {
    shape,
    tidied,
    text: await tidied.file.text(),
    notes: notesOf(shape),
    problem: problemOf(shape, file),
  };
}

describe('a CSV for a first version', () => {
  it.each([
    ['as RFC 4180 says', bytes(PLAIN), []],
    ['with a BOM', bytes(`\uFEFF${PLAIN}`), []],
    ['with CRLF', bytes(PLAIN.replaceAll(/\n(?!c)/g, '\r\n')), []],
    ['in UTF-16', utf16(PLAIN), ['The text is UTF-16LE.']],
  ])('keeps every value, also one with a quote and a line break: %s', async (_how, file, said) => {
    const { text, tidied, notes, problem } = await read(file);
    expect(problem).toBe('');
    expect(text.split('\n').slice(0, 3)).toEqual([HEADER, 'n0,0000,2026-01-01T00:00:00Z,"a ""b""', 'c",no']);
    expect([tidied.rows, tidied.leftOut]).toEqual([30, 0]);
    expect(notes).toEqual([
      ...said,
      'Commas group thousands in Price.',
      'Times without an offset are UTC in Sold on.',
    ]);
  });

  it('reads what spreadsheets of Europe write: semicolons, decimal commas, Windows-1252', async () => {
    const lines = Array.from(
      { length: 25 },
      (_, row) => `Köln;1.234,${row};0${(row % 9) + 1}.12.2025;${row % 3}`,
    );
    const { text, notes } = await read(latin(['Ort;Umsatz;Tag;Klasse', ...lines].join('\r\n')));
    expect(text.split('\n').slice(0, 2)).toEqual([
      'Ort,Umsatz,Tag,Klasse',
      'Köln,1234.0,2025-12-01T00:00:00Z,0',
    ]);
    expect(notes).toEqual([
      'The text is Windows-1252.',
      'Columns are divided by semicolons.',
      'Commas are decimal points in Umsatz.',
      'Dates begin with the day in Tag.',
    ]);
  });

  it('numbers the columns of a file without a header, and names those without a title or with one twice', async () => {
    const lines = Array.from({ length: 25 }, (_, row) => `${row}.5,${row % 4},iris`);
    expect(shapeOf(bytes(lines.join('\n'))).columns).toEqual(['column_1', 'column_2', 'column_3']);
    expect((await read(bytes(lines.join('\n')))).tidied.rows).toBe(25);
    expect(shapeOf(bytes(['a,,a', ...lines].join('\n'))).columns).toEqual(['a', 'column_2', 'a_2']);
  });

  it('leaves dates as they are where the day cannot be told from the month', () => {
    const file = (date: string) => bytes(`d,y\n${`${date},1\n`.repeat(25)}`);
    expect(shapeOf(file('01/02/2025')).rewrites[0]).toBe('none');
    expect(shapeOf(file('13/02/2025')).rewrites[0]).toBe('day_first');
    expect(shapeOf(file('02/13/2025')).rewrites[0]).toBe('month_first');
  });

  it('counts rows of another length, and refuses a quote without end by its line', async () => {
    const { tidied } = await read(bytes(`${PLAIN}one,two\n`));
    expect([tidied.rows, tidied.leftOut]).toEqual([30, 1]);
    const open = bytes(`${PLAIN}x,"y,z\n`);
    await expect(tidy(new Blob([open]), shapeOf(open))).rejects.toThrow(/Line 62 opens a quote/);
  });

  it.each<[string, Uint8Array, string]>([
    ['empty', bytes(''), 'The file is empty'],
    ['a workbook', bytes('PK\u0003\u0004\u0000'), 'save the sheet as CSV'],
    ['a picture', bytes('\u0000\u0001PNG'), 'not a text file'],
    ['one column', bytes('a\n1\n'), 'At least two columns'],
    [
      'one row',
      bytes('a,b\n1,2\n'),
      'At least 20 rows are needed, each with 2 values as in the first line; this file has',
    ],
  ])('that cannot be learnt from says what is missing: %s', (_what, file, words) => {
    expect(problemOf(shapeOf(file), file)).toContain(words);
  });
});
