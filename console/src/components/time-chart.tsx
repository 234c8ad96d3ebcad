import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useTheme } from '../theme.ts';
import { timeRange, valueRange } from './axis-range.ts';

export interface Series {
  readonly label: string;
  readonly values: readonly (number | null)[];
  /** How a value is written in the legend and on the axis. */
  readonly format?: (value: number) => string;
  readonly color?: 1 | 2 | 3 | 4;
  readonly dashed?: boolean;
}

/** A moment drawn in as a line, such as a promotion. */
export interface Boundary {
  readonly at: number;
  readonly label: string;
}

export interface ChartProps {
  /** What the chart says, in words, for those who do not see it. */
  readonly label: string;
  /** Milliseconds since 1970, or steps when `plain`. */
  readonly at: readonly number[];
  readonly series: readonly Series[];
  readonly boundaries?: readonly Boundary[];
  readonly height?: number;
  /** The axis counts steps, not time. */
  readonly plain?: boolean;
  /** The lowest value that the axis must show. */
  readonly from?: number;
}

/** Series over time. The chart takes the width it is given and the colors of the theme. */
export function TimeChart({ label, at, series, boundaries, height = 220, plain = false, from }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const theme = useTheme();

  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme changes the colors that are read from the page
  useEffect(() => {
    const node = place.current;
    if (!node || at.length === 0) return;
    const style = getComputedStyle(node);
    const color = (name: string) => style.getPropertyValue(`--${name}`).trim();
    // A series without any value would be a name in the legend and nothing else.
    const filled = series.filter(({ values }) => values.some((value) => value !== null));
    const shown = filled.length === 0 ? series : filled;
    const format = series[0]?.format ?? ((value: number) => String(value));
    const axis = {
      stroke: color('text-faint'),
      font: `11px ${style.fontFamily}`,
      grid: { stroke: color('chart-grid'), width: 1 },
      ticks: { show: false },
    };
    const left = plain ? (at[0] ?? 0) : (at[0] ?? 0) / 1000;
    const isMoment = at.at(-1) === at[0];
    const options: uPlot.Options = {
      width: node.clientWidth,
      height,
      padding: [12, 20, 0, 0],
      cursor: { y: false, points: { size: 7 } },
      legend: { show: shown.length > 1 },
      scales: {
        x: { time: !plain, ...(isMoment ? { range: () => timeRange(left, plain) } : {}) },
        y: { range: (_plot, low, high) => valueRange(low, high, from) },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 30, space: 70, ...(plain ? {} : { values: clockLabels }) },
        { ...axis, size: 54, values: (_plot, splits) => splits.map(format) },
      ],
      series: [
        plain ? { label: 'Step' } : { label: 'Time', value: (_plot, value) => clock(value) },
        ...shown.map((each, index) => {
          const stroke = color(`chart-${each.color ?? (index % 4) + 1}`);
          return {
            label: each.label,
            stroke,
            width: 1.75,
            spanGaps: true,
            ...(each.dashed ? { dash: [5, 4] } : {}),
            ...(index === 0 && shown.length === 1 ? { fill: `${stroke}18` } : {}),
            points: { show: each.values.filter((value) => value !== null).length < 4, size: 6 },
            value: (_plot: uPlot, value: number | null) =>
              value === null || value === undefined ? '–' : (each.format ?? format)(value),
          };
        }),
      ],
      hooks: { draw: [(plot) => drawBoundaries(plot, boundaries ?? [], color)] },
    };
    const data = [plain ? at : at.map((ms) => ms / 1000), ...shown.map(({ values }) => values)];
    const plot = new uPlot(options, data as unknown as uPlot.AlignedData, node);
    const observer = new ResizeObserver(() => plot.setSize({ width: node.clientWidth, height }));
    observer.observe(node);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [at, series, boundaries, height, plain, from, theme]);

  return <div ref={place} className="chart" role="img" aria-label={label} />;
}

function drawBoundaries(plot: uPlot, boundaries: readonly Boundary[], color: (name: string) => string): void {
  const { ctx, bbox } = plot;
  const scale = devicePixelRatio;
  ctx.save();
  ctx.textAlign = 'left';
  ctx.font = `${11 * scale}px ${getComputedStyle(plot.root).fontFamily}`;
  // From the newest on: what it says still holds, so it is named before an older one beside it.
  let free = bbox.left + bbox.width;
  for (const { at, label } of boundaries.toSorted((a, b) => b.at - a.at)) {
    const x = plot.valToPos(at / 1000, 'x', true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = color('text-faint');
    ctx.setLineDash([3 * scale, 3 * scale]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillStyle = color('text-soft');
    // On the left of its line where it would leave the chart. One that would reach the next line is left out.
    const width = ctx.measureText(label).width + 8 * scale;
    const isAtEdge = x + width > bbox.left + bbox.width;
    if (isAtEdge || x + width <= free)
      ctx.fillText(label, isAtEdge ? x - width + 4 * scale : x + 4 * scale, bbox.top + 10 * scale);
    free = isAtEdge ? x - width : x;
  }
  ctx.restore();
}

const time = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hour12: false });
const precise = new Intl.DateTimeFormat('en', { timeStyle: 'medium', hour12: false });
const day = new Intl.DateTimeFormat('en', { month: 'short', day: 'numeric' });

function clock(seconds: number | null): string {
  return seconds === null || seconds === undefined ? '–' : time.format(seconds * 1000);
}

function clockLabels(_plot: uPlot, splits: number[]): string[] {
  const [first = 0, second = first + 60] = splits;
  const format = (splits.at(-1) ?? 0) - first > 2 * 86_400 ? day : second - first < 60 ? precise : time;
  return splits.map((seconds) => format.format(seconds * 1000));
}
