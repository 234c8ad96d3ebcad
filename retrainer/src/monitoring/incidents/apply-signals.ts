import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { MonitorSpec } from '@hotloop/model/manifest/monitor-schema.ts';
import { type Pool, type Queryable, transaction } from '@hotloop/platform/postgres/pool.ts';
import { deliveriesOf } from '../notify/alert-body.ts';
import { enqueueDeliveries, isTold } from '../notify/delivery-store.ts';
import type { Signal } from '../signals/signal.ts';
import { type Cost, type Evidence, groupSignals, type Incident, type IncidentDraft } from './incident.ts';
import {
  insertIncident,
  listIncidents,
  listSilences,
  markEscalated,
  quietIncident,
  updateIncident,
} from './incident-store.ts';

/** Adds details to an incident: when it opens, when its signals change, and for its cost until the cost is known. */
export interface Investigation {
  costOf(draft: IncidentDraft): Promise<Cost | null>;
  evidenceOf(draft: IncidentDraft): Promise<Evidence>;
}

export interface ApplyOptions {
  readonly model: string;
  readonly monitor: MonitorSpec;
  readonly now: number;
  /** An incident closes after this long without a signal. */
  readonly closeAfterMs: number;
}

export interface AppliedChanges {
  readonly opened: readonly Incident[];
  /** Those whose cost became known after they had opened. */
  readonly priced: readonly Incident[];
  readonly closed: readonly Incident[];
}

/**
 * Opens, updates, escalates and closes the incidents of a model according to its signals, and queues the messages, in one
 * transaction. The same signals again change nothing.
 */
export async function applySignals(
  pool: Pool,
  signals: readonly Signal[],
  investigation: Investigation,
  options: ApplyOptions,
): Promise<AppliedChanges> {
  const drafts = groupSignals(options.model, signals);
  const open = await listIncidents(pool, { model: options.model, open: true, limit: 1000 });
  const byCause = new Map(open.map((incident) => [incident.cause, incident]));
  // Slow work is done before the transaction.
  const found = new Map<string, { cost: Cost | null; evidence: Evidence }>();
  for (const draft of drafts) {
    const known = byCause.get(draft.cause);
    if (known && !isNews(known, draft)) {
      // Labels, or rows with the broken values, may have arrived since.
      const cost = known.cost?.known ? known.cost : await investigation.costOf(draft);
      found.set(draft.cause, { cost, evidence: known.evidence });
    } else
      found.set(draft.cause, {
        cost: await investigation.costOf(draft),
        evidence: { ...known?.evidence, ...(await investigation.evidenceOf(draft)) },
      });
  }
  return transaction(pool, async (client) => {
    await client.query('SELECT pg_advisory_xact_lock(hashtext($1))', [`hotloop monitor ${options.model}`]);
    return write(client, drafts, found, options);
  });
}

async function write(
  client: Queryable,
  drafts: readonly IncidentDraft[],
  found: ReadonlyMap<string, { cost: Cost | null; evidence: Evidence }>,
  { model, monitor, now, closeAfterMs }: ApplyOptions,
): Promise<AppliedChanges> {
  const open = await listIncidents(client, { model, open: true, limit: 1000 });
  const byCause = new Map(open.map((incident) => [incident.cause, incident]));
  const silences = await listSilences(client, model, now);
  const isSilent = (one: string) => silences.some(({ cause }) => cause === '' || cause === one);
  const tell = async (incident: Incident, receivers = monitor.notify) => {
    if (!isSilent(incident.cause)) await enqueueDeliveries(client, deliveriesOf(incident, receivers));
  };
  const opened: Incident[] = [];
  const priced: Incident[] = [];
  const closed: Incident[] = [];
  for (const draft of drafts) {
    const { cost, evidence } = found.get(draft.cause)!;
    const known = byCause.get(draft.cause);
    if (!known) {
      const incident = await insertIncident(client, draft, cost, evidence, now);
      if (!incident) continue;
      opened.push(incident);
      await tell(incident);
      continue;
    }
    const isPriced = cost?.known === true && known.cost?.known !== true;
    const news = isPriced || isNews(known, draft);
    const incident = await updateIncident(client, known.id, { ...draft, cost, evidence }, now, news);
    if (isPriced) priced.push(incident);
    // A silence that is over: what it held back is told now, unless somebody looks after it.
    const wasSilent = !news && incident.state === 'open' && !(await isTold(client, incident));
    if (news || wasSilent) await tell(incident);
    if (
      monitor.escalate &&
      !isSilent(incident.cause) &&
      now - known.openedAt >= durationMs(monitor.escalate.after)
    ) {
      const escalated = await markEscalated(client, known.id, now);
      if (escalated) await tell(escalated, monitor.escalate.to);
    }
  }
  const causes = new Set(drafts.map(({ cause }) => cause));
  for (const incident of open) {
    if (causes.has(incident.cause)) continue;
    const over = await quietIncident(client, incident.id, now, closeAfterMs);
    if (!over) continue;
    closed.push(over);
    await tell(over);
  }
  return { opened, priced, closed };
}

const RANK = { info: 0, warning: 1, critical: 2 } as const;

/** Whether to notify again: it got worse, or a new kind of signal appeared. */
function isNews(known: Incident, draft: IncidentDraft): boolean {
  if (RANK[draft.severity] > RANK[known.severity]) return true;
  const nameOf = ({ kind, feature, slice }: Signal) => `${kind} ${feature} ${slice ?? ''}`;
  const before = new Set(known.signals.map(nameOf));
  return draft.signals.some((signal) => !before.has(nameOf(signal)));
}
