import { type ReactNode, useMemo, useState } from 'react';
import { useTraffic } from '../api/queries.ts';
import type { ModelDetails, Traffic } from '../api/types.ts';
import { Card } from '../components/card.tsx';
import { LazyChart } from '../components/lazy-chart.tsx';
import { Segments } from '../components/segments.tsx';
import { Answer, Empty } from '../components/states.tsx';
import { formatCount, formatMs } from '../number-format.ts';

const WINDOWS = [
  ['5m', '5 min'],
  ['30m', '30 min'],
  ['1d', '1 day'],
] as const;
const PER_STEP: Readonly<Record<string, string>> = {
  '5m': 'Requests in 10 s',
  '30m': 'Requests a minute',
  '1d': 'Requests in half an hour',
};

/** Requests and latency over time, with the moments at which a version went live. */
export function TrafficCards({ details }: { details: ModelDetails }) {
  const [window, setWindow] = useState('5m');
  const query = useTraffic(details.model.name, window);
  const choice = <Segments label="Time shown" options={WINDOWS} value={window} onChange={setWindow} />;
  const boundaries = useMemo(
    () =>
      details.history
        .filter(({ action }) => action === 'promote' || action === 'rollback')
        .map(({ at, version }) => ({ at, label: `v${version}` })),
    [details.history],
  );
  return (
    <Answer query={query}>
      {(traffic) =>
        traffic === null ? (
          <Card title="Traffic" aside={choice}>
            <Empty title="Nobody asked in this time" icon="clock" />
          </Card>
        ) : (
          <Charts
            traffic={traffic}
            label={PER_STEP[window] ?? 'Requests'}
            boundaries={boundaries}
            choice={choice}
          />
        )
      }
    </Answer>
  );
}

function Charts({
  traffic,
  label,
  boundaries,
  choice,
}: {
  traffic: Traffic;
  label: string;
  boundaries: readonly { readonly at: number; readonly label: string }[];
  choice: ReactNode;
}) {
  // The step that has just begun is not over: it would always look like a fall.
  const points = useMemo(() => traffic.points.slice(0, -1), [traffic]);
  const at = useMemo(() => points.map((point) => point.at), [points]);
  const requests = useMemo(
    () => [{ label, values: points.map((point) => point.requests), format: formatCount }],
    [points, label],
  );
  const latency = useMemo(
    () => [
      { label: 'p50', values: points.map((point) => point.p50Ms), format: formatMs, color: 2 as const },
      { label: 'p99', values: points.map((point) => point.p99Ms), format: formatMs, color: 3 as const },
    ],
    [points],
  );
  return (
    <div className="grid two">
      <Card title="Traffic" aside={choice}>
        <LazyChart label={`${label}, over time`} at={at} series={requests} boundaries={boundaries} from={0} />
      </Card>
      <Card title="Latency" aside={<span className="note">waiting and running in compute</span>}>
        <LazyChart label="Latency over time" at={at} series={latency} boundaries={boundaries} from={0} />
      </Card>
    </div>
  );
}
