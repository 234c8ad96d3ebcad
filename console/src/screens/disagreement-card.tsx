import type { Disagreement } from '../api/types.ts';
import { Card, TableFrame } from '../components/card.tsx';
import { PredictionCells } from '../components/prediction-cells.tsx';
import { Empty } from '../components/states.tsx';
import { formatCount, formatMetric, formatShare } from '../number-format.ts';

/** Requests that both versions answered, one of them as a shadow: where they differ most. */
export function DisagreementCard({ disagreement }: { disagreement: Disagreement | null }) {
  if (disagreement === null)
    return (
      <Card title="Where they disagree">
        <Empty title="No request was answered by both">
          A rollout with a shadow step lets both answer the same requests.
        </Empty>
      </Card>
    );
  const { pairs, different, meanDifference, examples, shadow } = disagreement;
  return (
    <Card
      title="Where they disagree"
      flush
      aside={
        <span className="note">
          {formatCount(pairs)} requests; version {shadow} as a shadow; {formatShare(different / pairs, 1)} on
          the other side of 0.5; mean difference {formatMetric(meanDifference)}
        </span>
      }
    >
      <TableFrame label="Largest differences">
        <thead>
          <tr>
            <th>Prediction</th>
            <th>Age</th>
            <th className="number">Answered</th>
            <th className="number">Shadow</th>
            <th className="number">Difference</th>
          </tr>
        </thead>
        <tbody>
          {examples.map((each) => (
            <tr key={each.predictionId}>
              <PredictionCells predictionId={each.predictionId} at={each.at} />
              <td className="number">{formatMetric(each.answered)}</td>
              <td className="number">{formatMetric(each.shadow)}</td>
              <td className="number">{formatMetric(each.shadow - each.answered)}</td>
            </tr>
          ))}
        </tbody>
      </TableFrame>
    </Card>
  );
}
