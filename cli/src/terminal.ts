import type { Writable } from 'node:stream';

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 100;
const BAR_CELLS = 24;

/** Where a command writes. Results go to `out`; talk, progress and errors to `err`. */
export interface Terminal {
  readonly out: Writable;
  readonly err: Writable & { readonly isTTY?: boolean };
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

function repaintedLine(err: Writable): ProgressLine {
  let frame = 0;
  let line = '';
  const paint = () => err.write(`\r\u001b[K${FRAMES[frame++ % FRAMES.length]} ${line}`);
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

/** Rows under headings, columns as wide as their widest cell; numbers to the right. */
export function table(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = rows.map((row) => row.map(String));
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const isNumber = headings.map(
    (_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number'),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        isNumber[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
      .trimEnd();
  return [line(headings), ...cells.map(line)].join('\n');
}

/** What a table may take at most. */
export const TABLE_COLUMNS = 100;

/** A table whose last column is cut so that no line is longer than 100 characters. */
export function fitted(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  return table(headings, rows)
    .split('\n')
    .map((line) => (line.length <= TABLE_COLUMNS ? line : `${line.slice(0, TABLE_COLUMNS - 1)}…`))
    .join('\n');
}
