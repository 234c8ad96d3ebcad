import { describe, expect, it } from 'vitest';
import { csvHeader } from './csv-header.ts';

describe('the header of a CSV file', () => {
  it.each([
    ['a,b,c\n1;2;3', ',', ['a', 'b', 'c']],
    ['\uFEFFa;"b,c,d";e\r\n', ';', ['a', 'b,c,d', 'e']],
    ['a\tb', '\t', ['a', 'b']],
    ['a|b|\n', '|', ['a', 'b', '']],
    ['"two\nlines","a ""quote"""\n', ',', ['two\nlines', 'a "quote"']],
    ['alone\n', ',', ['alone']],
  ])('is taken apart: %j', (text, delimiter, names) => {
    expect(csvHeader(text, 'in.csv')).toEqual({ delimiter, names });
  });

  it('is refused when a name is there twice, because a reader would have to choose', () => {
    expect(() => csvHeader('id,visits,visits\n', 'in.csv')).toThrow(
      'in.csv: its header has the column visits twice',
    );
    expect(() => csvHeader('Visits,visits\n', 'in.csv')).toThrow(
      'in.csv: its columns Visits and visits differ in upper and lower case only',
    );
    expect(csvHeader('a,,\n', 'in.csv').names).toEqual(['a', '', '']);
  });
});
