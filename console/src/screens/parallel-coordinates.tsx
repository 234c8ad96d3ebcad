import type { Run } from '../api/types.ts';
import { Card } from '../components/card.tsx';
import { formatMetric, metricName } from '../number-format.ts';
import { axesOf } from './parallel-axes.ts';

const WIDTH = 900;
const HEIGHT = 240;
const MARGIN = { side: 56, top: 34, bottom: 26 };

/** Runs as lines over what they were trained with and how good they became; nothing where there is nothing to compare. */
export function ParallelCoordinates({ runs }: { runs: readonly Run[] }) {
  const { axes, lines } = axesOf(runs);
  if (axes.length < 2 || lines.length < 2) return null;
  const x = (axis: number) => MARGIN.side + (axis * (WIDTH - 2 * MARGIN.side)) / (axes.length - 1);
  const y = (place: number) => HEIGHT - MARGIN.bottom - place * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const best = lines.reduce((most, line) =>
    (line.places.at(-1) ?? 0) > (most.places.at(-1) ?? 0) ? line : most,
  );
  return (
    <Card
      title="Settings against results"
      aside={
        <span className="note">
          one line a run; the best by {metricName(axes.at(-1)?.name ?? '')} is marked
        </span>
      }
    >
      <figure className="parallel">
        <svg
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          role="img"
          aria-label={`${lines.length} runs over ${axes.length} axes`}
        >
          {lines.map((line) => (
            <polyline
              key={line.runId}
              className={line === best ? 'run best' : 'run'}
              points={line.places.map((place, axis) => `${x(axis)},${y(place)}`).join(' ')}
            >
              <title>{`${line.runId.slice(0, 8)}: ${axes.map(({ name }, axis) => `${name} ${formatMetric(line.values[axis] ?? null)}`).join(', ')}`}</title>
            </polyline>
          ))}
          {axes.map((axis, index) => (
            <g key={axis.name}>
              <line className="axis" x1={x(index)} x2={x(index)} y1={y(0)} y2={y(1)} />
              <text x={x(index)} y={16} textAnchor="middle" className="name">
                {metricName(axis.name)}
              </text>
              <text x={x(index)} y={MARGIN.top - 6} textAnchor="middle">
                {formatMetric(axis.high)}
              </text>
              <text x={x(index)} y={HEIGHT - 8} textAnchor="middle">
                {formatMetric(axis.low)}
              </text>
            </g>
          ))}
        </svg>
      </figure>
    </Card>
  );
}
