import { useSearchParams } from 'wouter';
import { useComparison, useModel, useVersionGate } from '../api/queries.ts';
import type { ModelDetails, Version, VersionAnswers } from '../api/types.ts';
import { Card, TableFrame } from '../components/card.tsx';
import { GateTable } from '../components/gate-table.tsx';
import { ModelTabs, Page } from '../components/page.tsx';
import { Answer, Empty } from '../components/states.tsx';
import { formatCount, formatMetric, formatMs, formatShare, metricName } from '../number-format.ts';
import { DisagreementCard } from './disagreement-card.tsx';

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
      <Gates model={details.model.name} versions={[a.version, b.version]} />
      <Answers model={details.model.name} a={a.version} b={b.version} />
    </>
  );
}

/** What the gates of both versions found, slice by slice. */
function Gates({ model, versions }: { model: string; versions: readonly number[] }) {
  return versions.map((version) => <GateOf key={version} model={model} version={version} />);
}

function GateOf({ model, version }: { model: string; version: number }) {
  const gate = useVersionGate(model, version).data;
  if (!gate || (gate.checks ?? []).length === 0) return null;
  return (
    <Card
      title={`Gate of version ${version}`}
      flush
      aside={<span className="note">whole, by slice and on corrections</span>}
    >
      <GateTable gate={gate} />
    </Card>
  );
}

/** How both answered lately: their scores, what came of them, and how fast. */
function Answers({ model, a, b }: { model: string; a: number; b: number }) {
  const query = useComparison(model, a, b);
  return (
    <Answer query={query}>
      {(both) => (
        <>
          <div className="grid two">
            <Card title="Score distributions" aside={<Keys a={a} b={b} />}>
              <Distributions a={both.a} b={both.b} />
            </Card>
            <Card
              title="Calibration"
              flush
              aside={<span className="note">outcomes that name their prediction</span>}
            >
              <Calibration a={both.a} b={both.b} />
            </Card>
          </div>
          <DisagreementCard disagreement={both.disagreement} />
          <Card title="Answers of the last seven days" flush>
            <TableFrame label="Answers of the last seven days">
              <thead>
                <tr>
                  <th>Version</th>
                  <th className="number">Answers</th>
                  <th className="number">Failed</th>
                  <th className="number">p50</th>
                  <th className="number">p99</th>
                </tr>
              </thead>
              <tbody>
                {[both.a, both.b].map((each) => (
                  <tr key={each.version}>
                    <td>Version {each.version}</td>
                    <td className="number">{formatCount(each.answers)}</td>
                    <td className="number">
                      {each.answers > 0 ? formatShare(each.errors / each.answers, 2) : '–'}
                    </td>
                    <td className="number">{formatMs(each.p50Ms)}</td>
                    <td className="number">{formatMs(each.p99Ms)}</td>
                  </tr>
                ))}
              </tbody>
            </TableFrame>
          </Card>
        </>
      )}
    </Answer>
  );
}

function Keys({ a, b }: { a: number; b: number }) {
  return (
    <span className="row">
      <span className="key">Version {a}</span>
      <span className="key second">Version {b}</span>
    </span>
  );
}

function Distributions({ a, b }: { a: VersionAnswers; b: VersionAnswers }) {
  const bins = Math.max(a.scores.length, b.scores.length);
  if (bins === 0) return <Empty title="Neither version gave scores lately" />;
  const most = Math.max(...a.scores, ...b.scores);
  return (
    <figure>
      <div className="bars" aria-hidden="true">
        {Array.from({ length: bins }, (_, bin) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: bins keep their order
          <span key={bin} className="pair">
            <span style={{ height: `${((a.scores[bin] ?? 0) / most) * 100}%` }} />
            <span style={{ height: `${((b.scores[bin] ?? 0) / most) * 100}%` }} />
          </span>
        ))}
      </div>
      <div className="scale" aria-hidden="true">
        <span>0</span>
        <span>score</span>
        <span>1</span>
      </div>
      <figcaption className="visually-hidden">
        The mean score is {meanScore(a)} for version {a.version} and {meanScore(b)} for version {b.version}.
      </figcaption>
    </figure>
  );
}

function meanScore({ scores }: VersionAnswers): string {
  const mean = scores.reduce((sum, share, bin) => sum + share * ((bin + 0.5) / scores.length), 0);
  return scores.length === 0 ? 'unknown' : mean.toFixed(2);
}

function Calibration({ a, b }: { a: VersionAnswers; b: VersionAnswers }) {
  const rows = [a, b].flatMap((each) =>
    each.calibration.map((point) => ({ ...point, version: each.version })),
  );
  if (rows.length === 0)
    return (
      <Empty title="No outcomes to compare with">
        Calibration needs outcomes of 0 or 1 that name their prediction.
      </Empty>
    );
  return (
    <TableFrame label="Calibration">
      <thead>
        <tr>
          <th>Version</th>
          <th className="number">Mean score</th>
          <th className="number">Positive</th>
          <th className="number">Outcomes</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={`${row.version}-${row.score}`}>
            <td>v{row.version}</td>
            <td className="number">{row.score.toFixed(3)}</td>
            <td className="number">{row.positive.toFixed(3)}</td>
            <td className="number">{formatCount(row.outcomes)}</td>
          </tr>
        ))}
      </tbody>
    </TableFrame>
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
