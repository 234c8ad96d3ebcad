import { useState } from 'react';
import { Link } from 'wouter';
import { type Incident, useIncidentAction, useIncidents } from '../api/monitoring-queries.ts';
import { ActionButton } from '../components/action-button.tsx';
import { Age } from '../components/age.tsx';
import { Badge, type Tone } from '../components/badge.tsx';
import { Card } from '../components/card.tsx';
import { ConfirmDialog } from '../components/confirm-dialog.tsx';
import { Page } from '../components/page.tsx';
import { Segments } from '../components/segments.tsx';
import { Answer, Empty } from '../components/states.tsx';

const TONES: Readonly<Record<Incident['severity'], Tone>> = {
  info: 'info',
  warning: 'warn',
  critical: 'bad',
};
const SHOWN = [
  ['open', 'Open'],
  ['all', 'All'],
] as const;

export function IncidentsScreen() {
  const [shown, setShown] = useState('open');
  const query = useIncidents();
  return (
    <Page title="Incidents" about="What monitoring found, each with what it is estimated to cost.">
      <Card
        title={shown === 'open' ? 'Open' : 'All'}
        flush
        aside={<Segments label="Which incidents" options={SHOWN} value={shown} onChange={setShown} />}
      >
        <Answer query={query} lines={6}>
          {(incidents) => {
            const listed = incidents.filter(({ state }) => shown === 'all' || state !== 'closed');
            return listed.length === 0 ? (
              <Empty title={shown === 'open' ? 'Nothing is wrong' : 'There was no incident'} icon="check">
                Calls, features, predictions and quality are watched all the time.
              </Empty>
            ) : (
              <ul>
                {listed.map((incident) => (
                  <IncidentRow key={incident.id} incident={incident} />
                ))}
              </ul>
            );
          }}
        </Answer>
      </Card>
    </Page>
  );
}

function IncidentRow({ incident }: { incident: Incident }) {
  const [asked, setAsked] = useState<'acknowledge' | 'close' | null>(null);
  const act = useIncidentAction(incident.id);
  const { cost, evidence, state } = incident;
  return (
    <li className="incident">
      <div className="row spread">
        <span className="row">
          <Badge tone={TONES[incident.severity]}>{incident.severity}</Badge>
          <Link href={`/models/${incident.model}/features`} className="strong">
            {incident.title}
          </Link>
        </span>
        <span className="tiny faint">
          {incident.model} · opened <Age at={incident.openedAt} />
          {incident.closedAt !== null && (
            <>
              , closed <Age at={incident.closedAt} />
            </>
          )}
        </span>
      </div>
      {cost && (
        <p className="small soft">
          {cost.known
            ? `Estimated cost: ${cost.loss.toFixed(4)} of ${cost.metric} (${cost.method})`
            : `Its cost is not known: ${cost.method}`}
        </p>
      )}
      {evidence.producer && (
        <p className="small soft">
          Began in field <span className="mono">{evidence.producer.field}</span> of topic{' '}
          <span className="mono">{evidence.producer.topic}</span>
          {evidence.producer.firstOffset !== null &&
            `, partition ${evidence.producer.partition}, offset ${evidence.producer.firstOffset}`}
        </p>
      )}
      {evidence.action && <p className="small soft">Done: {evidence.action}</p>}
      <div className="row spread">
        <span className="row tiny">
          {(evidence.examples ?? []).slice(0, 3).map((id) => (
            <Link key={id} href={`/predictions/${id}`} className="link mono">
              …{id.slice(-12)}
            </Link>
          ))}
        </span>
        {state !== 'closed' && (
          <span className="actions">
            {state === 'open' && (
              <ActionButton className="button small" onClick={() => setAsked('acknowledge')}>
                Acknowledge
              </ActionButton>
            )}
            <ActionButton className="button small" onClick={() => setAsked('close')}>
              Close
            </ActionButton>
          </span>
        )}
      </div>
      {asked && (
        <ConfirmDialog
          title={asked === 'close' ? 'Close this incident?' : 'Acknowledge this incident?'}
          action={asked === 'close' ? 'Close' : 'Acknowledge'}
          onClose={() => setAsked(null)}
          onConfirm={(note) => act.mutateAsync({ action: asked, note })}
        >
          {incident.title}
        </ConfirmDialog>
      )}
    </li>
  );
}
