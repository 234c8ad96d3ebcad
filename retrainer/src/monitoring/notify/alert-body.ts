import { createHash } from 'node:crypto';
import { addressesOf } from '@hotloop/model/manifest/monitor-problems.ts';
import type { Receiver } from '@hotloop/model/manifest/monitor-schema.ts';
import type { Cost, Evidence, Incident } from '../incidents/incident.ts';
import type { Delivery } from './delivery-store.ts';

/** The receiver's name in the outbox. */
export function receiverName(receiver: Receiver): string {
  const { webhook, email } = addressesOf(receiver);
  if (email !== undefined) return `email:${email}`;
  const isSlack =
    typeof receiver === 'string'
      ? webhook !== undefined && URL.canParse(webhook) && new URL(webhook).hostname === 'hooks.slack.com'
      : 'format' in receiver && receiver.format === 'slack';
  return `webhook:${isSlack ? 'slack' : 'alertmanager'}:${webhook}`;
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
  if (receiver.startsWith('email:')) return { subject: subjectOf(incident), text: textOf(incident) };
  if (receiver.startsWith('webhook:slack:')) return { text: textOf(incident) };
  return alertmanagerBody(receiver, incident);
}

/** The body of Alertmanager's webhook, version 4. */
function alertmanagerBody(receiver: string, incident: Incident): unknown {
  const isOver = incident.closedAt !== null;
  const labels = {
    alertname: `hotloop_${incident.signals[0]?.kind ?? 'incident'}`,
    model: incident.model,
    cause: incident.cause,
    severity: incident.severity,
    incident: incident.id,
  };
  const annotations = {
    summary: incident.title,
    description: textOf(incident),
    cost: costText(incident.cost),
    runbook: `docs/runbooks.md#${incident.signals[0]?.kind ?? 'incident'}`,
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
        startsAt: new Date(incident.openedAt).toISOString(),
        endsAt: isOver ? new Date(incident.closedAt!).toISOString() : '0001-01-01T00:00:00Z',
        generatorURL: '',
        fingerprint: createHash('sha256').update(JSON.stringify(labels)).digest('hex').slice(0, 16),
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
  const sign = (value: number) => value.toFixed(3);
  return `${sign(cost.loss)} ${cost.metric} (${sign(cost.low)} to ${sign(cost.high)}), ${cost.method}`;
}

export function textOf(incident: Incident): string {
  const lines = [
    `${incident.model || 'the platform'}: ${incident.title}`,
    `state ${incident.state}, severity ${incident.severity}, estimated cost ${costText(incident.cost)}`,
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
  lines.push(`incident ${incident.id}`);
  return lines.join('\n');
}
