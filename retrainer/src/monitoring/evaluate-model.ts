import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { type RefusedCalls, readRefusedCalls } from '@hotloop/platform/postgres/refused-call-store.ts';
import type { ModelRecord, VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { HOUR_MS } from '@hotloop/proto/time-units.ts';
import { MAX_COLUMNS, ROW, SCORE } from './collect.ts';
import { evaluateSlices } from './evaluate-slices.ts';
import { measureDrift } from './signals/drift.ts';
import { judgeDuplicates } from './signals/duplicates.ts';
import { declaredMissing, judgeFeatures, ruleFor } from './signals/judge-features.ts';
import type { NotJudged, Signal } from './signals/signal.ts';
import { judgeTraffic, withRefused } from './signals/traffic.ts';
import { lastCallAt, readCalls } from './sketches/call-store.ts';
import { type FeatureSketches, sketchLayout } from './sketches/feature-sketch.ts';
import {
  listSketches,
  readBaseline,
  readSketches,
  SPANS,
  type StoredBaseline,
} from './sketches/sketch-store.ts';

export interface Evaluation {
  readonly signals: readonly Signal[];
  readonly notJudged: readonly NotJudged[];
  /** The baseline that features are compared with; null while there is none. */
  readonly baseline: string | null;
}

const DAY_MS = 24 * HOUR_MS;
/** How much past the expected calls of an hour are learned from. */
const LEARNED_MS = 60 * DAY_MS;
/** The window in which broken features are detected. */
export const RECENT_MS = 10 * 60_000;
const SHORTEST_SCORES = 200;

/** Detects calls that stop or fail. Runs every few seconds and reads a few hundred rows. */
export async function evaluateTraffic(
  pool: Pool,
  model: ModelRecord,
  live: VersionRecord,
  readTo: number,
  now: number,
): Promise<Signal[]> {
  const { monitor } = live.manifest;
  const hours = await readCalls(pool, model.name, 'hour', now - LEARNED_MS, now);
  const minutes = await readCalls(pool, model.name, 'minute', now - HOUR_MS, now);
  const refusedHours = await readRefusedCalls(pool, model.name, 'hour', now - LEARNED_MS);
  const refused = await readRefusedCalls(pool, model.name, 'minute', now - HOUR_MS);
  const lastAt = lastOf(await lastCallAt(pool, model.name), refused);
  const silenceMs = durationMs(monitor.silence.after);
  const facts = {
    ...{ hours: withRefused(hours, refusedHours), minutes: withRefused(minutes, refused), refused },
    ...{ lastAt, readTo },
  };
  return judgeTraffic(facts, monitor, now, silenceMs).filter(
    ({ kind }) => !ruleFor(monitor, kind, null)?.off,
  );
}

/** A model whose calls are all refused is not silent: the minute of the last refusal counts as having calls. */
function lastOf(lastAt: number | null, refused: readonly RefusedCalls[]): number | null {
  const newest = refused.at(-1);
  return newest ? Math.max(lastAt ?? 0, newest.minute + 60_000) : lastAt;
}

/**
 * Detects a feature that has just broken: compares the last minutes with the baseline. Reads the spans of five minutes.
 */
export async function evaluateRecent(pool: Pool, live: VersionRecord, now: number): Promise<Evaluation> {
  const { model, version, manifest } = live;
  const baseline = await baselineFor(pool, live, now - RECENT_MS - SPANS.recent * 1000, now);
  if (!baseline) return { signals: [], notJudged: [], baseline: null };
  const current = await readSketches(pool, {
    ...{
      model,
      versions: [version],
      span: SPANS.recent,
      since: now - RECENT_MS,
      until: now + SPANS.recent * 1000,
    },
  });
  const judged = judgeFeatures({
    ...{ layout: sketchLayout(manifest), current, baseline: baseline.sketches, monitor: manifest.monitor },
    ...{ maxMissing: declaredMissing(manifest), against: baseline.source, recent: true },
  });
  return { ...judged, baseline: baseline.source };
}

/** Compares the window of `monitor.drift` with training and with the week before: drift of features and predictions. */
export async function evaluateDay(pool: Pool, live: VersionRecord, now: number): Promise<Evaluation> {
  const { model, version, manifest } = live;
  const { monitor } = manifest;
  const until = now + HOUR_MS;
  const windowMs = durationMs(monitor.drift.window);
  const layout = sketchLayout(manifest);
  const read = (since: number, end: number) =>
    readSketches(pool, { model, versions: [version], span: SPANS.hour, since, until: end });
  let since = now - windowMs;
  let current = await read(since, until);
  // A model with few calls is judged by a week of them.
  if (largest(current) < monitor.drift.min_rows) {
    since = now - Math.max(windowMs, 7 * DAY_MS);
    current = await read(since, until);
  }
  const baseline = await baselineFor(pool, live, since, now);
  const lastWeek = await read(since - 7 * DAY_MS, since);
  const shared = { layout, current, monitor, maxMissing: declaredMissing(manifest) };
  const training = baseline
    ? judgeFeatures({ ...shared, baseline: baseline.sketches, against: baseline.source })
    : {
        signals: [],
        notJudged: [{ feature: null, reason: noBaseline(monitor.drift.window) }],
      };
  const week =
    lastWeek.size === 0
      ? { signals: [], notJudged: [] }
      : judgeFeatures({ ...shared, baseline: lastWeek, against: 'last week' });
  const rows = await listSketches(pool, {
    ...{ model, versions: [version], span: SPANS.hour, feature: ROW, since: since - 7 * DAY_MS, until },
  });
  const repeats = judgeDuplicates(rows, since, monitor);
  const seen = new Set(training.signals.map(({ feature }) => feature));
  // A change in all rows appears in their slices too.
  const slices = (await evaluateSlices(pool, live, now)).filter(({ feature }) => !seen.has(feature));
  const unsummarised = nothingSummarised(live, current, now - since);
  const scores = scoreDrift(current, baseline?.sketches.has(SCORE) ? baseline.sketches : lastWeek, live);
  return {
    signals: [
      ...training.signals,
      ...week.signals.filter(({ feature }) => !seen.has(feature)),
      ...scores,
      ...slices,
      ...(repeats ? [repeats] : []),
    ],
    notJudged: unsummarised === null ? training.notJudged : [{ feature: null, reason: unsummarised }],
    baseline: baseline?.source ?? null,
  };
}

/** The baseline from training if there is one; otherwise the version's requests before the window, at most its first week. */
export async function baselineFor(
  pool: Pool,
  { model, version }: VersionRecord,
  before: number,
  now: number,
): Promise<StoredBaseline | null> {
  const stored = await readBaseline(pool, model, version);
  if (stored) return stored;
  const first = await pool.query<{ at_ms: string | null }>(
    `SELECT extract(epoch FROM min(at)) * 1000 AS at_ms FROM monitor_sketch WHERE model = $1 AND version = $2 AND span = $3`,
    [model, version, SPANS.hour],
  );
  const from = first.rows[0]?.at_ms;
  if (from === null || from === undefined) return null;
  const start = Number(from);
  const query = { model, versions: [version], since: start, until: Math.min(before, start + 7 * DAY_MS) };
  // In the version's first hours the five-minute spans still contain all its requests, and end where the window begins.
  const span = now - start < 5 * HOUR_MS ? SPANS.recent : SPANS.hour;
  const sketches = await readSketches(pool, { ...query, span });
  return largest(sketches) === 0 ? null : { source: 'its first rows', sketches };
}

const noBaseline = (window: string): string =>
  `there is nothing to compare with yet: train the version with hotloop train, or wait until its first rows are older than monitor.drift.window, ${window}`;

/** Why no feature of a version can be judged, and what to do; null where there are rows. */
function nothingSummarised(
  { model, version, manifest }: VersionRecord,
  current: FeatureSketches,
  windowMs: number,
): string | null {
  if (!manifest.monitor.enabled) return 'model.yaml says monitor: {enabled: false}; remove it to be watched';
  const { features, width } = sketchLayout(manifest);
  if (width > MAX_COLUMNS)
    return `a row has ${width} columns; features of more than ${MAX_COLUMNS} are not summarised`;
  if (features.some(({ name }) => current.has(name))) return null;
  const days = Math.round(windowMs / DAY_MS);
  if (current.size > 0) return `the log holds no features of version ${version} in the last ${days} days`;
  return `version ${version} logged no predictions in the last ${days} days: call it, such as with hotloop predict ${model}, and look again after ten seconds`;
}

const largest = (sketches: FeatureSketches): number =>
  [...sketches.values()].reduce((most, { rows }) => Math.max(most, rows), 0);

function scoreDrift(
  current: FeatureSketches,
  before: FeatureSketches,
  { manifest }: VersionRecord,
): Signal[] {
  const [now, past] = [current.get(SCORE), before.get(SCORE)];
  if (!now || !past || now.rows < SHORTEST_SCORES || past.rows < SHORTEST_SCORES) return [];
  const { monitor } = manifest;
  const rule = ruleFor(monitor, 'prediction_drift', null);
  const drift = measureDrift(past, now, 'psi');
  const threshold = rule?.at_least ?? 0.2;
  if (rule?.off || drift.effect < threshold || drift.p > monitor.drift.false_alarms) return [];
  const at = (sketch: typeof now) => sketch.values.quantile(0.5).toPrecision(3);
  return [
    {
      kind: 'prediction_drift',
      ...{ feature: null, source: 'predictions', effect: drift.effect, low: drift.low, high: drift.high },
      ...{ unit: 'psi', threshold, p: drift.p, n: drift.n, severity: rule?.severity ?? 'warning' },
      message: `the scores are not distributed as before: median ${at(past)} before, ${at(now)} now`,
    },
  ];
}
