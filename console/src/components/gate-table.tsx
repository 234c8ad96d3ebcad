import type { Gate } from '../api/types.ts';
import { formatCount, formatMetric, metricName } from '../number-format.ts';
import { Badge, type Tone } from './badge.tsx';
import { TableFrame } from './card.tsx';

const TONES: Readonly<Record<string, Tone>> = { passed: 'good', failed: 'bad', reported: 'neutral' };

/** Every check of a gate, slices among them: what it measured, against what, and how sure that is. */
export function GateTable({ gate }: { gate: Gate }) {
  return (
    <TableFrame label="Checks of the gate">
      <thead>
        <tr>
          <th>Check</th>
          <th>Result</th>
          <th className="number">Candidate</th>
          <th className="number">Against</th>
          <th className="number">Better by (95 %)</th>
          <th className="number">Rows</th>
        </tr>
      </thead>
      <tbody>
        {(gate.checks ?? []).map((check) => (
          <tr key={check.name} title={check.message}>
            <td className="strong">{metricName(check.name)}</td>
            <td>
              <Badge tone={TONES[check.outcome] ?? 'neutral'}>{check.outcome}</Badge>
            </td>
            <td className="number">{formatMetric(check.candidate)}</td>
            <td className="number">{formatMetric(check.against)}</td>
            <td className="number">
              {check.interval === null
                ? '–'
                : `${formatMetric(check.interval.low)} to ${formatMetric(check.interval.high)}`}
            </td>
            <td className="number">{formatCount(check.examples)}</td>
          </tr>
        ))}
      </tbody>
    </TableFrame>
  );
}
