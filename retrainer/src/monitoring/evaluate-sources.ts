import { sharesDiffer } from '@hotloop/model/statistics/distributions.ts';
import { type EventShape, readEventShapes } from '@hotloop/platform/postgres/event-shape-store.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { readTableAges } from '@hotloop/platform/postgres/table-ages.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { HOUR_MS } from '@hotloop/proto/time-units.ts';
import { countUnmatched } from '../outcomes/waiting-outcomes.ts';
import { percent, ruleFor } from './signals/judge-features.ts';
import { judgeShapes, judgeTables } from './signals/judge-sources.ts';
import type { Signal } from './signals/signal.ts';
import { type HourOfCalls, judgeCallers, judgeSilence } from './signals/traffic.ts';
import { type UsedEvent, usedEvents, usedTables } from './signals/used-sources.ts';
import { readCallerHours } from './sketches/call-store.ts';

const DAY_MS = 24 * HOUR_MS;
/** The past that recent messages are compared with. */
const PAST_MS = 7 * DAY_MS;
/** Events are counted every few seconds, and topics may pause for a while without anything being wrong. */
const EVENT_SILENCE_MS = 10 * 60_000;
/** An outcome may arrive before its prediction is in Postgres. */
const SETTLED_MS = 10 * 60_000;
const LEAST_OUTCOMES = 100;
const JOIN_CHANGE = 0.1;

/**
 * Checks the sources of features: events whose fields changed, that come late or not at all, tables that are
 * not uploaded any more, outcomes that belong to no prediction. Reads counts only.
 */
export async function evaluateSources(pool: Pool, live: VersionRecord, now: number): Promise<Signal[]> {
  const { manifest, model } = live;
  const events = usedEvents(manifest);
  const tables = usedTables(manifest);
  const shapes = await readEventShapes(
    pool,
    events.map(({ event }) => event),
    now - PAST_MS,
  );
  const ages = await readTableAges(
    pool,
    tables.map(({ table }) => table),
  );
  const signals = [
    ...judgeShapes(events, shapes, now),
    ...events.flatMap((event) => (event.isSampled ? [] : staleEvents(event, shapes, live, now))),
    ...judgeTables(tables, ages, now),
    ...judgeCallers(await readCallerHours(pool, model, now - 28 * DAY_MS), manifest.monitor, now),
    ...(await unmatchedOutcomes(pool, model, now)),
  ];
  return signals.flatMap((signal) => {
    const rule = ruleFor(manifest.monitor, signal.kind, signal.feature);
    if (rule?.off || signal.effect < (rule?.at_least ?? 0)) return [];
    return [{ ...signal, severity: rule?.severity ?? signal.severity }];
  });
}

/** Detects a type of event that stopped, by its usual rate at this hour of the week. */
function staleEvents(
  used: UsedEvent,
  shapes: readonly EventShape[],
  { manifest }: VersionRecord,
  now: number,
): Signal[] {
  const own = shapes.filter(
    ({ event, topic, kind }) =>
      event === used.event && kind === 'message' && (used.topic === undefined || used.topic === topic),
  );
  if (own.length === 0) return [];
  const hours: HourOfCalls[] = [...Map.groupBy(own, ({ at }) => Math.floor(at / HOUR_MS) * HOUR_MS)]
    .map(([at, parts]) => ({ at, errors: 0, calls: parts.reduce((sum, one) => sum + one.messages, 0) }))
    .sort((a, b) => a.at - b.at);
  const lastAt = Math.max(...own.map((one) => one.lastAt));
  const silent = judgeSilence(
    { hours, minutes: [], lastAt, readTo: now },
    manifest.monitor,
    now,
    EVENT_SILENCE_MS,
  );
  return silent
    ? [
        {
          ...silent,
          kind: 'stale',
          source: used.source,
          message: `${used.label}: ${silent.message.replace('no call', 'none came')}`,
        },
      ]
    : [];
}

/** Compares the outcomes of the last day that belong to no prediction with those of the week before. */
async function unmatchedOutcomes(pool: Pool, model: string, now: number): Promise<Signal[]> {
  const until = now - SETTLED_MS;
  const recent = await countUnmatched(pool, model, until - DAY_MS, until);
  if (recent.outcomes < LEAST_OUTCOMES) return [];
  const past = await countUnmatched(pool, model, until - DAY_MS - PAST_MS, until - DAY_MS);
  const share = recent.unmatched / recent.outcomes;
  const before = past.outcomes < LEAST_OUTCOMES ? 0 : past.unmatched / past.outcomes;
  if (share - before < JOIN_CHANGE) return [];
  const p =
    past.outcomes < LEAST_OUTCOMES
      ? null
      : sharesDiffer(recent.unmatched, recent.outcomes, past.unmatched, past.outcomes);
  if (p !== null && p > 1e-6) return [];
  return [
    {
      ...{ kind: 'join', feature: null, source: 'outcomes', effect: share, low: share, high: share },
      ...{ unit: 'share', threshold: before + JOIN_CHANGE, p, n: recent.outcomes },
      severity: share > 0.5 ? 'critical' : 'warning',
      message: `${percent(share)} of the day's outcomes belong to no prediction; ${percent(before)} before`,
    },
  ];
}
