import { execFileSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import type { Figure } from './figure.ts';

export interface Report {
  readonly bench: string;
  readonly figures: readonly Figure[];
  readonly machine: string;
  readonly commit: string;
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

/** A report of figures with the machine that they were measured on. */
export function report(bench: string, figures: readonly Figure[]): Report {
  const processors = cpus();
  const machine = `${processors.length} x ${processors[0]?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`;
  return { bench, figures, machine, commit: commit() };
}

/** The figures as a readable table. */
export function table(result: Report): string {
  const rows = result.figures.map((f) => [
    f.key,
    String(f.value),
    `${f.low} .. ${f.high}`,
    f.goal,
    f.met === null ? '' : f.met ? 'met' : 'not met',
    String(f.n),
  ]);
  const all = [['figure', 'median', 'low .. high', 'goal', '', 'rounds'], ...rows];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [`${result.bench} on ${result.machine}, commit ${result.commit}`, ...lines].join('\n');
}
