const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

/** 1,234; 12.3K from a hundred thousand on. */
export function formatCount(value: number): string {
  return value < 100_000 ? whole.format(value) : compact.format(value);
}

export function formatShare(share: number, digits = 1): string {
  return `${(share * 100).toFixed(digits)}%`;
}

/** Outcomes for each prediction: a share while at most one comes, else how many. */
export function formatRate(rate: number): string {
  return rate <= 1 ? formatShare(rate, 0) : `${rate.toFixed(1)} each`;
}

/** Four digits: enough to tell two versions apart. Whole numbers, such as epochs, without. */
export function formatMetric(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  return Number.isInteger(value) ? formatCount(value) : value.toFixed(4);
}

export function formatMs(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  if (value >= 10_000) return `${(value / 1000).toFixed(0)} s`;
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`;
  return value >= 10 ? `${value.toFixed(0)} ms` : `${value.toFixed(1)} ms`;
}

export function formatBytes(value: number): string {
  if (value >= 1 << 30) return `${(value / (1 << 30)).toFixed(1)} GB`;
  if (value >= 1 << 20) return `${(value / (1 << 20)).toFixed(0)} MB`;
  return `${Math.ceil(value / 1024)} KB`;
}

export function formatFeature(value: number): string {
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return size >= 1000 || size < 0.001 ? value.toExponential(2) : value.toPrecision(4);
}

const UNITS: readonly (readonly [number, string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
];

/** 3 min, 2 h, 5 d: the largest unit that fits. */
export function formatAge(ms: number): string {
  for (const [size, unit] of UNITS) if (ms >= size) return `${Math.floor(ms / size)} ${unit}`;
  return 'now';
}

const METRIC_NAMES: Readonly<Record<string, string>> = {
  auc: 'AUC',
  log_loss: 'Log loss',
  ndcg: 'NDCG',
  rmse: 'RMSE',
  accuracy: 'Accuracy',
};

export function metricName(name: string): string {
  if (name.startsWith('live_')) return `${metricName(name.slice('live_'.length))} of live`;
  if (name.startsWith('constant_')) return `${metricName(name.slice('constant_'.length))} of a constant`;
  const text = name.replaceAll('_', ' ');
  return METRIC_NAMES[name] ?? text.charAt(0).toUpperCase() + text.slice(1);
}
