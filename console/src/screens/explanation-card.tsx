import { useState } from 'react';
import { useExplanation } from '../api/queries.ts';
import type { Explanation } from '../api/types.ts';
import { Card, TableFrame } from '../components/card.tsx';
import { Answer, Empty } from '../components/states.tsx';
import { formatFeature, formatMetric } from '../number-format.ts';

const METHODS: Readonly<Record<string, string>> = {
  integrated_gradients: 'integrated gradients',
  permutation: 'permutations of the features',
};

/** Why a prediction said what it said: worked out when somebody asks, in a process of its own. */
export function ExplanationCard({ id, candidates }: { id: string; candidates: readonly string[] }) {
  const [row, setRow] = useState<number | null>(null);
  return (
    <Card
      title="Why"
      flush={row !== null}
      aside={
        candidates.length > 1 &&
        row !== null && (
          <label className="row small">
            of
            <select
              className="input select"
              value={String(row)}
              onChange={(event) => setRow(Number(event.target.value))}
            >
              {candidates.slice(0, 20).map((candidate, index) => (
                <option key={candidate} value={String(index)}>
                  {candidate}
                </option>
              ))}
            </select>
          </label>
        )
      }
    >
      {row === null ? (
        <div className="row spread">
          <span className="small soft">Which features moved this score, and by how much.</span>
          <button type="button" className="button" onClick={() => setRow(0)}>
            Explain
          </button>
        </div>
      ) : (
        <Found id={id} row={row} />
      )}
    </Card>
  );
}

function Found({ id, row }: { id: string; row: number }) {
  const query = useExplanation(id, row);
  return (
    <Answer query={query} lines={6}>
      {(explanation) =>
        explanation.features.length === 0 ? (
          <Empty title="There is no feature to explain it by" />
        ) : (
          <Effects explanation={explanation} />
        )
      }
    </Answer>
  );
}

function Effects({ explanation }: { explanation: Explanation }) {
  const { features, score, reference, referenceIs, sum, gap, method } = explanation;
  const most = Math.max(...features.map(({ attribution }) => Math.abs(attribution)), 1e-12);
  return (
    <>
      <TableFrame label="Effects of the features">
        <thead>
          <tr>
            <th>Feature</th>
            <th className="number">Value</th>
            <th className="number">Moved the score by</th>
            <th className="effect-head">lowers · raises</th>
          </tr>
        </thead>
        <tbody>
          {features.map((feature) => (
            <tr key={feature.name}>
              <td className="strong">{feature.name}</td>
              <td className="number">
                {feature.category ?? feature.values.slice(0, 4).map(formatFeature).join(' ')}
              </td>
              <td className="number">{signed(feature.attribution)}</td>
              <td aria-hidden="true">
                <span className="effect">
                  <span
                    className={feature.attribution < 0 ? 'lowers' : 'raises'}
                    style={{ width: `${(50 * Math.abs(feature.attribution)) / most}%` }}
                  />
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </TableFrame>
      <p className="card-note small soft">
        Score {formatMetric(score)} against {formatMetric(reference)} for {referenceIs}; the effects add up to{' '}
        {signed(sum)}, off by {Math.abs(gap).toExponential(1)}. By {METHODS[method] ?? method}.
      </p>
    </>
  );
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(4)}`;
}
