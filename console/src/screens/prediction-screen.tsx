import { usePrediction } from '../api/queries.ts';
import type { FeatureValue, PredictionDetails, TraceStep } from '../api/types.ts';
import { Age } from '../components/age.tsx';
import { Badge, type Tone } from '../components/badge.tsx';
import { Card, Stat, TableFrame } from '../components/card.tsx';
import { Page } from '../components/page.tsx';
import { Answer, Callout, Empty } from '../components/states.tsx';
import { formatFeature, formatMetric } from '../number-format.ts';
import { ExplanationCard } from './explanation-card.tsx';

export function PredictionScreen({ id }: { id: string }) {
  const query = usePrediction(id);
  const model = query.data?.model;
  return (
    <Page
      title="Prediction"
      about={<span className="mono">{id}</span>}
      crumbs={
        model === undefined
          ? []
          : [
              [model, `/models/${model}`],
              ['Predictions', `/models/${model}/predictions`],
            ]
      }
    >
      <Answer query={query} lines={10}>
        {(value) => <Details details={value} />}
      </Answer>
    </Page>
  );
}

function Details({ details }: { details: PredictionDetails }) {
  const outcome = details.steps.findLast(({ kind }) => kind === 'outcome');
  return (
    <>
      {details.error && <Callout tone="bad">It failed: {details.error}</Callout>}
      {details.degraded.length > 0 && (
        <Callout tone="warn">
          Answered without {details.degraded.join(', ')}: declared defaults were used.
        </Callout>
      )}
      <Card flush>
        <div className="grid stats">
          <Stat
            label="Answer"
            value={details.label || (details.candidates.length > 0 ? 'ranking' : 'score')}
          />
          <Stat label="Score" value={formatMetric(details.score)} />
          <Stat label="Version" value={`v${details.version}`} hint={<Age at={details.at} />} />
          <Stat label="Outcome" value={outcome ? 'arrived' : 'none yet'} hint={outcome?.summary} />
        </div>
      </Card>
      <Card title="What happened" flush>
        <Timeline steps={details.steps} />
      </Card>
      {details.error === null && details.rows.length > 0 && (
        <ExplanationCard id={details.predictionId} candidates={details.candidates} />
      )}
      <Features details={details} />
    </>
  );
}

const KINDS: Readonly<Record<string, { readonly name: string; readonly tone: string }>> = {
  request: { name: 'Asked', tone: 'good' },
  output: { name: 'Model answered', tone: 'good' },
  decision: { name: 'Decided', tone: 'good' },
  outcome: { name: 'Outcome', tone: 'info' },
  dataset: { name: 'Joined a dataset', tone: '' },
  run: { name: 'Trained on', tone: '' },
  gate: { name: 'Candidate judged', tone: '' },
  promotion: { name: 'Went live', tone: 'good' },
};

function Timeline({ steps }: { steps: readonly TraceStep[] }) {
  const first = steps[0]?.at ?? 0;
  return (
    <ol className="timeline">
      {steps.map((step, index) => {
        const kind = KINDS[step.kind] ?? { name: step.kind, tone: '' };
        const facts = Object.entries(step.attributes);
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: the steps of a past prediction keep their order
          <li key={index} className="timeline-step">
            <span className="when">{index === 0 ? clock(step.at) : sinceStart(step.at - first)}</span>
            <span className="mark">
              <span className={`dot ${kind.tone}`} />
            </span>
            <div>
              <div className="what">
                {kind.name}
                <span className="service">{step.service}</span>
              </div>
              <div className="summary">{step.summary}</div>
              {facts.length > 0 && (
                <details>
                  <summary>Details</summary>
                  <dl className="facts">
                    {facts.map(([name, value]) => (
                      <Fact key={name} name={name} value={value} />
                    ))}
                  </dl>
                </details>
              )}
            </div>
          </li>
        );
      })}
    </ol>
  );
}

function Fact({ name, value }: { name: string; value: unknown }) {
  return (
    <>
      <dt>{name.replaceAll('_', ' ')}</dt>
      <dd className="mono">{typeof value === 'string' ? value : JSON.stringify(value)}</dd>
    </>
  );
}

function clock(at: number): string {
  return new Date(at).toLocaleTimeString('en', { hour12: false });
}

function sinceStart(ms: number): string {
  if (ms < 1000) return `+${ms} ms`;
  if (ms < 120_000) return `+${(ms / 1000).toFixed(1)} s`;
  return ms < 7_200_000 ? `+${Math.round(ms / 60_000)} min` : `+${Math.round(ms / 3_600_000)} h`;
}

const STATUS_TONES: Readonly<Record<string, Tone>> = {
  present: 'good',
  missing: 'warn',
  stale: 'warn',
  clipped: 'warn',
  defaulted: 'warn',
  out_of_range: 'bad',
  degraded: 'bad',
};

function Features({ details }: { details: PredictionDetails }) {
  const { rows, candidates } = details;
  if (rows.length === 0)
    return (
      <Card title="Features">
        <Empty title="No features were logged with this prediction">
          Tensor models log their input as it came; a model may also declare that features are not kept.
        </Empty>
      </Card>
    );
  return (
    <Card title="Features" flush aside={<span className="note">as they went into the model</span>}>
      <FeatureTable rows={rows} candidates={candidates} />
    </Card>
  );
}

/** One line for each feature, one column for each candidate. */
function FeatureTable({
  rows,
  candidates,
}: {
  rows: PredictionDetails['rows'];
  candidates: readonly string[];
}) {
  const features = rows[0] ?? [];
  return (
    <TableFrame label="Features">
      <thead>
        <tr>
          <th>Feature</th>
          {rows.map((_, row) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: rows of a past prediction keep their order
            <th key={row} className="number">
              {candidates[row] ?? 'Value'}
            </th>
          ))}
          <th>Status</th>
          <th>Comes from</th>
        </tr>
      </thead>
      <tbody>
        {features.map((feature, index) => {
          const across = rows.flatMap((row) => row[index] ?? []);
          const status = across.find((each) => each.status !== 'present')?.status ?? 'present';
          return (
            <tr key={feature.name}>
              <td>
                <span className="strong">{feature.name}</span>
              </td>
              {across.map((value, row) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: rows of a past prediction keep their order
                <td key={row} className="number">
                  {describe(value)}
                </td>
              ))}
              <td>
                <Badge tone={STATUS_TONES[status] ?? 'neutral'}>{status.replaceAll('_', ' ')}</Badge>
              </td>
              <td className="soft mono">{feature.from}</td>
            </tr>
          );
        })}
      </tbody>
    </TableFrame>
  );
}

function describe({ values, category }: FeatureValue): string {
  if (category !== null) return category;
  if (values.length === 0) return '–';
  const shown = values.slice(0, 6).map(formatFeature).join(' ');
  return values.length > 6 ? `${shown} … (${values.length})` : shown;
}
