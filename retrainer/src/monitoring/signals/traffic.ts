import type { MonitorSpec } from '@hotloop/model/manifest/monitor-schema.ts';
import { poissonAtLeast, poissonAtMost } from '@hotloop/model/statistics/distributions.ts';
import type { RefusedCalls } from '@hotloop/platform/postgres/refused-call-store.ts';
import { HOUR_MS, MINUTE_MS } from '@hotloop/proto/time-units.ts';
import { percent } from './judge-features.ts';
import type { Signal } from './signal.ts';

const WEEK_HOURS = 168;
/** For one of several callers. */
const CALLER_SILENCE_MS = 10 * MINUTE_MS;
/** Only this much of a longer pause is considered. */
const MOST_PAUSE_HOURS = 72;

/** Calls to one model in one hour. */
export interface HourOfCalls {
  /** Milliseconds since 1970 of its start. */
  readonly at: number;
  readonly calls: number;
  readonly errors: number;
}

export interface TrafficFacts {
  /** Past whole hours, oldest first; hours without calls may be left out. */
  readonly hours: readonly HourOfCalls[];
  /** Calls by minute of the last hour, oldest first. */
  readonly minutes: readonly HourOfCalls[];
  /** Calls of the last hour that the front door refused, by minute; `minutes` includes them as errors. */
  readonly refused?: readonly RefusedCalls[];
  /** Time of the last call; null if there was none. */
  readonly lastAt: number | null;
  /** The time up to which the log has been read; later calls are not known yet. */
  readonly readTo: number;
}

/** Adds the calls that were refused before they reached the log; they are errors too. Pure. */
export function withRefused(
  calls: readonly HourOfCalls[],
  refused: readonly RefusedCalls[],
): readonly HourOfCalls[] {
  if (refused.length === 0) return calls;
  const all = new Map(calls.map((one) => [one.at, one]));
  for (const { minute: at, calls: more } of refused) {
    const known = all.get(at) ?? { at, calls: 0, errors: 0 };
    all.set(at, { at, calls: known.calls + more, errors: known.errors + more });
  }
  return [...all.values()].sort((a, b) => a.at - b.at);
}

export interface ExpectedCalls {
  /** Calls an hour. */
  readonly rate: number;
  /** Variance of an hour's calls over its mean; 1 for Poisson. */
  readonly dispersion: number;
  /** Number of hours that it was learned from. */
  readonly hours: number;
}

/**
 * The calls expected in an hour from the model's own past: the same hour of earlier weeks, shrunk towards the same hour of
 * other days with the weight of one week; with the overdispersion of hours. Null without a whole hour of past.
 */
export function expectedCalls(hours: readonly HourOfCalls[], now: number): ExpectedCalls | null {
  const first = hours[0];
  if (!first) return null;
  const thisHour = Math.floor(now / HOUR_MS) * HOUR_MS;
  const past = Math.round((thisHour - first.at) / HOUR_MS);
  if (past < 1) return null;
  const recent = Math.min(past, WEEK_HOURS * 4);
  let [sum, squares] = [0, 0];
  const from = thisHour - recent * HOUR_MS;
  for (let index = firstFrom(hours, from); index < hours.length && hours[index]!.at < thisHour; index++) {
    const { calls } = hours[index]!;
    sum += calls;
    squares += calls * calls;
  }
  const mean = sum / recent;
  const same: number[] = [];
  for (let week = 1; thisHour - week * WEEK_HOURS * HOUR_MS >= first.at && week <= 8; week++)
    same.push(callsAt(hours, thisHour - week * WEEK_HOURS * HOUR_MS));
  if (same.length === 0) {
    const variance = Math.max(0, squares / recent - mean * mean);
    return { rate: mean, dispersion: Math.max(1, mean > 0 ? variance / mean : 1), hours: recent };
  }
  const daily: number[] = [];
  for (let day = 1; day <= 14 && thisHour - day * 24 * HOUR_MS >= first.at; day++)
    daily.push(callsAt(hours, thisHour - day * 24 * HOUR_MS));
  const sameHour = daily.reduce((total, calls) => total + calls, 0) / daily.length;
  const rate = (same.reduce((total, calls) => total + calls, 0) + sameHour) / (same.length + 1);
  return { rate, dispersion: weeklyDispersion(hours, first.at, thisHour), hours: recent };
}

/** Index of the first hour at or after a time, by bisection. */
function firstFrom(hours: readonly HourOfCalls[], at: number): number {
  let [low, high] = [0, hours.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (hours[middle]!.at < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

function callsAt(hours: readonly HourOfCalls[], at: number): number {
  const hour = hours[firstFrom(hours, at)];
  return hour?.at === at ? hour.calls : 0;
}

/** Variance of hours around the mean of their hour of the week, relative to a Poisson distribution. */
function weeklyDispersion(hours: readonly HourOfCalls[], from: number, to: number): number {
  const weeks = Math.floor((to - from) / HOUR_MS / WEEK_HOURS);
  if (weeks < 2) return 2;
  const sums = new Float64Array(WEEK_HOURS);
  const squares = new Float64Array(WEEK_HOURS);
  const start = to - weeks * WEEK_HOURS * HOUR_MS;
  for (const { at, calls } of hours) {
    if (at < start || at >= to) continue;
    const hour = Math.round((at - start) / HOUR_MS) % WEEK_HOURS;
    sums[hour]! += calls;
    squares[hour]! += calls * calls;
  }
  let [total, used] = [0, 0];
  for (let hour = 0; hour < WEEK_HOURS; hour++) {
    const mean = sums[hour]! / weeks;
    if (mean < 1) continue;
    total += Math.max(0, (squares[hour]! - weeks * mean * mean) / (weeks - 1)) / mean;
    used++;
  }
  return used === 0 ? 1 : Math.max(1, total / used);
}

/** Finds calls that stop, far too few or too many calls, and errors. Pure. */
export function judgeTraffic(
  facts: TrafficFacts,
  monitor: MonitorSpec,
  now: number,
  silenceMs: number,
): Signal[] {
  const signals: Signal[] = [];
  const silent = judgeSilence(facts, monitor, now, silenceMs);
  if (silent) signals.push(silent);
  else {
    const rate = rateOf(facts, monitor, now);
    if (rate) signals.push(rate);
  }
  const errors = errorsOf(facts, now);
  if (errors) signals.push(errors);
  return signals;
}

/** The rate expected now: of the hour of the week; with less than an hour of past, of the last minutes. */
function rateNow({ hours, minutes }: TrafficFacts, now: number): ExpectedCalls | null {
  const learned = expectedCalls(hours, now);
  if (learned && learned.hours >= 24) return learned;
  const first = hours[0]?.at ?? minutes[0]?.at;
  const active = minutes.filter(({ calls }) => calls > 0);
  if (first === undefined || active.length < 2) return learned;
  const calls = active.reduce((sum, minute) => sum + minute.calls, 0);
  const span = active.at(-1)!.at - active[0]!.at + MINUTE_MS;
  return { rate: (calls * HOUR_MS) / span, dispersion: 2, hours: span / HOUR_MS };
}

/** Calls expected during a pause, hour by hour, because a pause may have begun at night. */
function expectedBetween(facts: TrafficFacts, current: ExpectedCalls, from: number, to: number): number {
  if (current.hours < 24) return (current.rate * (to - from)) / HOUR_MS;
  let mean = 0;
  let at = Math.max(from, to - MOST_PAUSE_HOURS * HOUR_MS);
  while (at < to) {
    const end = Math.min(to, (Math.floor(at / HOUR_MS) + 1) * HOUR_MS);
    mean += ((expectedCalls(facts.hours, at)?.rate ?? 0) * (end - at)) / HOUR_MS;
    at = end;
  }
  return mean;
}

/** No calls for longer than the rate of the hour of the week explains. Pure. */
export function judgeSilence(
  facts: TrafficFacts,
  monitor: MonitorSpec,
  now: number,
  silenceMs: number,
): Signal | null {
  const { lastAt, readTo } = facts;
  const until = Math.min(now, readTo);
  if (lastAt === null || until - lastAt < silenceMs) return null;
  const expected = rateNow(facts, now);
  if (!expected) return null;
  const mean = expectedBetween(facts, expected, lastAt, until);
  const p = Math.exp(-mean / expected.dispersion);
  if (p > monitor.silence.probability) return null;
  const seconds = Math.round((until - lastAt) / 1000);
  return {
    kind: 'silence',
    ...{ feature: null, source: 'traffic', effect: seconds, low: seconds, high: seconds, unit: 'seconds' },
    ...{ threshold: silenceMs / 1000, p, n: 0, severity: 'critical' },
    message: `no call for ${seconds} s; ${mean.toFixed(mean < 10 ? 1 : 0)} were expected, and none has the probability ${probabilityText(p)}`,
  };
}

/** Compares the last whole hour with the calls expected in it. */
function rateOf({ hours }: TrafficFacts, monitor: MonitorSpec, now: number): Signal | null {
  const start = Math.floor(now / HOUR_MS) * HOUR_MS - HOUR_MS;
  const past = hours.filter((hour) => hour.at < start);
  const expected = expectedCalls(past, start);
  if (!expected || expected.hours < WEEK_HOURS * 2) return null;
  const calls = hours.find((hour) => hour.at === start)?.calls ?? 0;
  const scaled = expected.rate / expected.dispersion;
  const few = poissonAtMost(calls / expected.dispersion, scaled);
  const many = poissonAtLeast(calls / expected.dispersion, scaled);
  const p = Math.min(1, 2 * Math.min(few, many));
  const ratio = calls / Math.max(1, expected.rate);
  if (p > monitor.silence.probability || (ratio > 0.5 && ratio < 2)) return null;
  return {
    kind: 'traffic',
    ...{
      feature: null,
      source: 'traffic',
      effect: ratio,
      low: ratio,
      high: ratio,
      unit: 'times the expected calls',
    },
    ...{ threshold: ratio < 1 ? 0.5 : 2, p, n: calls, severity: 'warning' },
    message: `${calls} calls in the last hour; ${Math.round(expected.rate)} were expected (probability ${probabilityText(p)})`,
  };
}

function errorsOf({ minutes, hours, refused = [] }: TrafficFacts, now: number): Signal | null {
  const recent = minutes.filter(({ at }) => at >= now - 10 * MINUTE_MS);
  const calls = recent.reduce((sum, minute) => sum + minute.calls, 0);
  const errors = recent.reduce((sum, minute) => sum + minute.errors, 0);
  const before = hours.reduce(
    (sum, hour) => ({ calls: sum.calls + hour.calls, errors: sum.errors + hour.errors }),
    { calls: 0, errors: 0 },
  );
  const usual = Math.max(0.01, before.calls === 0 ? 0 : before.errors / before.calls);
  if (calls < 50 || errors / calls < usual + 0.05) return null;
  const p = poissonAtLeast(errors, usual * calls);
  if (p > 1e-9) return null;
  const share = errors / calls;
  return {
    kind: 'errors',
    ...{ feature: null, source: 'errors', effect: share, low: share, high: share, unit: 'share' },
    ...{ threshold: usual + 0.05, p, n: calls, severity: share > 0.5 ? 'critical' : 'warning' },
    message: `${percent(share)} of the calls of the last ten minutes failed; ${percent(usual)} is usual${mostRefused(refused, now, errors)}`,
  };
}

/** Names the caller and the code if one of each causes most of the errors. */
function mostRefused(refused: readonly RefusedCalls[], now: number, errors: number): string {
  const sums = new Map<string, number>();
  for (const { minute, caller, code, calls } of refused)
    if (minute >= now - 10 * MINUTE_MS) {
      const name = `${code} of ${caller === '' ? 'callers without a key' : `caller ${caller}`}`;
      sums.set(name, (sums.get(name) ?? 0) + calls);
    }
  const [most] = [...sums].sort(([, a], [, b]) => b - a);
  return most && most[1] > errors / 2 ? `: mostly refused at the door, ${most[0]}` : '';
}

/** A caller that called for a week and then stopped, while others continue. Pure. */
export function judgeCallers(
  callers: readonly {
    readonly caller: string;
    readonly hours: readonly HourOfCalls[];
    readonly lastAt: number;
  }[],
  monitor: MonitorSpec,
  now: number,
): Signal[] {
  // If all callers are silent, the model is silent, which is another alarm.
  if (callers.length < 2 || callers.every(({ lastAt }) => now - lastAt >= CALLER_SILENCE_MS)) return [];
  return callers.flatMap(({ caller, hours, lastAt }) => {
    if (now - (hours[0]?.at ?? now) < WEEK_HOURS * HOUR_MS) return [];
    const silent = judgeSilence({ hours, minutes: [], lastAt, readTo: now }, monitor, now, CALLER_SILENCE_MS);
    return silent
      ? [
          {
            ...silent,
            severity: 'warning',
            source: `caller ${caller}`,
            message: `caller ${caller}: ${silent.message}`,
          },
        ]
      : [];
  });
}

/** A float holds no smaller one than about 1e-308. */
const probabilityText = (p: number): string => (p < 1e-300 ? 'below 1e-300' : p.toExponential(1));
