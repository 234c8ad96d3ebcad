import { lazy, Suspense } from 'react';
import type { ChartProps } from './time-chart.tsx';

const TimeChart = lazy(async () => ({ default: (await import('./time-chart.tsx')).TimeChart }));

/** The chart library is loaded when the first chart is shown. */
export function LazyChart(props: ChartProps) {
  return (
    <Suspense fallback={<div className="skeleton block" />}>
      <TimeChart {...props} />
    </Suspense>
  );
}
