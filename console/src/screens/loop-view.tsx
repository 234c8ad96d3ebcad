import type { ReactNode } from 'react';
import type { LedgerEntry, ModelDetails } from '../api/types.ts';
import { Age } from '../components/age.tsx';
import { Card } from '../components/card.tsx';
import { formatCount, formatMetric, formatRate, metricName } from '../number-format.ts';

/** Where the loop of a model stands: each step with its number and its age. */
export function LoopView({ details }: { details: ModelDetails }) {
  const { loop, traffic, model, history } = details;
  const run = loop?.latestRun ?? null;
  const lastAsked = traffic?.points.findLast(({ requests }) => requests > 0);
  const running = run !== null && run.endedAt === null;
  const change = history.find(({ action }) => action === 'promote' || action === 'rollback');
  const logged = loop?.predictionsLogged ?? 0;
  const outcomes = loop?.outcomes ?? 0;
  const rate = logged > 0 ? outcomes / logged : 0;
  return (
    <Card title="The loop" flush>
      <ol className="loop">
        <Step
          name="Predictions"
          tone={lastAsked ? 'good' : ''}
          value={loop ? formatCount(logged) : '…'}
          hint={lastAsked ? <Age at={lastAsked.at} /> : 'none in the last half hour'}
        />
        <Step
          name="Outcomes"
          tone={outcomes > 0 ? 'good' : ''}
          value={loop ? formatCount(outcomes) : '…'}
          hint={
            outcomes > 0
              ? rate <= 1
                ? `${formatRate(rate)} of predictions`
                : `${rate.toFixed(1)} for each prediction`
              : 'none yet'
          }
        />
        <Step
          name="Training run"
          tone={
            run === null
              ? ''
              : running
                ? 'busy'
                : run.state === 'failed'
                  ? 'bad'
                  : run.state === 'succeeded'
                    ? 'good'
                    : 'warn'
          }
          value={
            run === null
              ? '–'
              : running
                ? `${capital(run.state)} ${Math.round(run.progress * 100)}%`
                : capital(run.state)
          }
          hint={run === null ? 'not trained yet' : <Age at={run.endedAt ?? run.createdAt} />}
        />
        <Step
          name="Gate"
          tone={run?.gate ? (run.gate.passed ? 'good' : 'warn') : ''}
          value={run?.gate ? (run.gate.passed ? 'Passed' : 'Refused') : '–'}
          hint={
            run?.gate
              ? `${metricName(run.gate.metric)} ${formatMetric(run.gate.candidate)} against ${formatMetric(run.gate.live)}`
              : 'no candidate judged'
          }
        />
        <Step
          name="Live"
          tone={model.liveVersion > 0 ? 'good' : ''}
          value={model.liveVersion > 0 ? `v${model.liveVersion}` : 'none'}
          hint={change ? <Change entry={change} /> : 'never promoted'}
        />
      </ol>
    </Card>
  );
}

function Change({ entry }: { entry: LedgerEntry }) {
  return (
    <>
      {entry.action === 'rollback' ? 'rolled back' : 'promoted'} <Age at={entry.at} /> by {entry.actor}
    </>
  );
}

function Step({ name, tone, value, hint }: { name: string; tone: string; value: string; hint: ReactNode }) {
  return (
    <li className="loop-step">
      <span className="name">
        <span className={`dot ${tone}`} />
        {name}
      </span>
      <span className="value">{value}</span>
      <span className="hint">{hint}</span>
    </li>
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
