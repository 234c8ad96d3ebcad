import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { type RefusedCalls, readRefusedCalls } from '@hotloop/platform/postgres/refused-call-store.ts';
import type { ModelRecord, RegistryReader, VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import { hasOutcomes } from '../../outcomes/outcome-store.ts';
import { listVersions } from '../../registry/version-store.ts';
import { QUEUE_US, ROW, RUN_US, SCORE } from '../collect.ts';
import { baselineFor, evaluateDay, evaluateRecent, RECENT_MS } from '../evaluate-model.ts';
import type { Incident } from '../incidents/incident.ts';
import { listIncidents, listSilences, type Silence } from '../incidents/incident-store.ts';
import type { Quality } from '../performance/quality.ts';
import { listQuality } from '../performance/quality-store.ts';
import { DRIFT_DEFAULTS, measureDrift } from '../signals/drift.ts';
import { summaryOf } from '../signals/judge-features.ts';
import type { NotJudged, Signal } from '../signals/signal.ts';
import { expectedCalls, type HourOfCalls, withRefused } from '../signals/traffic.ts';
import { type CallSummary, lastCallAt, readCalls, summariseCalls } from '../sketches/call-store.ts';
import { type FeatureSketch, type SketchedFeature, sketchLayout } from '../sketches/feature-sketch.ts';
import { readSketches, SPANS } from '../sketches/sketch-store.ts';
import { type ReportGaps, reportGaps } from './report-gaps.ts';

export interface FeatureReport {
  readonly name: string;
  readonly kind: string;
  readonly rows: number;
  readonly missingShare: number;
  readonly outOfRangeShare: number;
  readonly distinct: number;
  readonly before: string;
  readonly now: string;
  /** Null while there is nothing to compare with, or too few rows to compare. */
  readonly drift: {
    readonly effect: number;
    readonly low: number;
    readonly high: number;
    readonly threshold: number;
  } | null;
}

export interface LatencyReport {
  readonly p50: number;
  readonly p99: number;
}

/** The whole monitoring report of one model. */
export interface MonitoringReport {
  readonly model: string;
  readonly version: number | null;
  readonly since: number;
  readonly until: number;
  readonly baseline: string | null;
  readonly calls: readonly CallSummary[];
  readonly hours: readonly HourOfCalls[];
  readonly expectedCallsAnHour: number | null;
  readonly queueMs: LatencyReport | null;
  readonly runMs: LatencyReport | null;
  /** Estimated share of repeated rows; null without rows. */
  readonly duplicateShare: number | null;
  readonly features: readonly FeatureReport[];
  readonly quality: readonly Quality[];
  /** The newest week of each slice. */
  readonly slices: readonly Quality[];
  /** Mean difference between estimates and later measurements; null if no estimate has a measurement yet. */
  readonly estimatorError: { readonly mean: number; readonly days: number } | null;
  readonly signals: readonly Signal[];
  readonly notJudged: readonly NotJudged[];
  readonly incidents: readonly Incident[];
  /** Silences in force. */
  readonly silences: readonly Silence[];
  /** Why parts of the report are empty. */
  readonly gaps: ReportGaps;
  /** Versions by the day of registration, for the marks of the chart. */
  readonly versions: readonly { readonly version: number; readonly at: number }[];
}

/** Throws NOT_FOUND for a model that is not registered. */
export function findModel(registry: RegistryReader, name: string): ModelRecord {
  const model = registry.current().models.get(name);
  if (!model)
    throw new HotloopError('NOT_FOUND', `model ${JSON.stringify(name.slice(0, 80))} is not registered`);
  return model;
}

/** Reports on a model since a given time, with everything that could not be judged and why. */
export async function monitoringReport(
  pool: Pool,
  model: ModelRecord,
  since: number,
  now: number,
): Promise<MonitoringReport> {
  const live = model.liveVersion === null ? undefined : model.versions.get(model.liveVersion);
  const report = await reportOf(pool, model, live, since, now);
  const week = await listQuality(pool, model.name, now - 7 * DAY_MS);
  const gaps = reportGaps({
    ...{ model: model.name, manifest: live?.manifest, since, baseline: report.baseline },
    calls: report.calls.reduce((sum, { calls }) => sum + calls, 0),
    lastCallAt: await lastCallAt(pool, model.name),
    features: report.features.length,
    notJudged: report.notJudged.map(({ reason }) => reason),
    hasOutcomes: await hasOutcomes(pool, model.name),
    quality: report.quality,
    weekLabels: week.reduce(
      (sum, { version, labelled }) => sum + (version === live?.version ? labelled : 0),
      0,
    ),
    incidents: report.incidents.length,
  });
  return { ...report, gaps };
}

async function reportOf(
  pool: Pool,
  model: ModelRecord,
  live: VersionRecord | undefined,
  since: number,
  now: number,
): Promise<Omit<MonitoringReport, 'gaps'>> {
  const refused = await readRefusedCalls(pool, model.name, 'hour', since);
  const hours = withRefused(await readCalls(pool, model.name, 'hour', since, now), refused);
  const quality = await listQuality(pool, model.name, since);
  const shared = {
    model: model.name,
    version: live?.version ?? null,
    since,
    until: now,
    hours,
    calls: [...(await summariseCalls(pool, model.name, since)), ...refusedByCaller(refused)],
    expectedCallsAnHour: expectedCalls(hours, now)?.rate ?? null,
    quality,
    slices: newestOfSlices(await listQuality(pool, model.name, since - 7 * DAY_MS, 'slices')),
    estimatorError: estimatorError(quality),
    incidents: (await listIncidents(pool, { model: model.name, limit: 100 })).filter(
      ({ closedAt }) => closedAt === null || closedAt >= since,
    ),
    silences: await listSilences(pool, model.name, now),
    versions: await versionDays(pool, model.name),
  };
  if (!live || live.manifest.task === 'tensor')
    return {
      ...shared,
      ...{ baseline: null, queueMs: null, runMs: null, duplicateShare: null, features: [], signals: [] },
      notJudged: [
        {
          feature: null,
          reason: live ? 'a model of task tensor declares no features' : 'no version is live',
        },
      ],
    };
  const day = await evaluateDay(pool, live, now);
  const recent = await evaluateRecent(pool, live, now);
  const sketches = await readSketches(pool, {
    ...{ model: model.name, versions: [live.version], span: SPANS.hour, since, until: now + 3_600_000 },
  });
  const rows = sketches.get(ROW);
  return {
    ...shared,
    baseline: day.baseline,
    queueMs: latencyOf(sketches.get(QUEUE_US)),
    runMs: latencyOf(sketches.get(RUN_US)),
    duplicateShare: rows ? Math.max(0, 1 - rows.values.distinct.estimate() / rows.rows) : null,
    features: await featureReports(pool, live, now, sketches),
    signals: [...recent.signals, ...day.signals],
    notJudged: day.notJudged,
  };
}

/** Calls that reached no version are separate rows. */
function refusedByCaller(refused: readonly RefusedCalls[]): CallSummary[] {
  return [...Map.groupBy(refused, ({ caller }) => caller)].map(([caller, own]) => {
    const codes: Record<string, number> = {};
    for (const { code, calls } of own) codes[code] = (codes[code] ?? 0) + calls;
    const calls = own.reduce((sum, one) => sum + one.calls, 0);
    return { version: 0, variant: 'refused', caller, calls, errors: calls, degraded: 0, codes };
  });
}

function newestOfSlices(weeks: readonly Quality[]): Quality[] {
  return [...new Map(weeks.map((week) => [week.slice, week])).values()];
}

function estimatorError(quality: readonly Quality[]): MonitoringReport['estimatorError'] {
  const errors = quality.flatMap(({ measured, estimated }) =>
    measured && estimated ? [Math.abs(measured.value - estimated.value)] : [],
  );
  if (errors.length === 0) return null;
  return { mean: errors.reduce((sum, error) => sum + error, 0) / errors.length, days: errors.length };
}

async function featureReports(
  pool: Pool,
  live: VersionRecord,
  now: number,
  sketches: ReadonlyMap<string, FeatureSketch>,
): Promise<FeatureReport[]> {
  const { manifest } = live;
  const baseline = await baselineFor(pool, live, now - RECENT_MS, now);
  const { features: measure, at_least, min_rows } = manifest.monitor.drift;
  const threshold = at_least ?? DRIFT_DEFAULTS[measure];
  const scores: SketchedFeature = {
    name: SCORE,
    kind: 'number',
    offset: 0,
    width: 1,
    categories: [],
    source: 'predictions',
  };
  return [...sketchLayout(manifest).features, scores].flatMap((feature) => {
    const sketch = sketches.get(feature.name);
    if (!sketch) return [];
    const past = baseline?.sketches.get(feature.name);
    const isJudged = past !== undefined && past.present > 0 && sketch.present >= min_rows;
    const drift = isJudged ? measureDrift(past, sketch, measure) : null;
    return [
      {
        name: feature.name,
        kind: feature.kind,
        rows: sketch.rows,
        missingShare: sketch.missingShare,
        outOfRangeShare: sketch.rows === 0 ? 0 : sketch.outOfRange / sketch.rows,
        distinct:
          feature.kind === 'number'
            ? Math.round(sketch.values.distinct.estimate())
            : sketch.categories.filter((count) => count > 0).length,
        before: past ? summaryOf(feature, past) : '',
        now: summaryOf(feature, sketch),
        drift: drift && { effect: drift.effect, low: drift.low, high: drift.high, threshold },
      },
    ];
  });
}

function latencyOf(sketch: FeatureSketch | undefined): LatencyReport | null {
  if (!sketch || sketch.values.count === 0) return null;
  return { p50: sketch.values.quantile(0.5) / 1000, p99: sketch.values.quantile(0.99) / 1000 };
}

async function versionDays(pool: Pool, model: string): Promise<{ version: number; at: number }[]> {
  const versions = await listVersions(pool, model);
  return versions.map(({ version, createdAt }) => ({ version, at: createdAt })).reverse();
}

/** Parses `7d` (seven days ago) or a date to milliseconds since 1970. Throws INVALID_ARGUMENT for anything else. */
export function parseSince(text: string, now: number): number {
  try {
    return now - durationMs(text);
  } catch {
    const at = Date.parse(text);
    if (!Number.isNaN(at)) return at;
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `since: ${JSON.stringify(text.slice(0, 40))} is neither a duration such as 7d nor a date`,
    );
  }
}
