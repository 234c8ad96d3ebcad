import { Link } from 'wouter';
import { useOverview } from '../api/queries.ts';
import type { ModelOverview, Traffic, TrafficPoint } from '../api/types.ts';
import { Age } from '../components/age.tsx';
import { Badge, RunBadge } from '../components/badge.tsx';
import { Card, Stat } from '../components/card.tsx';
import { Icon } from '../components/icon.tsx';
import { Page } from '../components/page.tsx';
import { Sparkline } from '../components/sparkline.tsx';
import { Answer, Empty } from '../components/states.tsx';
import { formatCount, formatMs, formatRate, formatShare } from '../number-format.ts';

export function OverviewScreen() {
  const overview = useOverview();
  return (
    <Page
      title="Overview"
      about="Every model, its traffic over the last half hour, and where its loop stands."
    >
      <Answer query={overview} lines={8}>
        {(models) => (models.length === 0 ? <NoModels /> : <Models models={models} />)}
      </Answer>
    </Page>
  );
}

function NoModels() {
  return (
    <Card>
      <Empty
        title="No models yet"
        icon="loop"
        action={
          <Link href="/new" className="button primary">
            Upload a CSV or an ONNX file
          </Link>
        }
      >
        A first prediction takes a minute. From a terminal, <code>npx hotloop model push DIR --promote</code>{' '}
        does the same.
      </Empty>
    </Card>
  );
}

function Models({ models }: { models: readonly ModelOverview[] }) {
  const attention = models.flatMap(({ model, attention }) =>
    attention.map((each) => ({ ...each, model: model.name })),
  );
  const total = totals(models.flatMap(({ traffic }) => traffic ?? []));
  return (
    <>
      <Card flush>
        <div className="grid stats">
          <Stat label="Requests a second" value={total.perSecond} hint="last full minute" />
          <Stat label="Requests" value={formatCount(total.requests)} hint="last half hour" />
          <Stat label="Failed" value={total.errorShare} hint={`${formatCount(total.errors)} requests`} />
          <Stat label="p99 latency" value={formatMs(total.p99Ms)} hint="slowest model, in compute" />
        </div>
      </Card>
      {attention.length > 0 && (
        <Card title="Needs attention" flush>
          {attention.map((each) => (
            <Link key={each.model + each.text} href={each.link} className="attention">
              <span
                className={`dot ${each.level === 'critical' ? 'bad' : each.level === 'warning' ? 'warn' : ''}`}
              />
              <span className="where">{each.model}</span>
              <span className="text">{each.text}</span>
              <Icon name="arrow" size={14} />
            </Link>
          ))}
        </Card>
      )}
      <section aria-label="Models" className="model-list">
        {models.map((entry) => (
          <ModelCard key={entry.model.name} entry={entry} />
        ))}
      </section>
    </>
  );
}

function ModelCard({ entry }: { entry: ModelOverview }) {
  const { model, traffic, loop } = entry;
  const own = totals(traffic ? [traffic] : []);
  const run = loop?.latestRun;
  const labelRate = loop && loop.predictionsLogged > 0 ? loop.outcomes / loop.predictionsLogged : null;
  return (
    <article className="card model-card">
      <div className="head">
        <Link href={`/models/${model.name}`} className="strong">
          {model.name}
        </Link>
        <Badge tone={model.liveVersion > 0 ? 'good' : 'neutral'}>
          {model.liveVersion > 0 ? `v${model.liveVersion} live` : 'not live'}
        </Badge>
      </div>
      <div className="plot">
        <Sparkline values={traffic?.points.map(({ requests }) => requests) ?? []} />
      </div>
      <dl className="numbers">
        <div>
          <dt>Req/s</dt>
          <dd>{own.perSecond}</dd>
        </div>
        <div>
          <dt>p99</dt>
          <dd>{formatMs(own.p99Ms)}</dd>
        </div>
        <div>
          <dt>Failed</dt>
          <dd>{own.errorShare}</dd>
        </div>
        <div>
          <dt>Outcomes</dt>
          <dd title="outcomes for each prediction">{labelRate === null ? '–' : formatRate(labelRate)}</dd>
        </div>
      </dl>
      <div className="card-foot row spread tiny faint">
        <span>
          {model.task || 'no task'} · {model.versions} version{model.versions === 1 ? '' : 's'}
        </span>
        {run ? (
          <span className="row">
            <RunBadge state={run.state} /> <Age at={run.endedAt ?? run.createdAt} />
          </span>
        ) : (
          <span>no training run yet</span>
        )}
      </div>
    </article>
  );
}

interface Totals {
  readonly perSecond: string;
  readonly requests: number;
  readonly errors: number;
  readonly errorShare: string;
  readonly p99Ms: number | null;
}

/** Sums over models. */
function totals(series: readonly Traffic[]): Totals {
  let [requests, errors, last] = [0, 0, 0];
  let p99Ms: number | null = null;
  for (const { points } of series) {
    for (const point of points) {
      requests += point.requests;
      errors += point.errors;
    }
    last += rateOf(points);
    const slow = points.findLast((point) => point.p99Ms !== null)?.p99Ms ?? null;
    if (slow !== null) p99Ms = Math.max(p99Ms ?? 0, slow);
  }
  return {
    perSecond: last >= 10 || last === 0 ? formatCount(last) : last.toFixed(1),
    requests,
    errors,
    errorShare:
      requests === 0 ? '–' : formatShare(errors / requests, errors > 0 && errors / requests < 0.01 ? 2 : 1),
    p99Ms,
  };
}

/** Requests a second over the last full minute; over the minute that has just begun when it is the first. */
function rateOf(points: readonly TrafficPoint[]): number {
  const [before, now] = [points.at(-2), points.at(-1)];
  if (before && before.requests > 0) return before.requests / 60;
  return now ? now.requests / Math.max(1, Math.min(60, (Date.now() - now.at) / 1000)) : 0;
}
