import type { GateVerdict } from '../improve/gate.ts';

/** The results of a gate as a text table, one line for each check. Pure. */
export function gateTable(gate: GateVerdict): string {
  const text = (value: number | null) => (value === null ? '-' : String(Number(value.toPrecision(4))));
  const rows = (gate.checks ?? []).map(
    ({ name, outcome, candidate, against, interval, examples, message }) => [
      outcome,
      name,
      text(candidate),
      text(against),
      interval === null ? '-' : `${text(interval.low)} to ${text(interval.high)}`,
      String(examples),
      outcome === 'failed' ? message : '',
    ],
  );
  const head = ['', 'check', 'candidate', 'against', 'better by', 'rows', ''];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]!.length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column === cells.length - 1 ? cell : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd();
  return [...(rows.length === 0 ? [] : [line(head), ...rows.map(line)]), gate.message].join('\n');
}
