import { useSearchParams } from 'wouter';
import { type CallerReport, type FeatureReport, useMonitoring } from '../api/monitoring-queries.ts';
import { Badge } from '../components/badge.tsx';
import { Card, TableFrame } from '../components/card.tsx';
import { ModelTabs, Page } from '../components/page.tsx';
import { Segments } from '../components/segments.tsx';
import { Answer, Empty } from '../components/states.tsx';
import { formatCount, formatShare } from '../number-format.ts';

const SINCE = [
  ['1h', '1 hour'],
  ['1d', '1 day'],
  ['7d', '7 days'],
  ['30d', '30 days'],
] as const;

/** What the model sees now against what it was trained on. */
export function FeaturesScreen({ model }: { model: string }) {
  const [search, setSearch] = useSearchParams();
  const since = search.get('since') ?? '1d';
  const query = useMonitoring(model, since);
  return (
    <Page title={model}>
      <ModelTabs model={model} />
      <Card
        title="Features now against training"
        flush
        aside={
          <Segments
            label="Since"
            options={SINCE}
            value={since}
            onChange={(value) => setSearch({ since: value })}
          />
        }
      >
        <Answer query={query} lines={8}>
          {({ features, baseline, gaps }) =>
            features.length === 0 ? (
              <Empty title="Nothing to compare yet">
                {gaps.features ?? 'Features are summarised once predictions are logged.'}
              </Empty>
            ) : (
              <>
                <FeatureTable features={features} />
                <div className="card-foot tiny faint row">
                  {baseline === null ? gaps.baseline : `Compared with ${baseline}.`}
                </div>
              </>
            )
          }
        </Answer>
      </Card>
      <Card title="Callers" flush>
        <Answer query={query} lines={3}>
          {({ calls, gaps }) =>
            calls.length === 0 ? (
              <Empty title="No calls in this time" icon="clock">
                {gaps.calls}
              </Empty>
            ) : (
              <CallerTable calls={calls} />
            )
          }
        </Answer>
      </Card>
    </Page>
  );
}

/** Who asks, by version and variant. */
function CallerTable({ calls }: { calls: readonly CallerReport[] }) {
  return (
    <TableFrame label="Callers">
      <thead>
        <tr>
          <th>Caller</th>
          <th>Version</th>
          <th className="number">Calls</th>
          <th className="number">Answered</th>
          <th className="number">Degraded</th>
        </tr>
      </thead>
      <tbody>
        {calls.slice(0, 50).map((one) => (
          <tr key={`${one.caller} ${one.version} ${one.variant}`}>
            <td className="mono">{one.caller === '' ? 'no key' : one.caller}</td>
            <td>{one.version === 0 ? 'refused at the door' : `${one.version} ${one.variant}`}</td>
            <td className="number">{formatCount(one.calls)}</td>
            <td className="number">{formatShare((one.calls - one.errors) / Math.max(1, one.calls))}</td>
            <td className="number">{formatShare(one.degraded / Math.max(1, one.calls))}</td>
          </tr>
        ))}
      </tbody>
    </TableFrame>
  );
}

function FeatureTable({ features }: { features: readonly FeatureReport[] }) {
  return (
    <TableFrame label="Features now against training">
      <thead>
        <tr>
          <th>Feature</th>
          <th>In training</th>
          <th>Now</th>
          <th className="number">Rows</th>
          <th className="number">Missing</th>
          <th className="number">Out of range</th>
          <th>Drift</th>
        </tr>
      </thead>
      <tbody>
        {features.map((feature) => (
          <tr key={feature.name}>
            <td>
              <span className="strong">{feature.name === '$score' ? 'score' : feature.name}</span>{' '}
              <span className="faint tiny">{feature.kind}</span>
            </td>
            <td className="soft clip">{feature.before || '–'}</td>
            <td className="clip">{feature.now || '–'}</td>
            <td className="number">{formatCount(feature.rows)}</td>
            <td className="number">{formatShare(feature.missingShare)}</td>
            <td className="number">{formatShare(feature.outOfRangeShare)}</td>
            <td>
              <Drift feature={feature} />
            </td>
          </tr>
        ))}
      </tbody>
    </TableFrame>
  );
}

function Drift({ feature: { drift } }: { feature: FeatureReport }) {
  if (!drift) return <span className="faint">–</span>;
  const over = drift.low >= drift.threshold;
  return (
    <span className="row">
      <span
        className={over ? 'drift over' : 'drift'}
        title={`${drift.low.toFixed(3)} to ${drift.high.toFixed(3)}`}
      >
        <span
          className="level"
          style={{ width: `${Math.min(100, (drift.effect / (drift.threshold * 2)) * 100)}%` }}
        />
      </span>
      <span className="number tiny">{drift.effect.toFixed(3)}</span>
      {over && <Badge tone="bad">drifted</Badge>}
    </span>
  );
}
