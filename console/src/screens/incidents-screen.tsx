import { useState } from 'react';
import { Link } from 'wouter';
import { type Incident, useIncidents } from '../api/monitoring-queries.ts';
import { Age } from '../components/age.tsx';
import { Badge } from '../components/badge.tsx';
import { Card } from '../components/card.tsx';
import { IncidentActions, SEVERITY_TONES } from '../components/incident-actions.tsx';
import { Page } from '../components/page.tsx';
import { Segments } from '../components/segments.tsx';
import { Answer, Empty } from '../components/states.tsx';

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
  const { cost, evidence } = incident;
  return (
    <li className="incident">
      <div className="row spread">
        <span className="row">
          <Badge tone={SEVERITY_TONES[incident.severity]}>{incident.severity}</Badge>
          <Link href={`/incidents/${incident.id}`} className="strong">
            {incident.title}
          </Link>
        </span>
        <span className="tiny faint">
          {incident.model || 'the platform'} · opened <Age at={incident.openedAt} />
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
            ? `${cost.low > 0 ? 'Estimated cost' : 'No loss shown'}: ${cost.loss.toFixed(3)} ${cost.metric} (${cost.low.toFixed(3)} to ${cost.high.toFixed(3)}), ${cost.method}`
            : `Its cost is not known: ${cost.method}`}
        </p>
      )}
      {evidence.producer && (
        <p className="small soft">
          Began in field <span className="mono">{evidence.producer.field}</span> of{' '}
          {evidence.producer.topic.startsWith('caller ') ? 'the requests of' : 'topic'}{' '}
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
        <IncidentActions incident={incident} />
      </div>
    </li>
  );
}
