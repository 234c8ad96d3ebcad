import { createHash } from 'node:crypto';
import { addressesOf } from '@hotloop/model/manifest/monitor-problems.ts';
import type { Receiver } from '@hotloop/model/manifest/monitor-schema.ts';
import { type Cost, costs, type Evidence, type Incident, leadingSignal } from '../incidents/incident.ts';
import { ADVICE } from '../signals/advice.ts';
import type { Delivery } from './delivery-store.ts';

/** The receiver's name in the outbox, such as `webhook:slack:https://…`; `readReceiver` reads it. */
export function receiverName(receiver: Receiver): string {
  const { webhook, email } = addressesOf(receiver);
  if (email !== undefined) return `email:${email}`;
  const secret =
    typeof receiver !== 'string' && 'secret_env' in receiver && receiver.secret_env !== undefined
      ? `+${receiver.secret_env}`
      : '';
  const isSlack =
    typeof receiver === 'string'
      ? webhook !== undefined && URL.canParse(webhook) && new URL(webhook).hostname === 'hooks.slack.com'
      : 'format' in receiver && receiver.format === 'slack';
  return `webhook:${isSlack ? 'slack' : 'alertmanager'}${secret}:${webhook}`;
}

/** What a receiver's name in the outbox says; `secretEnv` is the variable with the secret that signs messages to it. */
export function readReceiver(
  name: string,
):
  | { readonly email: string }
  | { readonly webhook: string; readonly format: string; readonly secretEnv: string | null } {
  const parts = /^webhook:(slack|alertmanager)(?:\+([A-Z0-9_]+))?:(.*)$/s.exec(name);
  if (!parts) return { email: name.replace(/^email:/, '') };
  return { webhook: parts[3]!, format: parts[1]!, secretEnv: parts[2] ?? null };
}

/** One delivery of a transition to each receiver. */
export function deliveriesOf(
  incident: Incident,
  receivers: readonly Receiver[],
): Omit<Delivery, 'attempts'>[] {
  return [...new Set(receivers.map(receiverName))].map((receiver) => ({
    incident: incident.id,
    transition: incident.transition,
    receiver,
    body: bodyFor(receiver, incident),
  }));
}

function bodyFor(receiver: string, incident: Incident): unknown {
  const to = readReceiver(receiver);
  if ('email' in to) return { subject: subjectOf(incident), text: textOf(incident) };
  if (to.format === 'slack') return { text: textOf(incident) };
  return alertmanagerBody(`webhook:${to.webhook}`, incident);
}

/** A body with the address of the incident's page in the console, where that is known. */
export function withLink(receiver: string, body: unknown, link: string | undefined): unknown {
  if (link === undefined) return body;
  const to = readReceiver(receiver);
  if ('email' in to || to.format === 'slack') {
    const { text, ...others } = body as { text: string };
    return { ...others, text: `${text}\n${link}` };
  }
  const alerts = (body as { alerts: readonly object[] }).alerts;
  return {
    ...(body as object),
    externalURL: new URL('/', link).href,
    alerts: alerts.map((alert) => ({ ...alert, generatorURL: link })),
  };
}

/** The body of Alertmanager's webhook, version 4. */
function alertmanagerBody(receiver: string, incident: Incident): unknown {
  const isOver = incident.closedAt !== null;
  const labels = {
    alertname: `hotloop_${leadingSignal(incident.signals)?.kind ?? 'incident'}`,
    model: incident.model,
    cause: incident.cause,
    severity: incident.severity,
    incident: incident.id,
  };
  const annotations = {
    summary: incident.title,
    description: textOf(incident),
    cost: costText(incident.cost),
    began_at: new Date(beganAt(incident)).toISOString(),
    to_do: adviceOn(incident).text,
    runbook: adviceOn(incident).runbook,
    ...producerAnnotations(incident.evidence),
  };
  const status = isOver ? 'resolved' : 'firing';
  return {
    version: '4',
    groupKey: `{}:{incident="${incident.id}"}`,
    truncatedAlerts: 0,
    status,
    receiver,
    groupLabels: { incident: incident.id },
    commonLabels: labels,
    commonAnnotations: annotations,
    externalURL: '',
    alerts: [
      {
        status,
        labels,
        annotations,
        startsAt: new Date(beganAt(incident)).toISOString(),
        endsAt: isOver ? new Date(incident.closedAt!).toISOString() : '0001-01-01T00:00:00Z',
        generatorURL: '',
        // Severity and kind may change while it lasts; it is one alert all the same.
        fingerprint: createHash('sha256').update(incident.id).digest('hex').slice(0, 16),
      },
    ],
  };
}

function producerAnnotations({ producer }: Evidence): Record<string, string> {
  if (!producer) return {};
  const { topic, field, partition, firstOffset, firstAt } = producer;
  return {
    ...{ topic, field, first_at: new Date(firstAt).toISOString() },
    ...(firstOffset === null ? {} : { partition: String(partition), first_offset: firstOffset }),
  };
}

function subjectOf(incident: Incident): string {
  const state = incident.closedAt === null ? incident.severity : 'over';
  const escalated = isEscalated(incident) ? ', escalated' : '';
  return `[hotloop ${state}${escalated}] ${incident.model || 'the platform'}: ${incident.title}`
    .slice(0, 200)
    .replace(/[\r\n]+/g, ' ');
}

const isEscalated = ({ escalatedAt, state }: Incident): boolean => escalatedAt !== null && state === 'open';

export function costText(cost: Cost | null): string {
  if (!cost) return 'not estimated';
  if (!cost.known) return `not known: ${cost.method}`;
  const digits = (value: number) => value.toFixed(3);
  const interval = `${digits(cost.loss)} ${cost.metric} (${digits(cost.low)} to ${digits(cost.high)}), ${cost.method}`;
  return costs({ cost }) ? interval : `no loss shown: ${interval}`;
}

/** When it began as far as the evidence shows, else when it was noticed; milliseconds since 1970. */
export const beganAt = ({ evidence, openedAt }: Pick<Incident, 'evidence' | 'openedAt'>): number =>
  Math.min(openedAt, evidence.beganAt ?? evidence.producer?.firstAt ?? openedAt);

/** What to do about an incident, and the section of the documentation that says more. */
export function adviceOn({ signals }: Pick<Incident, 'signals'>): {
  readonly text: string;
  readonly runbook: string;
} {
  const kind = leadingSignal(signals)?.kind;
  // Of the platform's own incidents there is one: its monitor was away.
  return kind === undefined
    ? {
        text: 'See why no retrainer was running; what was logged meanwhile has been read.',
        runbook: 'docs/runbooks.md#hotloopmonitorsilent',
      }
    : { text: ADVICE[kind], runbook: `docs/runbooks.md#${kind}` };
}

const timeText = (at: number): string => `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

export function textOf(incident: Incident): string {
  const lines = [
    `${incident.model || 'the platform'}: ${incident.title}`,
    `state ${incident.state}, severity ${incident.severity}, estimated cost ${costText(incident.cost)}`,
    `began ${timeText(beganAt(incident))}, noticed ${timeText(incident.openedAt)}${incident.closedAt === null ? '' : `, over ${timeText(incident.closedAt)}`}`,
    ...incident.signals.slice(0, 12).map((signal) => `- ${signal.kind}: ${signal.message}`),
  ];
  if (isEscalated(incident))
    lines.push(`escalated: not acknowledged since it opened at ${new Date(incident.openedAt).toISOString()}`);
  const { examples, producer, action } = incident.evidence;
  if (producer)
    lines.push(
      `first seen ${producer.topic.startsWith('caller ') ? `in requests of ${producer.topic}` : `on topic ${producer.topic}`}, field ${producer.field}, ${producer.firstOffset === null ? `at ${new Date(producer.firstAt).toISOString()}` : `partition ${producer.partition}, offset ${producer.firstOffset}`}`,
    );
  if (examples?.[0]) lines.push(`examples: ${examples.slice(0, 3).join(', ')}`);
  if (action) lines.push(`done: ${action}`);
  const { text, runbook } = adviceOn(incident);
  if (incident.closedAt === null) lines.push(`to do: ${text} More: ${runbook}`);
  lines.push(`incident ${incident.id}`);
  return lines.join('\n');
}
