import { type FormEvent, useState } from 'react';
import { useLocation, useSearchParams } from 'wouter';
import { usePredictions } from '../api/queries.ts';
import type { PredictionSummary } from '../api/types.ts';
import { Badge } from '../components/badge.tsx';
import { Card, TableFrame } from '../components/card.tsx';
import { ModelTabs, Page } from '../components/page.tsx';
import { PredictionCells } from '../components/prediction-cells.tsx';
import { Segments } from '../components/segments.tsx';
import { Answer, Empty } from '../components/states.tsx';
import { formatMetric, formatMs } from '../number-format.ts';

const ONLY = [
  ['all', 'All'],
  ['uncertain', 'Uncertain'],
  ['degraded', 'Degraded'],
  ['failed', 'Failed'],
] as const;

export function PredictionsScreen({ model }: { model: string }) {
  const [search, setSearch] = useSearchParams();
  const only = search.get('only') ?? 'all';
  const [before, setBefore] = useState('');
  const query = usePredictions(model, { only, version: '', before });
  return (
    <Page title={model} actions={<FindPrediction />}>
      <ModelTabs model={model} />
      <Card
        title="Predictions"
        flush
        aside={
          <Segments
            label="Which predictions"
            options={ONLY}
            value={only}
            onChange={(value) => {
              setBefore('');
              setSearch(value === 'all' ? {} : { only: value });
            }}
          />
        }
      >
        <Answer query={query} lines={10}>
          {(predictions) =>
            predictions.length === 0 ? (
              <Empty title={only === 'all' ? 'No predictions are logged yet' : `No ${only} predictions`}>
                Predictions are listed here a moment after they are answered.
              </Empty>
            ) : (
              <>
                <Predictions predictions={predictions} />
                <div className="card-foot row spread">
                  <button
                    type="button"
                    className="button small"
                    disabled={before === ''}
                    onClick={() => setBefore('')}
                  >
                    Newest
                  </button>
                  <button
                    type="button"
                    className="button small"
                    disabled={predictions.length < 50}
                    onClick={() => setBefore(predictions.at(-1)?.predictionId ?? '')}
                  >
                    Older
                  </button>
                </div>
              </>
            )
          }
        </Answer>
      </Card>
    </Page>
  );
}

function FindPrediction() {
  const [id, setId] = useState('');
  const [, goTo] = useLocation();
  const find = (event: FormEvent) => {
    event.preventDefault();
    if (id.trim() !== '') goTo(`/predictions/${encodeURIComponent(id.trim())}`);
  };
  return (
    <search>
      <form className="row" onSubmit={find}>
        <input
          className="input find"
          aria-label="Prediction id"
          placeholder="Find by prediction id"
          value={id}
          onChange={(event) => setId(event.target.value)}
        />
      </form>
    </search>
  );
}

function Predictions({ predictions }: { predictions: readonly PredictionSummary[] }) {
  return (
    <TableFrame label="Predictions">
      <thead>
        <tr>
          <th>Prediction</th>
          <th>Age</th>
          <th>Version</th>
          <th>For</th>
          <th>Answer</th>
          <th className="number">Score</th>
          <th>Outcome</th>
          <th className="number">Took</th>
        </tr>
      </thead>
      <tbody>
        {predictions.map((each) => (
          <tr key={each.predictionId}>
            <PredictionCells predictionId={each.predictionId} at={each.at} />
            <td className="number-left">v{each.version}</td>
            <td className="soft clip">
              {Object.entries(each.entities)
                .map(([name, value]) => `${name} ${value}`)
                .join(', ') || '–'}
            </td>
            <td>
              {each.error ? (
                <Badge tone="bad">{each.error}</Badge>
              ) : each.degraded.length > 0 ? (
                <Badge tone="warn">degraded</Badge>
              ) : (
                <span className="strong">
                  {each.label || (each.candidates > 0 ? `${each.candidates} ranked` : '–')}
                </span>
              )}
            </td>
            <td className="number">{formatMetric(each.score)}</td>
            <td>{each.outcome === null ? <span className="faint">–</span> : String(each.outcome)}</td>
            <td className="number faint">{formatMs(each.durationMs)}</td>
          </tr>
        ))}
      </tbody>
    </TableFrame>
  );
}
