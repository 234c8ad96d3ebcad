import { useCallback, useEffect, useState } from 'react';
import { Link, useSearchParams } from 'wouter';
import type { CorrectionUpload } from '../api/correction-queries.ts';
import { post } from '../api/http.ts';
import { useModel, usePrediction, usePredictions } from '../api/queries.ts';
import type { ModelDetails, PredictionDetails, PredictionSummary } from '../api/types.ts';
import { ActionButton } from '../components/action-button.tsx';
import { Age } from '../components/age.tsx';
import { Card, TableFrame } from '../components/card.tsx';
import { ModelTabs, Page } from '../components/page.tsx';
import { Segments } from '../components/segments.tsx';
import { Answer, Callout, Empty, Loading } from '../components/states.tsx';
import { formatFeature, formatMetric } from '../number-format.ts';
import { useMay } from '../permissions.tsx';
import { CorrectionUploads } from './correction-uploads.tsx';

const ONLY = [
  ['uncertain', 'Uncertain'],
  ['disagreeing', 'Disagreeing'],
  ['suspected', 'Suspected labels'],
  ['flagged', 'Flagged'],
  ['all', 'Newest'],
] as const;

const KINDS: Readonly<Record<string, string>> = {
  uncertain: 'near the middle of the scores',
  disagreeing: 'answered otherwise than its outcome',
  suspected: 'suspected to have a wrong label',
  flagged: 'flagged: a feature missing, stale or out of its range, or an answer without the history',
};

export function CorrectionsScreen({ model }: { model: string }) {
  const [search, setSearch] = useSearchParams();
  const only = search.get('only') ?? 'all';
  const details = useModel(model);
  const query = usePredictions(model, { only, version: '', before: '' }, false);
  return (
    <Page title={model}>
      <ModelTabs model={model} />
      <div className="row spread">
        <Segments
          label="Which predictions"
          options={ONLY}
          value={only}
          onChange={(value) => setSearch({ only: value })}
        />
        <span className="tiny faint row">
          <Key text="J" /> next <Key text="K" /> previous <Key text="1" />…<Key text="9" /> label
        </span>
      </div>
      <Answer query={query} lines={8}>
        {(predictions) =>
          predictions.length === 0 ? (
            <Card>
              <Empty title="Nothing to label">
                No prediction of the last thirty days is {KINDS[only] ?? 'of this kind'}.
              </Empty>
            </Card>
          ) : details.data ? (
            <Labelling key={only} details={details.data} predictions={predictions} />
          ) : (
            <Loading />
          )
        }
      </Answer>
      <CorrectionUploads model={model} />
    </Page>
  );
}

function Key({ text }: { text: string }) {
  return <kbd className="kbd">{text}</kbd>;
}

interface Choice {
  readonly text: string;
  readonly value: string | number;
  /** The candidate that is said to be right. */
  readonly item?: string;
}

/** Classes are known at once; candidates come with the prediction. */
function choicesOf(
  { labelling }: ModelDetails,
  prediction: PredictionDetails | undefined,
): readonly Choice[] {
  if (labelling.task === 'binary')
    return labelling.labels.map((text, value) => ({ text, value })).toReversed();
  if (labelling.labels.length > 0)
    return labelling.labels.slice(0, 9).map((text, value) => ({ text, value }));
  if (prediction !== undefined && prediction.candidates.length > 0)
    return prediction.candidates.slice(0, 9).map((item) => ({ text: item, value: 1, item }));
  return [];
}

function Labelling({
  details,
  predictions,
}: {
  details: ModelDetails;
  predictions: readonly PredictionSummary[];
}) {
  const [place, setPlace] = useState(0);
  const [labels, setLabels] = useState<Readonly<Record<string, string>>>({});
  const [problem, setProblem] = useState('');
  const mayLabel = useMay('feedback');
  const chosen = predictions[Math.min(place, predictions.length - 1)];
  const id = chosen?.predictionId ?? '';
  const prediction = usePrediction(id);
  const count = Object.keys(labels).length;

  const say = useCallback(
    async (choice: Choice) => {
      setProblem('');
      try {
        const kept = await post<CorrectionUpload>(
          `/v1/models/${encodeURIComponent(details.model.name)}/corrections`,
          {
            predictionId: id,
            label: choice.value,
            ...(choice.item === undefined ? {} : { item: choice.item }),
          },
        );
        if (kept.accepted === 0) throw new Error(kept.problems[0]?.problem ?? 'it was refused');
        setLabels((before) => ({ ...before, [id]: choice.text }));
        setPlace((before) => Math.min(before + 1, predictions.length - 1));
      } catch (error) {
        setProblem(error instanceof Error ? error.message : String(error));
      }
    },
    [id, details.model.name, predictions.length],
  );

  // Read ahead, so that nobody waits between two labels.
  usePrediction(predictions[place + 1]?.predictionId ?? id);
  const choices = choicesOf(details, prediction.data);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (target.closest('input, textarea, select, dialog') || event.ctrlKey || event.metaKey || event.altKey)
        return;
      if (event.key === 'j') setPlace((before) => Math.min(before + 1, predictions.length - 1));
      else if (event.key === 'k') setPlace((before) => Math.max(before - 1, 0));
      else {
        const choice = choices[Number(event.key) - 1];
        if (choice && mayLabel) void say(choice);
      }
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [choices, say, mayLabel, predictions.length]);

  return (
    <div className="label-layout">
      <Card
        title="Predictions"
        flush
        aside={
          <span className="note" role="status">
            {count === 0 ? 'none labelled yet' : `${count} labelled`}
          </span>
        }
      >
        <List predictions={predictions} chosen={id} labels={labels} onChoose={setPlace} />
      </Card>
      <div className="label-panel">
        <Card title={choicesTitle(details)}>
          <div className="stack">
            <div className="row">
              {choices.map((choice, index) => (
                <ActionButton key={choice.text} needs="feedback" onClick={() => void say(choice)}>
                  <Key text={String(index + 1)} /> {choice.text}
                </ActionButton>
              ))}
              {choices.length === 0 && prediction.data && (
                <span className="small soft">Predictions of this task cannot be labelled with one key.</span>
              )}
            </div>
            {problem !== '' && <Callout tone="bad">{problem}</Callout>}
            <Answer query={prediction} lines={5}>
              {(value) => (
                <>
                  <Facts prediction={value} />
                  <Candidates prediction={value} />
                </>
              )}
            </Answer>
          </div>
        </Card>
      </div>
    </div>
  );
}

function choicesTitle({ labelling }: ModelDetails): string {
  return labelling.task === 'ranking' ? 'Which one was right?' : 'What would have been right?';
}

function Facts({ prediction }: { prediction: PredictionDetails }) {
  const features = prediction.rows.length === 1 ? (prediction.rows[0] ?? []) : [];
  return (
    <dl className="facts">
      <dt>said</dt>
      <dd>
        {prediction.label || (prediction.candidates.length > 0 ? 'a ranking' : 'score')}{' '}
        <span className="number">{formatMetric(prediction.score)}</span> by version {prediction.version}
      </dd>
      {features.map((feature) => (
        <Fact
          key={feature.name}
          name={feature.name}
          value={feature.category ?? feature.values.slice(0, 6).map(formatFeature).join(' ')}
        />
      ))}
      <dt>story</dt>
      <dd>
        <Link href={`/predictions/${prediction.predictionId}`} className="link mono">
          …{prediction.predictionId.slice(-12)}
        </Link>
      </dd>
    </dl>
  );
}

const SHOWN_CANDIDATES = 9;
const SHOWN_FEATURES = 4;

/** What tells the candidates of a ranking apart: the features that differ between them. */
function Candidates({ prediction: { candidates, rows } }: { prediction: PredictionDetails }) {
  if (candidates.length < 2 || rows.length < 2) return null;
  const textOf = (row: number, feature: number) => {
    const { category = null, values = [] } = rows[row]?.[feature] ?? {};
    return category ?? values.slice(0, 3).map(formatFeature).join(' ');
  };
  const differing = (rows[0] ?? [])
    .map((_, feature) => feature)
    .filter((feature) => rows.some((_, row) => textOf(row, feature) !== textOf(0, feature)))
    .slice(0, SHOWN_FEATURES);
  if (differing.length === 0) return null;
  return (
    <TableFrame label="Candidates">
      <thead>
        <tr>
          <th>Candidate</th>
          {differing.map((feature) => (
            <th key={feature} className="number">
              {rows[0]?.[feature]?.name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {candidates.slice(0, SHOWN_CANDIDATES).map((candidate, row) => (
          <tr key={candidate}>
            <td>{candidate}</td>
            {differing.map((feature) => (
              <td key={feature} className="number">
                {textOf(row, feature)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </TableFrame>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd className="number">{value}</dd>
    </>
  );
}

function List({
  predictions,
  chosen,
  labels,
  onChoose,
}: {
  predictions: readonly PredictionSummary[];
  chosen: string;
  labels: Readonly<Record<string, string>>;
  onChoose: (place: number) => void;
}) {
  return (
    <TableFrame label="Predictions to label">
      <thead>
        <tr>
          <th>Prediction</th>
          <th>Age</th>
          <th>For</th>
          <th className="number">Score</th>
          <th>Label</th>
        </tr>
      </thead>
      <tbody>
        {predictions.map((each, place) => (
          <tr
            key={each.predictionId}
            className={each.predictionId === chosen ? 'chosen' : ''}
            aria-current={each.predictionId === chosen ? 'true' : undefined}
          >
            <td>
              <button type="button" className="plain-button mono" onClick={() => onChoose(place)}>
                …{each.predictionId.slice(-8)}
              </button>
            </td>
            <td className="faint">
              <Age at={each.at} suffix="" />
            </td>
            <td className="soft clip">{Object.values(each.entities).join(', ') || '–'}</td>
            <td className="number">{formatMetric(each.score)}</td>
            <td className="label-cell">
              {labels[each.predictionId] ?? (
                <span className="faint">{each.outcome === null ? '–' : String(each.outcome)}</span>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </TableFrame>
  );
}
