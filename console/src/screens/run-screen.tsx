import { useMemo, useState } from 'react';
import { useAction, useRun, useRunCurve } from '../api/queries.ts';
import type { Run } from '../api/types.ts';
import { ActionButton } from '../components/action-button.tsx';
import { Age } from '../components/age.tsx';
import { RunBadge } from '../components/badge.tsx';
import { Card, Stat } from '../components/card.tsx';
import { ConfirmDialog } from '../components/confirm-dialog.tsx';
import { GateTable } from '../components/gate-table.tsx';
import { LazyChart } from '../components/lazy-chart.tsx';
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
      actions={run && <CancelButton run={run} />}
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
      {run.state === 'refused' && !run.gate && <Callout tone="warn">{run.message}</Callout>}
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
        <>
          <Callout tone={run.gate.passed ? 'good' : 'warn'}>{run.gate.message}</Callout>
          {(run.gate.checks ?? []).length > 0 && (
            <Card title="Gate" flush aside={<span className="note">on held-out examples</span>}>
              <GateTable gate={run.gate} />
            </Card>
          )}
        </>
      )}
      <LossCurve runId={run.runId} />
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

const CURVES = [
  ['loss', 'Training', 1],
  ['validation_loss', 'Validation', 3],
] as const;

function LossCurve({ runId }: { runId: string }) {
  const query = useRunCurve(runId);
  const curve = query.data;
  const at = useMemo(() => [...new Set(curve?.map(({ step }) => step))].sort((a, b) => a - b), [curve]);
  const series = useMemo(
    () =>
      CURVES.map(([name, label, color]) => {
        const values = new Map(
          curve?.filter((point) => point.name === name).map(({ step, value }) => [step, value]),
        );
        return { label, color, values: at.map((step) => values.get(step) ?? null), format: formatMetric };
      }),
    [curve, at],
  );
  if (at.length < 2) return null;
  return (
    <Card title="Loss" aside={<span className="note">by training step</span>}>
      <LazyChart label="Loss by step" at={at} series={series} plain />
    </Card>
  );
}

/** Ends a run that is at work; what it has learnt so far is dropped. */
function CancelButton({ run }: { run: Run }) {
  const [asked, setAsked] = useState(false);
  const cancel = useAction<object>(`/v1/runs/${run.runId}/cancel`);
  if (run.endedAt !== null) return null;
  return (
    <>
      <ActionButton onClick={() => setAsked(true)}>Cancel</ActionButton>
      {asked && (
        <ConfirmDialog
          title="Cancel this run?"
          action="Cancel the run"
          danger
          asksReason={false}
          onClose={() => setAsked(false)}
          onConfirm={() => cancel.mutateAsync({})}
        >
          What it has learnt so far is dropped; the live version stays.
        </ConfirmDialog>
      )}
    </>
  );
}
