import type { Writable } from 'node:stream';

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 100;
const BAR_CELLS = 24;

/** `columns` is known of a terminal, and changes with its window. */
type TerminalStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** Where a command writes. Results go to `out`; talk, progress and errors to `err`. */
export interface Terminal {
  readonly out: TerminalStream;
  readonly err: TerminalStream;
}

/** The line a person watches while something takes its time. */
export interface ProgressLine extends Disposable {
  /** Says what is being done; `fraction` (0 to 1) draws a bar. */
  update(text: string, fraction?: number): void;
}

/** On a terminal one line repainted with a spinner; elsewhere one line for each new text. */
export function progressLine(terminal: Terminal): ProgressLine {
  return terminal.err.isTTY ? repaintedLine(terminal.err) : plainLines(terminal.err);
}

function plainLines(err: Writable): ProgressLine {
  let said = '';
  return {
    update(text) {
      if (text !== said) err.write(`${text}\n`);
      said = text;
    },
    [Symbol.dispose]: () => undefined,
  };
}

function repaintedLine(err: TerminalStream): ProgressLine {
  let frame = 0;
  let line = '';
  // A line that wraps could not be repainted.
  const paint = () =>
    err.write(
      `\r\u001b[K${FRAMES[frame++ % FRAMES.length]} ${cut(line, (err.columns ?? TABLE_COLUMNS) - 3)}`,
    );
  const timer = setInterval(paint, FRAME_MS);
  timer.unref();
  return {
    update(text, fraction) {
      line = fraction === undefined ? text : `${bar(fraction)} ${text}`;
      paint();
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      err.write('\r\u001b[K');
    },
  };
}

function bar(fraction: number): string {
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * BAR_CELLS);
  return `${'█'.repeat(full)}${'░'.repeat(BAR_CELLS - full)} ${String(Math.round(fraction * 100)).padStart(3)}%`;
}

/** What a table may take where no terminal says its width. */
export const TABLE_COLUMNS = 100;
const LEAST_COLUMNS = 40;
/** A column is not made narrower than this. */
const LEAST_CELL = 8;
const ID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/;

/** Lays out rows under headings; numbers to the right. */
export type Table = (headings: readonly string[], rows: readonly (readonly (string | number)[])[]) => string;

/** How many characters a line may have: those of the terminal, or 100 where there is none. */
export function columnsOf({ out }: Terminal): number {
  return out.isTTY ? Math.max(LEAST_COLUMNS, out.columns ?? TABLE_COLUMNS) : TABLE_COLUMNS;
}

/**
 * Tables whose lines are at most `columns` long. Where cells must be cut, those of the widest column are cut first;
 * numbers and ids, which are copied into other commands, never.
 */
export function tableWithin(columns: number): Table {
  return (headings, rows) => {
    const cells = rows.map((row) => row.map(String));
    const isNumber = headings.map(
      (_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number'),
    );
    const isWhole = headings.map(
      (_, column) => isNumber[column] || cells.some((row) => ID.test(row[column] ?? '')),
    );
    const widths = headings.map((heading, column) =>
      Math.max(heading.length, ...cells.map((row) => row[column]?.length ?? 0)),
    );
    narrow(
      widths,
      headings.map((heading, column) =>
        isWhole[column] ? Number.POSITIVE_INFINITY : Math.max(heading.length, LEAST_CELL),
      ),
      columns - 2 * (headings.length - 1),
    );
    const line = (row: readonly string[]) =>
      row
        .map((cell, column) => {
          const width = widths[column] ?? 0;
          return isNumber[column] ? cell.padStart(width) : cut(cell, width).padEnd(width);
        })
        .join('  ')
        .trimEnd();
    return [line(headings), ...cells.map(line)].join('\n');
  };
}

/** Makes the widest column narrower, again and again, until all fit or none may be narrower. Changes `widths`. */
function narrow(widths: number[], least: readonly number[], most: number): void {
  const total = () => widths.reduce((sum, width) => sum + width, 0);
  const room = (column: number) =>
    (widths[column] ?? 0) > (least[column] ?? 0) ? (widths[column] ?? 0) : -1;
  while (total() > most) {
    const widest = widths.reduce((best, _, column) => (room(column) > room(best) ? column : best), 0);
    if (room(widest) < 0) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
}

/** The first characters of a text that is longer than this, with a sign that more follows. */
export function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
