import { useState } from 'react';
import { Link } from 'wouter';
import { type Incident, type IncidentSignal, useIncident } from '../api/monitoring-queries.ts';
import { Age } from '../components/age.tsx';
import { Badge } from '../components/badge.tsx';
import { Card, Stat } from '../components/card.tsx';
import { IncidentActions, SEVERITY_TONES } from '../components/incident-actions.tsx';
import { Page } from '../components/page.tsx';
import { Answer, Empty } from '../components/states.tsx';
import { formatCount } from '../number-format.ts';

/** One incident: what it is, what it costs, what caused it, and what shows it. */
export function IncidentScreen({ id }: { id: string }) {
  const query = useIncident(id);
  const incident = query.data;
  return (
    <Page
      title={incident === undefined ? 'Incident' : `Incident of ${incident.model || 'the platform'}`}
      badge={incident && <Badge tone={SEVERITY_TONES[incident.severity]}>{incident.severity}</Badge>}
      about={incident?.title}
      crumbs={[['Incidents', '/incidents']]}
      actions={incident && <IncidentActions incident={incident} />}
    >
      <Answer query={query} lines={10}>
        {(value) => <Details incident={value} />}
      </Answer>
    </Page>
  );
}

function Details({ incident }: { incident: Incident }) {
  const { cost, evidence, signals } = incident;
  const { examples = [], versions = [], producer, action } = evidence;
  return (
    <>
      <Card flush>
        <div className="grid stats">
          <Stat label="State" value={stateOf(incident)} hint={incident.note || undefined} />
          <Stat
            label="Estimated cost"
            value={
              cost?.known
                ? cost.low > 0
                  ? `${cost.loss.toFixed(3)} ${cost.metric}`
                  : 'no loss shown'
                : 'not known'
            }
            hint={
              cost?.known
                ? `95 % interval of ${cost.metric} ${cost.low.toFixed(3)} to ${cost.high.toFixed(3)}`
                : (cost?.method ?? 'it was not estimated')
            }
          />
          <Stat
            label="Began"
            value={<Age at={incident.beganAt ?? incident.openedAt} />}
            hint={`${moment(incident.beganAt ?? incident.openedAt)}, noticed ${moment(incident.openedAt)}`}
          />
          <Stat
            label={incident.closedAt === null ? 'Changed' : 'Closed'}
            value={<Age at={incident.closedAt ?? incident.updatedAt} />}
            hint={moment(incident.closedAt ?? incident.updatedAt)}
          />
        </div>
      </Card>
      <Card title="Cause">
        <p className="mono small">{causeText(incident.cause)}</p>
        {producer && (
          <p className="small soft">
            Began in field <span className="mono">{producer.field}</span> of{' '}
            {producer.topic.startsWith('caller ') ? (
              `the requests of ${producer.topic}`
            ) : (
              <>
                topic <span className="mono">{producer.topic}</span>
              </>
            )}
            {producer.firstOffset !== null &&
              `, partition ${producer.partition}, offset ${producer.firstOffset}`}
            , {moment(producer.firstAt)}
          </p>
        )}
        {cost?.known && <p className="small soft">The cost: {cost.method}.</p>}
        {action && <p className="small soft">Done: {action}</p>}
      </Card>
      {incident.toDo && incident.closedAt === null && (
        <Card title="What to do">
          <p className="small">{incident.toDo.text}</p>
          <p className="small soft">
            More in <span className="mono">{incident.toDo.runbook}</span>
          </p>
        </Card>
      )}
      <Card title="What shows it" flush>
        {signals.length === 0 ? (
          <Empty title="No signals are kept">The incident was over when it was noticed.</Empty>
        ) : (
          <SignalList signals={signals} />
        )}
      </Card>
      <Card title="Example predictions">
        {examples.length === 0 ? (
          <p className="small soft">None were logged while it lasted.</p>
        ) : (
          <ul>
            {examples.map((id) => (
              <li key={id}>
                <Link href={`/predictions/${id}`} className="link mono small">
                  {id}
                </Link>
              </li>
            ))}
          </ul>
        )}
        {incident.model !== '' && (
          <p className="small soft">
            {versions.length > 0 && `Of version ${versions.join(', ')}. `}
            <Link href={`/models/${incident.model}/features`} className="link">
              Features of {incident.model}
            </Link>
          </p>
        )}
      </Card>
    </>
  );
}

const FIRST_SIGNALS = 12;

function SignalList({ signals }: { signals: readonly IncidentSignal[] }) {
  const [all, setAll] = useState(false);
  return (
    <ul>
      {signals.slice(0, all ? signals.length : FIRST_SIGNALS).map((signal) => (
        <li key={`${signal.kind} ${signal.feature} ${signal.slice} ${signal.message}`} className="incident">
          <div className="row">
            <Badge tone={SEVERITY_TONES[signal.severity]}>{signal.kind.replaceAll('_', ' ')}</Badge>
            <span className="tiny faint">{sizeText(signal)}</span>
          </div>
          <p className="small">{signal.message}</p>
        </li>
      ))}
      {signals.length > FIRST_SIGNALS && !all && (
        <li className="incident">
          <button type="button" className="button small" onClick={() => setAll(true)}>
            {signals.length - FIRST_SIGNALS} more
          </button>
        </li>
      )}
    </ul>
  );
}

/** Such as `0.284 share (0.23 to 0.34), 211 rows, chance < 0.001`. */
function sizeText({ effect, low, high, unit, n, p }: IncidentSignal): string {
  const interval = low === high ? '' : ` (${short(low)} to ${short(high)})`;
  const rows = n === 0 ? '' : `, ${formatCount(n)} ${unit === 'share of messages' ? 'messages' : 'rows'}`;
  return `${short(effect)} ${unit}${interval}${rows}${p === null ? '' : `, chance ${chance(p)}`}`;
}

const short = (value: number): string => String(Number(value.toPrecision(3)));
const chance = (p: number): string => (p < 0.001 ? '< 0.001' : p.toFixed(3));
const moment = (at: number): string => `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

/** `feature:visits`, `source:history.user.view`, `model:traffic`, `slice:country = IT`. */
function causeText(cause: string): string {
  const [kind = '', ...rest] = cause.split(':');
  const what = rest.join(':');
  if (kind === 'feature') return `feature ${what}`;
  if (kind === 'source') return `several features from ${what}`;
  if (kind === 'slice') return `rows where ${what}`;
  return kind === 'model' ? what : cause;
}

function stateOf({ state, acknowledgedBy }: Incident): string {
  return state === 'acknowledged' && acknowledgedBy !== null && acknowledgedBy !== ''
    ? `acknowledged by ${acknowledgedBy}`
    : state;
}
