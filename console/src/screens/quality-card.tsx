import { useMemo, useState } from 'react';
import { type MonitoringReport, useMonitoring } from '../api/monitoring-queries.ts';
import type { ModelDetails } from '../api/types.ts';
import { Card } from '../components/card.tsx';
import { LazyChart } from '../components/lazy-chart.tsx';
import { Segments } from '../components/segments.tsx';
import { Answer, Empty } from '../components/states.tsx';
import { formatMetric, metricName } from '../number-format.ts';

const SINCE = [
  ['1d', '1 day'],
  ['7d', '7 days'],
  ['30d', '30 days'],
] as const;

/** Quality over time, with the moments at which a version went live. */
export function QualityCard({ details }: { details: ModelDetails }) {
  const [since, setSince] = useState('1d');
  const query = useMonitoring(details.model.name, since);
  const metric = query.data?.quality[0]?.metric;
  return (
    <Card
      title={metric === undefined ? 'Quality' : `Quality: ${metricName(metric)}`}
      aside={<Segments label="Since" options={SINCE} value={since} onChange={setSince} />}
    >
      <Answer query={query}>{(report) => <QualityChart report={report} details={details} />}</Answer>
    </Card>
  );
}

function QualityChart({ report, details }: { report: MonitoringReport; details: ModelDetails }) {
  const points = useMemo(
    () =>
      report.quality
        .filter(({ measured, estimated }) => measured !== null || estimated !== null)
        .toSorted((a, b) => a.at - b.at),
    [report.quality],
  );
  const at = useMemo(() => [...new Set(points.map((point) => point.at))], [points]);
  const series = useMemo(() => {
    const valueAt = (read: (point: (typeof points)[number]) => number | undefined) =>
      at.map((moment) => {
        const values = points.flatMap((point) => (point.at === moment ? (read(point) ?? []) : []));
        return values.at(-1) ?? null;
      });
    return [
      {
        label: 'Measured on outcomes',
        values: valueAt(({ measured }) => measured?.value),
        format: formatMetric,
        color: 1 as const,
      },
      {
        label: 'Estimated without them',
        values: valueAt(({ estimated }) => estimated?.value),
        format: formatMetric,
        color: 3 as const,
        dashed: true,
      },
    ];
  }, [at, points]);
  const boundaries = useMemo(
    () => [
      ...details.history
        .filter(({ action }) => action === 'promote' || action === 'rollback')
        .map(({ at: moment, version }) => ({ at: moment, label: `v${version}` })),
      // A producer that changed its messages explains a fall as a version does.
      ...report.incidents.flatMap(({ evidence: { producer } }) =>
        producer ? [{ at: producer.firstAt, label: `${producer.field} changed` }] : [],
      ),
    ],
    [details.history, report.incidents],
  );
  if (at.length === 0)
    return (
      <Empty title="Nothing was measured yet" icon="clock">
        {report.gaps.quality ?? 'Quality is measured by the day, once outcomes have arrived.'}
      </Empty>
    );
  return (
    <>
      <LazyChart label="Quality over time" at={at} series={series} boundaries={boundaries} />
      <SliceList report={report} />
    </>
  );
}

/** The newest week of each slice, and how far estimates were off. */
function SliceList({ report: { slices, estimatorError, gaps } }: { report: MonitoringReport }) {
  return (
    <>
      {gaps.decay && <p className="tiny faint">{gaps.decay}</p>}
      {estimatorError && (
        <p className="tiny faint">
          Estimates were off by {formatMetric(estimatorError.mean)} on average over {estimatorError.days} days
          with outcomes.
        </p>
      )}
      {slices.length > 0 && (
        <ul className="small">
          {slices.map(({ slice, measured, rows }) => (
            <li key={slice} className="row spread">
              <span>{slice}</span>
              <span className="mono">{measured ? formatMetric(measured.value) : 'no outcomes'}</span>
              <span className="faint">{rows} rows</span>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
