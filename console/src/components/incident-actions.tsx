import { useState } from 'react';
import { type Incident, useIncidentAction } from '../api/monitoring-queries.ts';
import { ActionButton } from './action-button.tsx';
import type { Tone } from './badge.tsx';
import { ConfirmDialog } from './confirm-dialog.tsx';

export const SEVERITY_TONES: Readonly<Record<Incident['severity'], Tone>> = {
  info: 'info',
  warning: 'warn',
  critical: 'bad',
};

/** What can be done about an incident that is not closed. */
export function IncidentActions({ incident }: { incident: Incident }) {
  const [asked, setAsked] = useState<'acknowledge' | 'close' | null>(null);
  const act = useIncidentAction(incident.id);
  if (incident.state === 'closed') return null;
  return (
    <span className="actions">
      {incident.state === 'open' && (
        <ActionButton className="button small" onClick={() => setAsked('acknowledge')}>
          Acknowledge
        </ActionButton>
      )}
      <ActionButton className="button small" onClick={() => setAsked('close')}>
        Close
      </ActionButton>
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
    </span>
  );
}
