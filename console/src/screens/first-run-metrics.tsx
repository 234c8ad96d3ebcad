import { Stat } from '../components/card.tsx';
import { formatMetric, metricName } from '../number-format.ts';

/** A version that was made from a file. */
export interface Ready {
  readonly model: string;
  readonly version: number;
  readonly metrics: Readonly<Record<string, number>>;
  /** Rows that could not be used, and why the first of them. */
  readonly refused: number;
  readonly problems: readonly string[];
  /** Fields of a first request, from the file; null for a bare ONNX model. */
  readonly request: Readonly<Record<string, string | number | boolean>> | null;
}

/** How well it does on the rows that it was not trained on. */
export function Metrics({ metrics }: { metrics: Readonly<Record<string, number>> }) {
  const entries = Object.entries(metrics);
  if (entries.length === 0) return null;
  return (
    <div className="grid stats boxed">
      {entries.slice(0, 6).map(([name, value]) => (
        <Stat key={name} label={metricName(name)} value={formatMetric(value)} />
      ))}
    </div>
  );
}
