import { DAY_MS } from '@hotloop/proto/time-units.ts';
import { isBetterHigher, type Quality } from '../performance/quality.ts';
import type { HourOfCalls } from '../signals/traffic.ts';
import { escaped } from './escaped.ts';

const WIDTH = 900;
const HEIGHT = 260;
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 16, 30, 30] as const;
const MUTED = '#7a8494';
const [BLUE, ORANGE, RED] = ['#2563eb', '#d9730d', '#c81e3a'] as const;

/** An event that may explain a change: a version that went live, a producer that changed its messages. */
export interface Mark {
  readonly at: number;
  readonly label: string;
  readonly tone?: 'version' | 'schema';
}

interface Scale {
  readonly from: number;
  readonly to: number;
  x(at: number): number;
  y(value: number): number;
}

function scaleOf(from: number, to: number, low: number, high: number): Scale {
  const width = to - from || 1;
  const height = high - low || 1;
  return {
    ...{ from, to },
    x: (at) => LEFT + ((at - from) / width) * (WIDTH - LEFT - RIGHT),
    y: (value) => TOP + (1 - (value - low) / height) * (HEIGHT - BOTTOM - TOP),
  };
}

const points = (list: readonly (readonly [number, number])[]) =>
  list.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');

const text = (x: number, y: number, label: string, more = '', fill: string = MUTED) =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" font-size="12" fill="${fill}" ${more}>${escaped(label)}</text>`;

/** Grid, values on the left, times below. */
function frame(scale: Scale, low: number, high: number, body: string, title: string, spanMs: number): string {
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => low + share * (high - low));
  const lines = ticks.map((value) => {
    const y = scale.y(value);
    return `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y.toFixed(1)}" y2="${y.toFixed(1)}" stroke="${MUTED}" stroke-opacity=".25"/>${text(LEFT - 8, y + 4, String(Number(value.toPrecision(3))), 'text-anchor="end"')}`;
  });
  const isDays = scale.to - scale.from > 2 * DAY_MS || spanMs >= DAY_MS;
  const count = Math.min(7, Math.max(2, Math.round((scale.to - scale.from) / spanMs) + 1));
  const times = Array.from({ length: count }, (_v, at) => {
    const moment = scale.from + ((scale.to - scale.from) * at) / (count - 1);
    const iso = new Date(moment).toISOString();
    const anchor = at === 0 ? 'start' : at === count - 1 ? 'end' : 'middle';
    return text(
      scale.x(moment),
      HEIGHT - 8,
      isDays ? iso.slice(0, 10) : iso.slice(11, 16),
      `text-anchor="${anchor}"`,
    );
  });
  return svg(title, `${lines.join('')}${times.join('')}${body}`);
}

const svg = (title: string, body: string, height = HEIGHT): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" role="img" aria-label="${escaped(title)}">${body}</svg>`;

function legend(entries: readonly (readonly [label: string, color: string, dash: string])[]): string {
  let x = LEFT;
  return entries
    .map(([label, color, dash]) => {
      const from = x;
      x += 40 + label.length * 6.6;
      return `<line x1="${from}" x2="${from + 20}" y1="12" y2="12" stroke="${color}" stroke-width="2.5"${dash}/>${text(from + 26, 16, label)}`;
    })
    .join('');
}

function marksOf(scale: Scale, marks: readonly Mark[]): string {
  return marks
    .filter(({ at }) => at >= scale.from && at <= scale.to)
    .map(({ at, label, tone }, index) => {
      const x = scale.x(at);
      const color = tone === 'schema' ? RED : MUTED;
      const anchor = x > WIDTH - 150 ? `text-anchor="end" dx="-8"` : '';
      return `<line x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}" stroke="${color}" stroke-dasharray="2 3"/>${text(x + 4, TOP + 12 + (index % 3) * 14, label, anchor)}`;
    })
    .join('');
}

/**
 * The metric over time with its intervals: measured with labels (line), estimated without (dashed), and marked events.
 * Plain SVG.
 */
export function qualityChart(
  quality: readonly Quality[],
  marks: readonly Mark[] = [],
  names?: Names,
): string {
  const values = quality.flatMap(({ measured, estimated }) =>
    [measured, estimated].filter((one) => one !== null),
  );
  if (values.length === 0) return '<p class="muted">No labels yet.</p>';
  const from = Math.min(...quality.map(({ at }) => at));
  const to = Math.max(...quality.map(({ at }) => at));
  const isShare = isBetterHigher(quality[0]!.metric);
  const low = Math.max(0, Math.min(...values.map((one) => one.low)) - 0.02);
  const top = Math.max(...values.map((one) => one.high)) + 0.02;
  const high = isShare ? Math.min(1, top) : top;
  const pad = to === from ? DAY_MS : 0;
  const scale = scaleOf(from - pad, to + pad, low, high);
  const line = (pick: 'measured' | 'estimated', color: string, dash: string) => {
    const own = quality.flatMap((one) => (one[pick] ? [{ at: one.at, ...one[pick] }] : []));
    const band = [
      ...own.map(({ at, high: upper }) => [scale.x(at), scale.y(Math.min(high, upper))] as const),
      ...own.toReversed().map(({ at, low: lower }) => [scale.x(at), scale.y(Math.max(low, lower))] as const),
    ];
    const middle = own.map(({ at, value }) => [scale.x(at), scale.y(value)] as const);
    const dots = middle.map(
      ([x, y]) => `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="3.5" fill="${color}"/>`,
    );
    return `<polygon points="${points(band)}" fill="${color}" opacity=".12"/><polyline points="${points(middle)}" fill="none" stroke="${color}" stroke-width="2"${dash}/>${dots.join('')}`;
  };
  const key = legend([
    ['measured with labels, 95 % interval', BLUE, ''],
    ['estimated before they came', ORANGE, ' stroke-dasharray="5 4"'],
  ]);
  const body = `${line('estimated', ORANGE, ' stroke-dasharray="6 4"')}${line('measured', BLUE, '')}${marksOf(scale, marks)}${key}`;
  if (names) return named(scale, low, high, body, `${quality[0]!.metric} over time`, names);
  return frame(scale, low, high, body, `${quality[0]!.metric} over time`, DAY_MS);
}

/** Labels below the time axis, instead of dates. */
export type Names = readonly (readonly [at: number, name: string])[];

function named(scale: Scale, low: number, high: number, body: string, title: string, names: Names): string {
  const framed = frame(scale, low, high, body, title, Number.POSITIVE_INFINITY);
  const labels = names
    .map(([at, name]) => text(scale.x(at), HEIGHT - 8, name, 'text-anchor="middle"'))
    .join('');
  // Replaces the dates that the frame has in the same place.
  return framed
    .replaceAll(
      new RegExp(`<text [^>]*y="${(HEIGHT - 8).toFixed(1)}"[^>]*>\\d{4}-\\d{2}-\\d{2}</text>`, 'g'),
      '',
    )
    .replace('</svg>', `${labels}</svg>`);
}

/** Calls by hour with the expected calls, and errors below them. */
export function rateChart(hours: readonly HourOfCalls[], marks: readonly Mark[] = []): string {
  if (hours.length === 0) return '<p class="muted">No calls.</p>';
  const pad = hours.length === 1 ? 3_600_000 : 0;
  const from = hours[0]!.at - pad;
  const to = hours.at(-1)!.at + pad;
  const high = Math.max(...hours.map(({ calls }) => calls), 1);
  const scale = scaleOf(from, to, 0, high);
  const calls = hours.map((hour) => [scale.x(hour.at), scale.y(hour.calls)] as const);
  const errors = hours.map((hour) => [scale.x(hour.at), scale.y(hour.errors)] as const);
  const area = [...calls, [calls.at(-1)![0], scale.y(0)] as const, [calls[0]![0], scale.y(0)] as const];
  const body = `<polygon points="${points(area)}" fill="${BLUE}" opacity=".12"/><polyline points="${points(calls)}" fill="none" stroke="${BLUE}" stroke-width="2"/>${calls.length === 1 ? `<circle cx="${calls[0]![0]}" cy="${calls[0]![1]}" r="3.5" fill="${BLUE}"/>` : ''}<polyline points="${points(errors)}" fill="none" stroke="${RED}" stroke-width="1.5"/>${marksOf(scale, marks)}${legend(
    [
      ['calls an hour', BLUE, ''],
      ['failed', RED, ''],
    ],
  )}`;
  return frame(scale, 0, high, body, 'calls by hour', 3_600_000);
}

/** One row per feature, one cell per time: darker cells are further from the baseline. `limit` is the alarm threshold. */
export function driftMap(
  rows: readonly { readonly name: string; readonly effects: readonly (number | null)[] }[],
  names: readonly string[],
  limit: number,
): string {
  const [left, cell, top] = [210, 26, 24];
  const width = (WIDTH - left - RIGHT) / Math.max(1, names.length);
  const heads = names.map((name, at) => text(left + (at + 0.5) * width, 16, name, 'text-anchor="middle"'));
  const lines = rows.map(({ name, effects }, row) => {
    const y = top + row * cell;
    const cells = effects.map((effect, at) => {
      const shade = effect === null ? 0 : Math.min(1, effect / (4 * limit));
      const isOver = effect !== null && effect >= limit;
      const label = effect === null ? '-' : effect.toFixed(2);
      return `<rect x="${(left + at * width + 1).toFixed(1)}" y="${y + 1}" width="${(width - 2).toFixed(1)}" height="${cell - 2}" rx="3" fill="${isOver ? RED : BLUE}" fill-opacity="${(0.06 + 0.6 * shade).toFixed(2)}"/>${text(left + (at + 0.5) * width, y + 17, label, `text-anchor="middle"${isOver ? ' font-weight="700"' : ''}`, isOver && shade > 0.6 ? '#ffffff' : isOver ? RED : MUTED)}`;
    });
    return `${text(left - 10, y + 17, name, 'text-anchor="end"')}${cells.join('')}`;
  });
  return svg('drift by feature and time', `${heads.join('')}${lines.join('')}`, top + rows.length * cell + 6);
}
