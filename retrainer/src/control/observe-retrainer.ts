import type { Clock } from '@hotloop/platform/clock.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { LabelValue, Reading, Tallies } from '@hotloop/platform/telemetry/tallies.ts';
import { predictionTimeMs } from '@hotloop/proto/prediction-id.ts';
import { countOpenIncidents } from '../monitoring/incidents/incident-store.ts';
import { monitoringStatus } from '../monitoring/monitoring-status.ts';
import type { OutcomeVerdict } from '../outcomes/record-outcomes.ts';
import { countRuns } from '../runs/run-store.ts';

/** What Postgres says is asked at most this often, however often somebody scrapes. */
const ASK_EVERY_MS = 5_000;
/** A second to a month. */
const DELAY_BOUNDARIES = [1, 10, 60, 600, 3_600, 21_600, 86_400, 604_800, 2_592_000];

/** What the retrainer holds: runs, incidents, alarms that wait, and the pulse of the monitor. Call what is returned at the end. */
export function observeRetrainer(tallies: Tallies, pool: Pool, clock: Clock): () => void {
  const read = sometimes(clock, async () => ({
    runs: await countRuns(pool),
    incidents: await countOpenIncidents(pool),
    monitor: await monitoringStatus(pool, clock.now()),
  }));
  const gauge = (name: string, description: string, unit: string, labels: readonly string[] = []) =>
    tallies.gauge({ name, description, unit, labels });
  const single = (value: number): Reading[] => [[[] as LabelValue[], value]];
  const ends = [
    gauge('hotloop.runs', 'Training runs by state', '{run}', ['hotloop.model', 'hotloop.state']).observe(
      async () => (await read()).runs.map(({ model, state, runs }) => [[model, state], runs]),
    ),
    gauge('hotloop.runs.waiting', 'Training runs that no worker has begun', '{run}').observe(async () =>
      single(
        (await read()).runs
          .filter(({ state }) => state === 'requested')
          .reduce((sum, { runs }) => sum + runs, 0),
      ),
    ),
    gauge('hotloop.incidents.open', 'Open incidents', '{incident}', [
      'hotloop.model',
      'hotloop.severity',
    ]).observe(async () =>
      (await read()).incidents.map(({ model, severity, count }) => [[model, severity], count]),
    ),
    gauge('hotloop.alarms.undelivered', 'Alarms that failed to be delivered and wait', '{alarm}').observe(
      async () => single((await read()).monitor.undelivered.count),
    ),
    gauge('hotloop.monitor.heartbeat.age', 'Since a monitor last worked', 's').observe(async () =>
      single((clock.now() - (await read()).monitor.heartbeatAt) / 1000),
    ),
    gauge('hotloop.monitor.lag', 'How far the monitor is behind the newest logged call', 's').observe(
      async () => single(Math.max(0, clock.now() - (await read()).monitor.readTo) / 1000),
    ),
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** Told of each verdict over an outcome. */
export type CountOutcome = (model: string, verdict: OutcomeVerdict, predictionId: string | null) => void;

/**
 * @param isModel whether a name is a registered model's: other names come from callers and are no labels.
 */
export function outcomeCounter(
  tallies: Tallies,
  isModel: (name: string) => boolean,
  clock: Clock,
): CountOutcome {
  const outcomes = tallies.counter({
    name: 'hotloop.outcomes',
    description: 'Outcomes that came: accepted, duplicate, refused',
    unit: '{outcome}',
    labels: ['hotloop.model', 'hotloop.status'],
  });
  const delay = tallies.histogram({
    name: 'hotloop.label.delay',
    description: 'From a prediction to its outcome, where the outcome names it',
    unit: 's',
    labels: ['hotloop.model'],
    boundaries: DELAY_BOUNDARIES,
  });
  return (model, { status }, predictionId) => {
    const known = isModel(model) ? model : 'unknown';
    outcomes.add(1, known, status);
    if (status === 'accepted' && predictionId !== null)
      delay.record(Math.max(0, clock.now() - predictionTimeMs(predictionId)) / 1000, known);
  };
}

function sometimes<T>(clock: Clock, read: () => Promise<T>): () => Promise<T> {
  let last: { readonly at: number; readonly value: Promise<T> } | undefined;
  return () => {
    const now = clock.monotonic();
    if (!last || now - last.at >= ASK_EVERY_MS) last = { at: now, value: read() };
    return last.value;
  };
}
