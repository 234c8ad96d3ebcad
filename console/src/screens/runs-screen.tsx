import { Link } from 'wouter';
import { useRuns } from '../api/queries.ts';
import type { Run } from '../api/types.ts';
import { Age } from '../components/age.tsx';
import { RunBadge } from '../components/badge.tsx';
import { Card, TableFrame } from '../components/card.tsx';
import { ModelTabs, Page } from '../components/page.tsx';
import { Answer, Empty } from '../components/states.tsx';
import { formatCount, formatMetric, formatMs, metricName } from '../number-format.ts';
import { ParallelCoordinates } from './parallel-coordinates.tsx';

export function RunsScreen({ model }: { model: string }) {
  const query = useRuns(model);
  return (
    <Page title={model}>
      <ModelTabs model={model} />
      {query.data && <ParallelCoordinates runs={query.data} />}
      <Card title="Training runs" flush>
        <Answer query={query} lines={8}>
          {(runs) =>
            runs.length === 0 ? (
              <Empty title="No training run yet" icon="play">
                A run starts when enough outcomes have arrived, on a schedule, or with Train on the loop's
                screen.
              </Empty>
            ) : (
              <RunTable runs={runs} />
            )
          }
        </Answer>
      </Card>
    </Page>
  );
}

function RunTable({ runs }: { runs: readonly Run[] }) {
  return (
    <TableFrame label="Training runs">
      <thead>
        <tr>
          <th>Run</th>
          <th>State</th>
          <th>Why</th>
          <th className="number">Examples</th>
          <th>Gate</th>
          <th>Version</th>
          <th className="number">Took</th>
          <th>Started</th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <tr key={run.runId}>
            <td>
              <Link href={`/runs/${run.runId}`} className="link mono">
                {run.runId.slice(0, 8)}
              </Link>
            </td>
            <td>
              <RunBadge state={run.state} />
              {run.endedAt === null && (
                <span className="number faint"> {Math.round(run.progress * 100)}%</span>
              )}
            </td>
            <td className="soft clip">{run.reason || '–'}</td>
            <td className="number">{run.examples > 0 ? formatCount(run.examples) : '–'}</td>
            <td className="number-left">
              {run.gate
                ? `${metricName(run.gate.metric)} ${formatMetric(run.gate.candidate)} / ${formatMetric(run.gate.live)}`
                : '–'}
            </td>
            <td>{run.version ? `v${run.version}` : '–'}</td>
            <td className="number">{run.endedAt === null ? '–' : formatMs(run.endedAt - run.createdAt)}</td>
            <td className="faint">
              <Age at={run.createdAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </TableFrame>
  );
}
