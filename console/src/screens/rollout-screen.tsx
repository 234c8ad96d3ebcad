import { useMemo, useState } from 'react';
import { useRollout, useRolloutAction, useRollouts } from '../api/rollout-queries.ts';
import type { Arm, Rollout, RolloutChange } from '../api/rollout-types.ts';
import { ActionButton } from '../components/action-button.tsx';
import { Age } from '../components/age.tsx';
import { Badge, type Tone } from '../components/badge.tsx';
import { Card, Stat, TableFrame } from '../components/card.tsx';
import { ConfirmDialog } from '../components/confirm-dialog.tsx';
import { LazyChart } from '../components/lazy-chart.tsx';
import { ModelTabs, Page } from '../components/page.tsx';
import { Answer, Empty } from '../components/states.tsx';
import { formatCount, formatMetric, formatMs, formatShare } from '../number-format.ts';
import { verdictOf } from './rollout-verdict.ts';

export function RolloutScreen({ model }: { model: string }) {
  const query = useRollouts(model);
  const [chosen, setChosen] = useState('');
  return (
    <Page title={model}>
      <ModelTabs model={model} />
      <Answer query={query} lines={8}>
        {(rollouts) => {
          const current = rollouts.find(({ rolloutId }) => rolloutId === chosen) ?? rollouts[0];
          if (!current)
            return (
              <Card>
                <Empty title="Nothing was rolled out yet" icon="up">
                  A rollout begins when a candidate passes its gate, or when somebody promotes a version.
                </Empty>
              </Card>
            );
          return (
            <>
              <RolloutView key={current.rolloutId} rolloutId={current.rolloutId} />
              <History rollouts={rollouts} current={current.rolloutId} onChoose={setChosen} />
            </>
          );
        }}
      </Answer>
    </Page>
  );
}

function RolloutView({ rolloutId }: { rolloutId: string }) {
  const query = useRollout(rolloutId);
  return (
    <Answer query={query} lines={6}>
      {({ rollout, changes }) => (
        <>
          <VerdictCard rollout={rollout} />
          <Evidence rollout={rollout} changes={changes} />
          <Changes changes={changes} />
        </>
      )}
    </Answer>
  );
}

interface Act {
  readonly action: string;
  readonly text: string;
  readonly danger?: boolean;
  readonly about: string;
}

const ACTS: Readonly<Record<string, Act>> = {
  approve: { action: 'approve', text: 'Approve', about: 'It goes on once enough people have approved.' },
  advance: {
    action: 'advance',
    text: 'Promote to the next step',
    about: 'The next step begins now, whatever the evidence.',
  },
  hold: { action: 'hold', text: 'Hold', about: 'The share stays as it is until somebody resumes it.' },
  resume: { action: 'resume', text: 'Resume', about: 'It goes on from where it was held.' },
  abort: {
    action: 'abort',
    text: 'Abort',
    danger: true,
    about: 'The version gets no more traffic; what was live answers all requests.',
  },
  rollback: {
    action: 'rollback',
    text: 'Roll back',
    danger: true,
    about: 'What was live before answers all requests again, within a second.',
  },
};

function actsOf({ state, ended, approvalsNeeded, approvals }: Rollout): readonly string[] {
  if (ended) return [];
  if (state === 'approval' || approvals.length < approvalsNeeded) return ['approve', 'abort'];
  if (state === 'held') return ['resume', 'rollback'];
  if (state === 'shadow' || state === 'canary' || state === 'measuring')
    return ['advance', 'hold', 'rollback'];
  return state === 'live' ? ['rollback'] : ['abort'];
}

function VerdictCard({ rollout }: { rollout: Rollout }) {
  const [asked, setAsked] = useState<Act | null>(null);
  const act = useRolloutAction(rollout.rolloutId);
  const verdict = verdictOf(rollout);
  const what = rollout.action === 'rollback' ? 'Back to version' : 'Version';
  return (
    <section className={`card verdict ${verdict.tone}`} aria-label="Verdict">
      <div className="verdict-head">
        <div>
          <span className="eyebrow">
            {what} {rollout.version}
            {rollout.fromVersion ? ` instead of ${rollout.fromVersion}` : ''} ·{' '}
            {rollout.mode.replaceAll('_', ' ')}
          </span>
          <h2>{verdict.title}</h2>
          <p className="soft small">{verdict.text}</p>
        </div>
        <div className="actions">
          {actsOf(rollout).map((name) => {
            const each = ACTS[name];
            return (
              each && (
                <ActionButton
                  key={name}
                  className={`button ${each.danger ? 'danger' : name === 'advance' || name === 'approve' ? 'primary' : ''}`}
                  onClick={() => setAsked(each)}
                >
                  {each.text}
                </ActionButton>
              )
            );
          })}
        </div>
      </div>
      <Steps rollout={rollout} />
      {asked && (
        <ConfirmDialog
          title={`${asked.text}?`}
          action={asked.text}
          danger={asked.danger ?? false}
          onClose={() => setAsked(null)}
          onConfirm={(reason) => act.mutateAsync({ action: asked.action, reason })}
        >
          {asked.about}
        </ConfirmDialog>
      )}
    </section>
  );
}

function Steps({ rollout }: { rollout: Rollout }) {
  const { mode, steps, step, state, sharePercent } = rollout;
  if (mode !== 'canary' || steps.length < 2) return null;
  const done = state === 'live' || state === 'settled';
  return (
    <ol className="steps" aria-label="Steps">
      {steps.map((share, index) => (
        <li
          key={share}
          className={done || index < step ? 'step done' : index === step ? 'step now' : 'step'}
          aria-current={index === step && !done ? 'step' : undefined}
        >
          <span className="number">{share === 0 ? 'shadow' : `${share}%`}</span>
          {index === step && !done && sharePercent !== share && ` (${sharePercent.toFixed(0)}% now)`}
        </li>
      ))}
    </ol>
  );
}

function Evidence({ rollout, changes }: { rollout: Rollout; changes: readonly RolloutChange[] }) {
  const { traffic, quality, outcomesPerDay } = rollout.evidence;
  const history = useMemo(
    () => changes.filter(({ evidence }) => (evidence.quality?.comparison.candidate.outcomes ?? 0) > 0),
    [changes],
  );
  const at = useMemo(() => history.map((change) => Date.parse(change.at)), [history]);
  const series = useMemo(
    () => [
      {
        label: `Version ${rollout.version}`,
        values: history.map(({ evidence }) => evidence.quality?.comparison.candidate.mean ?? null),
        format: formatMetric,
        color: 2 as const,
      },
      {
        label: 'Live',
        values: history.map(({ evidence }) => evidence.quality?.comparison.live.mean ?? null),
        format: formatMetric,
        color: 1 as const,
      },
    ],
    [history, rollout.version],
  );
  if (!traffic && !quality)
    return (
      <Card title="Evidence">
        <Empty title="No evidence yet" icon="clock">
          It is gathered while the version answers requests beside what is live.
        </Empty>
      </Card>
    );
  return (
    <Card title="Evidence since the step began" flush>
      <div className="grid stats">
        {traffic && (
          <>
            <Stat label="Answers" value={formatCount(traffic.requests)} />
            <Stat
              label="Failed"
              value={traffic.requests > 0 ? formatShare(traffic.errors / traffic.requests, 2) : '–'}
              hint={`${traffic.nonfinite} not finite`}
            />
            <Stat label="p99 latency" value={formatMs(traffic.p99Ms)} />
            <Stat
              label="Drift of scores"
              value={traffic.drift === null ? '–' : traffic.drift.toFixed(3)}
              hint="PSI against live"
            />
          </>
        )}
      </div>
      {quality && (
        <div className="grid stats divided">
          <Stat
            label={`Version ${rollout.version}`}
            value={meanOf(quality.comparison.candidate)}
            hint={`${formatCount(quality.comparison.candidate.outcomes)} outcomes`}
          />
          <Stat
            label="Live"
            value={meanOf(quality.comparison.live)}
            hint={`${formatCount(quality.comparison.live.outcomes)} outcomes`}
          />
          <Stat
            label="Difference"
            value={Number.isFinite(quality.comparison.lower) ? signed(quality.comparison.difference) : '–'}
            hint={
              Number.isFinite(quality.comparison.lower)
                ? `${signed(quality.comparison.lower)} to ${signed(quality.comparison.upper)}, at any time`
                : 'too few outcomes to bound it'
            }
          />
          <Stat
            label="Outcomes a day"
            value={outcomesPerDay === undefined ? '–' : formatCount(outcomesPerDay)}
            hint="at the present rate"
          />
        </div>
      )}
      {at.length > 1 && (
        <div className="card-body">
          <LazyChart label="Quality of the version and of what is live, by change" at={at} series={series} />
        </div>
      )}
    </Card>
  );
}

/** Nothing is known of the mean of no outcomes. */
function meanOf({ mean, outcomes }: Arm): string {
  return outcomes === 0 ? '–' : formatMetric(mean);
}

function signed(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  return `${value >= 0 ? '+' : '−'}${Math.abs(value).toFixed(4)}`;
}

function Changes({ changes }: { changes: readonly RolloutChange[] }) {
  const newest = withoutOldProgress(changes.toReversed()).slice(0, 30);
  return (
    <Card title="What happened" flush>
      <ol className="timeline">
        {newest.map((change) => (
          <li key={change.sequence} className="timeline-step">
            <span className="when">
              <Age at={Date.parse(change.at)} suffix="" />
            </span>
            <span className="mark">
              <span className={`dot ${toneOf(change.state)}`} />
            </span>
            <div>
              <div className="what">
                {change.event.replaceAll('_', ' ')}
                {change.actor !== '' && <span className="service">{change.actor}</span>}
              </div>
              <div className="summary">
                {change.message}
                {change.reason !== '' && change.reason !== change.message && ` – ${change.reason}`}
              </div>
            </div>
          </li>
        ))}
      </ol>
    </Card>
  );
}

/** A long wait says every minute how it stands; what it said before is no news. */
function withoutOldProgress(newestFirst: readonly RolloutChange[]): readonly RolloutChange[] {
  return newestFirst.filter(
    ({ event }, index) => event !== 'progress' || newestFirst[index - 1]?.event !== 'progress',
  );
}

const STATE_TONES: Readonly<Record<string, Tone>> = {
  live: 'good',
  settled: 'good',
  rolled_back: 'bad',
  reverting: 'bad',
  failed: 'bad',
  aborted: 'warn',
  held: 'warn',
};

function toneOf(state: string): string {
  return STATE_TONES[state] ?? 'info';
}

function History({
  rollouts,
  current,
  onChoose,
}: {
  rollouts: readonly Rollout[];
  current: string;
  onChoose: (rolloutId: string) => void;
}) {
  return (
    <Card title="Rollouts" flush aside={<span className="note">newest first</span>}>
      <TableFrame label="Rollouts">
        <thead>
          <tr>
            <th>What</th>
            <th>State</th>
            <th>Who</th>
            <th>Reason or result</th>
            <th>Began</th>
            <th>
              <span className="visually-hidden">Show</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rollouts.map((rollout) => (
            <tr key={rollout.rolloutId}>
              <td>
                <span className="strong">
                  {rollout.action === 'rollback' ? 'back to ' : ''}v{rollout.version}
                </span>{' '}
                <span className="faint">{rollout.mode.replaceAll('_', ' ')}</span>
              </td>
              <td>
                <Badge tone={STATE_TONES[rollout.state] ?? 'info'} busy={!rollout.ended}>
                  {rollout.state.replaceAll('_', ' ')}
                </Badge>
              </td>
              <td>{rollout.actor}</td>
              <td className="soft clip">{rollout.reason || rollout.message}</td>
              <td className="faint">
                <Age at={Date.parse(rollout.createdAt)} />
              </td>
              <td>
                <button
                  type="button"
                  className="button small"
                  disabled={rollout.rolloutId === current}
                  onClick={() => onChoose(rollout.rolloutId)}
                >
                  Show<span className="visually-hidden"> the rollout of version {rollout.version}</span>
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </TableFrame>
    </Card>
  );
}
