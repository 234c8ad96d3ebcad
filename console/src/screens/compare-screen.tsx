import { useSearchParams } from 'wouter';
import { useModel } from '../api/queries.ts';
import type { ModelDetails, Version } from '../api/types.ts';
import { Card, TableFrame } from '../components/card.tsx';
import { ModelTabs, Page } from '../components/page.tsx';
import { Answer, Empty } from '../components/states.tsx';
import { formatMetric, metricName } from '../number-format.ts';

export function CompareScreen({ model }: { model: string }) {
  const query = useModel(model);
  return (
    <Page title={model}>
      <ModelTabs model={model} />
      <Answer query={query}>{(details) => <Comparison details={details} />}</Answer>
    </Page>
  );
}

function Comparison({ details }: { details: ModelDetails }) {
  const { versions } = details;
  const [search, setSearch] = useSearchParams();
  const find = (text: string | null) => versions.find(({ version }) => String(version) === text);
  const live = versions.find(({ state }) => state === 'live');
  const a = find(search.get('a')) ?? live ?? versions[1];
  const b = find(search.get('b')) ?? versions.find((version) => version !== a);
  if (!a || !b)
    return (
      <Card>
        <Empty title="There is only one version">
          Two are needed to compare. Train, or push the next one.
        </Empty>
      </Card>
    );
  const choose = (which: 'a' | 'b', version: string) =>
    setSearch({ a: String(a.version), b: String(b.version), [which]: version });
  const names = [...new Set([...Object.keys(a.metrics), ...Object.keys(b.metrics)])];
  return (
    <>
      <div className="row">
        <Choice label="Compare" versions={versions} value={a} onChange={(value) => choose('a', value)} />
        <Choice label="with" versions={versions} value={b} onChange={(value) => choose('b', value)} />
      </div>
      <Card title="Metrics" flush>
        {names.length === 0 ? (
          <Empty title="Neither version was measured">
            Versions that were pushed carry no metrics of ours.
          </Empty>
        ) : (
          <TableFrame label="Metrics">
            <thead>
              <tr>
                <th>Metric</th>
                <th className="number">Version {a.version}</th>
                <th className="number">Version {b.version}</th>
                <th className="number">Difference</th>
              </tr>
            </thead>
            <tbody>
              {names.map((name) => (
                <tr key={name}>
                  <td>{metricName(name)}</td>
                  <td className="number">{formatMetric(a.metrics[name])}</td>
                  <td className="number">{formatMetric(b.metrics[name])}</td>
                  <td className="number">{difference(a.metrics[name], b.metrics[name])}</td>
                </tr>
              ))}
            </tbody>
          </TableFrame>
        )}
      </Card>
    </>
  );
}

function difference(a: number | undefined, b: number | undefined): string {
  if (a === undefined || b === undefined) return '–';
  return `${b - a >= 0 ? '+' : '−'}${Math.abs(b - a).toFixed(4)}`;
}

function Choice({
  label,
  versions,
  value,
  onChange,
}: {
  label: string;
  versions: readonly Version[];
  value: Version;
  onChange: (version: string) => void;
}) {
  return (
    <label className="row small">
      {label}
      <select
        className="input select"
        value={String(value.version)}
        onChange={(event) => onChange(event.target.value)}
      >
        {versions.map(({ version, state }) => (
          <option key={version} value={String(version)}>
            Version {version} ({state})
          </option>
        ))}
      </select>
    </label>
  );
}
