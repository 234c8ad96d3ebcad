import { useState } from 'react';
import { Link } from 'wouter';
import {
  type BatchRun,
  type Schedule,
  useBatchRuns,
  useCancelBatch,
  useScheduleChange,
  useSchedules,
} from '../api/batch-queries.ts';
import { ActionButton } from '../components/action-button.tsx';
import { Age, Until } from '../components/age.tsx';
import { Badge, type Tone } from '../components/badge.tsx';
import { Card, TableFrame } from '../components/card.tsx';
import { ConfirmDialog } from '../components/confirm-dialog.tsx';
import { Icon } from '../components/icon.tsx';
import { Page } from '../components/page.tsx';
import { Answer, Callout, Empty } from '../components/states.tsx';
import { formatCount, formatMs } from '../number-format.ts';
import { ScheduleDialog } from './schedule-dialog.tsx';

const CATCH_UP = {
  skip: 'missed times are skipped',
  one: 'one run for all missed times',
  all: 'every missed time is run',
} as const;

/** Batches on a schedule, and what they did. */
export function BatchScreen() {
  const [chosen, setChosen] = useState('');
  const [isNew, setNew] = useState(false);
  const schedules = useSchedules();
  return (
    <Page
      title="Batch"
      about="All rows of a file, a folder or a table, predicted at once: now and then, or on a schedule."
      actions={
        <ActionButton className="button primary" onClick={() => setNew(true)}>
          <Icon name="plus" size={14} /> New schedule
        </ActionButton>
      }
    >
      <Card title="Schedules" flush>
        <Answer query={schedules} lines={4}>
          {(known) =>
            known.length === 0 ? (
              <Empty title="Nothing is scheduled" icon="clock">
                A schedule predicts a source again and again; two of its runs never overlap.
              </Empty>
            ) : (
              <ul>
                {known.map((schedule) => (
                  <ScheduleRow
                    key={schedule.name}
                    schedule={schedule}
                    isChosen={schedule.name === chosen}
                    onChoose={() => setChosen(schedule.name === chosen ? '' : schedule.name)}
                  />
                ))}
              </ul>
            )
          }
        </Answer>
      </Card>
      <History schedule={chosen} onAll={() => setChosen('')} />
      {isNew && (
        <ScheduleDialog
          taken={(schedules.data ?? []).map(({ name }) => name)}
          onClose={() => setNew(false)}
        />
      )}
    </Page>
  );
}

type Asked = 'run' | 'pause' | 'resume' | 'remove';

const ASKS: Readonly<Record<Asked, { readonly text: string; readonly about: string }>> = {
  run: { text: 'Run now', about: 'One run begins now; the times of the schedule stay as they are.' },
  pause: {
    text: 'Pause',
    about: 'No further run begins until it is resumed. A run that is at work goes on.',
  },
  resume: { text: 'Resume', about: 'It runs at its next time. What passed while it was paused is not run.' },
  remove: { text: 'Remove', about: 'The schedule is removed; its runs and what they wrote stay.' },
};

function ScheduleRow({
  schedule: { name, spec, nextAt, lastAt },
  isChosen,
  onChoose,
}: {
  schedule: Schedule;
  isChosen: boolean;
  onChoose: () => void;
}) {
  const [asked, setAsked] = useState<Asked | null>(null);
  const runs = useBatchRuns(name);
  const change = useScheduleChange();
  const last = runs.data?.[0];
  const isRunning = last !== undefined && last.ended_at === null;
  const confirm = (what: Asked) =>
    change.mutateAsync(
      what === 'pause' || what === 'resume'
        ? { kind: 'put', name, spec: { ...spec, enabled: what === 'resume' } }
        : { kind: what, name },
    );
  return (
    <li className="incident">
      <div className="row spread">
        <span className="row">
          <button type="button" className="plain-button strong" aria-pressed={isChosen} onClick={onChoose}>
            {name}
          </button>
          {!spec.enabled && <Badge>paused</Badge>}
          {isRunning && (
            <Badge tone="info" busy>
              running
            </Badge>
          )}
          {last !== undefined && !isRunning && <Badge tone={toneOf(last)}>last run {last.state}</Badge>}
        </span>
        <span className="small">
          {nextAt === null ? (
            <span className="faint">no next run</span>
          ) : (
            <>
              next <Until at={nextAt} />
            </>
          )}
        </span>
      </div>
      <p className="small soft">
        <Link href={`/models/${spec.model}`} className="link in-text">
          {spec.model}
        </Link>{' '}
        ({spec.version}) · {spec.cron ? `${spec.cron} in ${spec.timezone}` : `every ${spec.every}`} ·{' '}
        {CATCH_UP[spec.catch_up]}
        {lastAt !== null && (
          <>
            {' '}
            · last due <Age at={lastAt} />
          </>
        )}
      </p>
      <p className="tiny faint mono break">
        {spec.source} → {spec.sink}
      </p>
      <div className="actions">
        <ActionButton
          className="button small"
          disabled={isRunning}
          title={isRunning ? 'Its last run is not over: runs of one schedule never overlap' : ''}
          onClick={() => setAsked('run')}
        >
          Run now
        </ActionButton>
        <ActionButton className="button small" onClick={() => setAsked(spec.enabled ? 'pause' : 'resume')}>
          {spec.enabled ? 'Pause' : 'Resume'}
        </ActionButton>
        <ActionButton className="button small" onClick={() => setAsked('remove')}>
          Remove
        </ActionButton>
      </div>
      {asked && (
        <ConfirmDialog
          title={`${ASKS[asked].text}: ${name}?`}
          action={ASKS[asked].text}
          danger={asked === 'remove'}
          asksReason={false}
          onClose={() => setAsked(null)}
          onConfirm={() => confirm(asked)}
        >
          {ASKS[asked].about}
        </ConfirmDialog>
      )}
    </li>
  );
}

function History({ schedule, onAll }: { schedule: string; onAll: () => void }) {
  const query = useBatchRuns(schedule);
  const cancel = useCancelBatch();
  return (
    <Card
      title={schedule === '' ? 'Runs' : `Runs of ${schedule}`}
      flush
      aside={
        schedule !== '' && (
          <button type="button" className="button small" onClick={onAll}>
            All runs
          </button>
        )
      }
    >
      {cancel.isError && (
        <div className="card-body">
          <Callout tone="bad">{cancel.error.message}</Callout>
        </div>
      )}
      <Answer query={query} lines={6}>
        {(runs) =>
          runs.length === 0 ? (
            <Empty title="No run yet" icon="play">
              A schedule starts them at its times; <span className="mono">hotloop batch run</span> starts one
              at once.
            </Empty>
          ) : (
            <TableFrame label="Batch runs">
              <thead>
                <tr>
                  <th>Started</th>
                  <th>State</th>
                  <th>Model</th>
                  <th className="number">Rows</th>
                  <th className="number">Refused</th>
                  <th className="number">Took</th>
                  <th>Written to</th>
                  <th>
                    <span className="visually-hidden">Actions</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {runs.map((run) => (
                  <RunRow key={run.run_id} run={run} onCancel={() => cancel.mutate(run.run_id)} />
                ))}
              </tbody>
            </TableFrame>
          )
        }
      </Answer>
    </Card>
  );
}

function RunRow({ run, onCancel }: { run: BatchRun; onCancel: () => void }) {
  const isOver = run.ended_at !== null;
  const startedAt = Date.parse(run.created_at);
  const done = run.accepted + run.refused;
  return (
    <tr>
      <td className="faint">
        <Age at={startedAt} />
      </td>
      <td>
        <Badge tone={toneOf(run)} busy={!isOver}>
          {run.state}
        </Badge>
        {!isOver && run.rows !== null && run.rows > 0 && (
          <span className="number faint"> {Math.floor((100 * done) / run.rows)}%</span>
        )}
        {run.state === 'failed' && <p className="tiny soft clip">{run.message}</p>}
      </td>
      <td>
        <Link href={`/models/${run.model}`} className="link">
          {run.model}
        </Link>{' '}
        <span className="faint">v{run.version}</span>
      </td>
      <td className="number">{run.rows === null ? '–' : formatCount(run.rows)}</td>
      <td className="number">{formatCount(run.refused)}</td>
      <td className="number">{isOver ? formatMs(Date.parse(run.ended_at ?? '') - startedAt) : '–'}</td>
      <td className="soft clip mono tiny" title={run.sink}>
        {run.sink}
      </td>
      <td className="number">
        {!isOver && (
          <ActionButton className="button small" onClick={onCancel}>
            Cancel
          </ActionButton>
        )}
      </td>
    </tr>
  );
}

function toneOf({ state }: BatchRun): Tone {
  if (state === 'done') return 'good';
  if (state === 'failed') return 'bad';
  return state === 'cancelled' ? 'neutral' : 'info';
}
