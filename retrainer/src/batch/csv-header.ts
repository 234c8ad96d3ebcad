import { HotloopError } from '@hotloop/proto/errors.ts';

const DELIMITERS = [',', ';', '\t', '|'] as const;
const QUOTE = '"';

export interface CsvHeader {
  readonly delimiter: string;
  readonly names: readonly string[];
}

/**
 * Takes apart the header of a CSV file (RFC 4180: `"` quotes). The delimiter is the one of `,` `;` tab `|` that the header has most often
 * outside quotes. Pure. Throws INVALID_ARGUMENT `unreadable_source` for a name that is there twice, since a reader would have to choose.
 *
 * @param text the beginning of the file, at least its first line. @param file its name, for messages.
 */
export function csvHeader(text: string, file: string): CsvHeader {
  const line = firstLine(text.replace(/^\uFEFF/, ''));
  const counts = DELIMITERS.map((delimiter) => splitQuoted(line, delimiter).length);
  const delimiter = DELIMITERS[counts.indexOf(Math.max(...counts))] ?? ',';
  const names = splitQuoted(line, delimiter);
  const seen = new Map<string, string>();
  for (const name of names) {
    const folded = name.toLowerCase();
    const other = seen.get(folded);
    if (name !== '' && other !== undefined)
      throw new HotloopError(
        'INVALID_ARGUMENT',
        other === name
          ? `${file}: its header has the column ${name} twice`
          : `${file}: its columns ${other} and ${name} differ in upper and lower case only`,
        { reason: 'unreadable_source' },
      );
    seen.set(folded, name);
  }
  return { delimiter, names };
}

/** Up to the first line break outside quotes. */
function firstLine(text: string): string {
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === QUOTE) isQuoted = !isQuoted;
    else if (!isQuoted && (character === '\n' || character === '\r')) return text.slice(0, at);
  }
  return text;
}

function splitQuoted(line: string, delimiter: string): string[] {
  const fields: string[] = [];
  let field = '';
  let isQuoted = false;
  for (let at = 0; at < line.length; at++) {
    const character = line[at] as string;
    if (character === QUOTE && isQuoted && line[at + 1] === QUOTE) {
      field += QUOTE;
      at++;
    } else if (character === QUOTE) isQuoted = !isQuoted;
    else if (character === delimiter && !isQuoted) {
      fields.push(field.trim());
      field = '';
    } else field += character;
  }
  return [...fields, field.trim()];
}
