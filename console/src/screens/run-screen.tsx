import { useRun } from '../api/queries.ts';
import type { Run } from '../api/types.ts';
import { Age } from '../components/age.tsx';
import { RunBadge } from '../components/badge.tsx';
import { Card, Stat } from '../components/card.tsx';
import { Page } from '../components/page.tsx';
import { Answer, Callout } from '../components/states.tsx';
import { formatCount, formatMetric, formatMs, metricName } from '../number-format.ts';

export function RunScreen({ id }: { id: string }) {
  const query = useRun(id);
  const run = query.data;
  return (
    <Page
      title={`Run ${id.slice(0, 8)}`}
      badge={run && <RunBadge state={run.state} />}
      about={run?.reason}
      crumbs={
        run
          ? [
              [run.model, `/models/${run.model}`],
              ['Runs', `/models/${run.model}/runs`],
            ]
          : []
      }
    >
      <Answer query={query}>{(value) => <Details run={value} />}</Answer>
    </Page>
  );
}

function Details({ run }: { run: Run }) {
  const metrics = Object.entries(run.metrics);
  return (
    <>
      {run.state === 'failed' && <Callout tone="bad">{run.message}</Callout>}
      <Card flush>
        <div className="grid stats">
          <Stat label="Examples" value={run.examples > 0 ? formatCount(run.examples) : '–'} />
          <Stat
            label="From version"
            value={run.parentVersion ? `v${run.parentVersion}` : '–'}
            hint={run.version ? `became version ${run.version}` : 'no version registered'}
          />
          <Stat
            label={run.endedAt === null ? 'Progress' : 'Took'}
            value={
              run.endedAt === null
                ? `${Math.round(run.progress * 100)}%`
                : formatMs(run.endedAt - run.createdAt)
            }
            hint={<Age at={run.createdAt} />}
          />
          <Stat label="Gate" value={run.gate ? (run.gate.passed ? 'passed' : 'refused') : '–'} />
        </div>
      </Card>
      {run.gate && (
        <Card title="Gate">
          <div className="stack">
            <Callout tone={run.gate.passed ? 'good' : 'warn'}>{run.gate.message}</Callout>
          </div>
        </Card>
      )}
      {metrics.length > 0 && (
        <Card title="Metrics on held-out examples" flush>
          <div className="grid stats">
            {metrics.map(([name, value]) => (
              <Stat key={name} label={metricName(name)} value={formatMetric(value)} />
            ))}
          </div>
        </Card>
      )}
    </>
  );
}
