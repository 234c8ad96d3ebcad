import type { Run } from '../api/types.ts';

export interface Axis {
  readonly name: string;
  readonly low: number;
  readonly high: number;
}

export interface RunLine {
  readonly runId: string;
  readonly values: readonly number[];
  /** Where it crosses each axis, 0 (low) to 1 (high). */
  readonly places: readonly number[];
}

const MOST_AXES = 7;

/**
 * The axes that tell runs apart: numbers among their settings that differ, then the metric of their gate, or their first one. Only runs
 * that have all of them are lines. Pure.
 */
export function axesOf(runs: readonly Run[]): {
  readonly axes: readonly Axis[];
  readonly lines: readonly RunLine[];
} {
  const known = runs.flatMap((run) => {
    const settings = flatten(run.parameters ?? {});
    const metric = run.gate?.metric ?? Object.keys(run.metrics)[0];
    const value =
      metric === undefined ? undefined : (run.metrics[metric] ?? run.gate?.candidate ?? undefined);
    return metric === undefined || value === undefined ? [] : [{ run, settings, metric, value }];
  });
  const metric = known[0]?.metric;
  const compared = known.filter((one) => one.metric === metric);
  const first = compared[0];
  if (metric === undefined || first === undefined) return { axes: [], lines: [] };
  const names = [...first.settings.keys()]
    .filter((name) => compared.every(({ settings }) => settings.has(name)))
    .filter((name) => new Set(compared.map(({ settings }) => settings.get(name))).size > 1)
    .slice(0, MOST_AXES - 1);
  const rows = compared.map(({ run, settings, value }) => ({
    runId: run.runId,
    values: [...names.map((name) => settings.get(name) ?? 0), value],
  }));
  const axes = [...names, metric].map((name, index) => {
    const values = rows.map((row) => row.values[index] ?? 0);
    return { name, low: Math.min(...values), high: Math.max(...values) };
  });
  const lines = rows.map((row) => ({
    ...row,
    places: row.values.map((value, index) => {
      const { low, high } = axes[index] ?? { low: 0, high: 0 };
      return high > low ? (value - low) / (high - low) : 0.5;
    }),
  }));
  return { axes, lines };
}

/** Numbers of nested settings, by their path; `optimizer.adam.learning_rate`. */
function flatten(settings: Readonly<Record<string, unknown>>, prefix = ''): Map<string, number> {
  const found = new Map<string, number>();
  for (const [name, value] of Object.entries(settings))
    if (typeof value === 'number' && Number.isFinite(value)) found.set(prefix + name, value);
    else if (typeof value === 'object' && value !== null && !Array.isArray(value))
      for (const [inner, number] of flatten(value as Record<string, unknown>, `${prefix}${name}.`))
        found.set(inner, number);
  return found;
}
