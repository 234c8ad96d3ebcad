import type { Quality } from '../performance/quality.ts';
import type { HourOfCalls } from '../signals/traffic.ts';

const WIDTH = 900;
const HEIGHT = 240;
const LEFT = 48;
const BOTTOM = 28;

interface Scale {
  x(at: number): number;
  y(value: number): number;
}

function scaleOf(from: number, to: number, low: number, high: number): Scale {
  const width = to - from || 1;
  const height = high - low || 1;
  return {
    x: (at) => LEFT + ((at - from) / width) * (WIDTH - LEFT - 10),
    y: (value) => 10 + (1 - (value - low) / height) * (HEIGHT - BOTTOM - 10),
  };
}

const day = (at: number) => new Date(at).toISOString().slice(0, 10);
const points = (list: readonly (readonly [number, number])[]) =>
  list.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');

function frame(
  scale: Scale,
  low: number,
  high: number,
  from: number,
  to: number,
  body: string,
  title: string,
): string {
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => low + share * (high - low));
  const lines = ticks.map(
    (value) =>
      `<line x1="${LEFT}" x2="${WIDTH - 10}" y1="${scale.y(value).toFixed(1)}" y2="${scale.y(value).toFixed(1)}" stroke="#8884"/><text x="${LEFT - 6}" y="${(scale.y(value) + 4).toFixed(1)}" text-anchor="end" font-size="11" fill="#7a8494">${Number(value.toPrecision(3))}</text>`,
  );
  const labels = `<text x="${LEFT}" y="${HEIGHT - 8}" font-size="11" fill="#7a8494">${day(from)}</text><text x="${WIDTH - 10}" y="${HEIGHT - 8}" font-size="11" text-anchor="end" fill="#7a8494">${day(to)}</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">${lines.join('')}${labels}${body}</svg>`;
}

/**
 * The metric over time with its intervals: measured with labels (line), estimated without (dashed), and where versions
 * were registered (vertical lines). Plain SVG.
 */
export function qualityChart(
  quality: readonly Quality[],
  versions: readonly { readonly version: number; readonly at: number }[] = [],
): string {
  const values = quality
    .flatMap(({ measured, estimated }) => [measured, estimated])
    .filter((one) => one !== null);
  if (values.length === 0) return '<p>No labels yet.</p>';
  const from = Math.min(...quality.map(({ at }) => at));
  const to = Math.max(...quality.map(({ at }) => at), from + 1);
  const low = Math.max(0, Math.min(...values.map((one) => one.low)) - 0.02);
  const high = Math.max(...values.map((one) => one.high)) + 0.02;
  const scale = scaleOf(from, to, low, high);
  const line = (pick: 'measured' | 'estimated', color: string, dash: string) => {
    const own = quality.flatMap((one) => (one[pick] ? [{ at: one.at, ...one[pick] }] : []));
    const band = [
      ...own.map(({ at, high: top }) => [scale.x(at), scale.y(top)] as const),
      ...own.toReversed().map(({ at, low: bottom }) => [scale.x(at), scale.y(bottom)] as const),
    ];
    const middle = own.map(({ at, value }) => [scale.x(at), scale.y(value)] as const);
    return `<polygon points="${points(band)}" fill="${color}" opacity=".15"/><polyline points="${points(middle)}" fill="none" stroke="${color}" stroke-width="2"${dash}/>`;
  };
  const marks = versions
    .filter(({ at }) => at >= from && at <= to)
    .map(
      ({ at, version }) =>
        `<line x1="${scale.x(at).toFixed(1)}" x2="${scale.x(at).toFixed(1)}" y1="10" y2="${HEIGHT - BOTTOM}" stroke="#7a8494" stroke-dasharray="2 3"/><text x="${(scale.x(at) + 3).toFixed(1)}" y="20" font-size="11" fill="#7a8494">v${version}</text>`,
    );
  const key = `<text x="${LEFT + 8}" y="${HEIGHT - BOTTOM - 8}" font-size="12" fill="#2563eb">measured with labels</text><text x="${LEFT + 160}" y="${HEIGHT - BOTTOM - 8}" font-size="12" fill="#c2410c">estimated without (dashed)</text>`;
  const body = `${line('estimated', '#c2410c', ' stroke-dasharray="6 4"')}${line('measured', '#2563eb', '')}${marks.join('')}${key}`;
  return frame(scale, low, high, from, to, body, `${quality[0]!.metric} over time`);
}

/** Calls by hour, errors below them. */
export function rateChart(hours: readonly HourOfCalls[]): string {
  if (hours.length === 0) return '<p>No calls.</p>';
  const from = hours[0]!.at;
  const to = Math.max(hours.at(-1)!.at, from + 1);
  const high = Math.max(...hours.map(({ calls }) => calls), 1);
  const scale = scaleOf(from, to, 0, high);
  const calls = hours.map((hour) => [scale.x(hour.at), scale.y(hour.calls)] as const);
  const errors = hours.map((hour) => [scale.x(hour.at), scale.y(hour.errors)] as const);
  const body = `<polyline points="${points(calls)}" fill="none" stroke="#2563eb" stroke-width="2"/><polyline points="${points(errors)}" fill="none" stroke="#a3001b" stroke-width="1.5"/>`;
  return frame(scale, 0, high, from, to, body, 'calls by hour');
}
