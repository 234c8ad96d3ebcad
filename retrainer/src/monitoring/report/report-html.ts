import { costText } from '../notify/alert-body.ts';
import { percent, short } from '../signals/judge-features.ts';
import { qualityChart, rateChart } from './charts.ts';
import type { MonitoringReport } from './monitoring-report.ts';

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#1d2430}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%;font-size:13px}
th,td{text-align:left;padding:.35rem .5rem;border-bottom:1px solid #d9dee7;vertical-align:top}
.critical{color:#a3001b}.warning{color:#8a5a00}.muted{color:#5c6675}svg{width:100%;height:auto}
@media(prefers-color-scheme:dark){body{background:#12161d;color:#e4e8ef}th,td{border-color:#333c49}.critical{color:#ff8d9c}.warning{color:#f0c060}.muted{color:#9aa5b4}}`;

/** The report as one file: no scripts, nothing is fetched. All text from outside is escaped. */
export function reportHtml(report: MonitoringReport): string {
  const { model, version, since, until } = report;
  const day = (at: number) => new Date(at).toISOString().slice(0, 16).replace('T', ' ');
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Monitoring of ${escaped(model)}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"><style>${STYLE}</style></head><body>
<h1>Monitoring of ${escaped(model)}</h1>
<p class="muted">version ${version ?? 'none live'}, ${day(since)} to ${day(until)} UTC, compared with ${escaped(report.baseline ?? 'nothing yet')}</p>
<h2>Incidents</h2>${incidentTable(report)}
<h2>Quality</h2>${qualityChart(report.quality, report.versions)}
<h2>Calls by hour</h2>${rateChart(report.hours)}${callTable(report)}
<h2>Features</h2>${featureTable(report)}
<h2>Not judged</h2>${notJudgedList(report)}
</body></html>
`;
}

function incidentTable({ incidents }: MonitoringReport): string {
  if (incidents.length === 0) return '<p>None.</p>';
  const rows = incidents.map(
    (one) =>
      `<tr><td class="${one.severity}">${one.severity}</td><td>${one.state}</td><td>${escaped(one.title)}</td><td>${escaped(costText(one.cost))}</td><td>${new Date(one.openedAt).toISOString().slice(0, 16)}</td></tr>`,
  );
  return table(['severity', 'state', 'what', 'estimated cost', 'opened'], rows);
}

function callTable({ calls, queueMs, runMs, duplicateShare }: MonitoringReport): string {
  const rows = calls.map(
    (one) =>
      `<tr><td>${one.version}</td><td>${escaped(one.variant)}</td><td>${escaped(one.caller)}</td><td>${one.calls}</td><td>${percent((one.calls - one.errors) / Math.max(1, one.calls))}</td><td>${escaped(
        Object.entries(one.codes)
          .map(([code, count]) => `${code} ${count}`)
          .join(', '),
      )}</td><td>${percent(one.degraded / Math.max(1, one.calls))}</td></tr>`,
  );
  const latency = [
    ['queue', queueMs],
    ['run', runMs],
  ] as const;
  const lines = latency.flatMap(([name, one]) =>
    one ? [`${name} p50 ${short(one.p50)} ms, p99 ${short(one.p99)} ms`] : [],
  );
  if (duplicateShare !== null) lines.push(`about ${percent(duplicateShare)} of rows are repeats`);
  return `${table(['version', 'variant', 'caller', 'calls', 'answered', 'errors', 'degraded'], rows)}<p class="muted">${lines.join('; ')}</p>`;
}

function featureTable({ features }: MonitoringReport): string {
  const rows = features.map((one) => {
    const isLarge = one.drift !== null && one.drift.effect >= one.drift.threshold;
    const drift = one.drift
      ? `${short(one.drift.effect)} (${short(one.drift.low)} to ${short(one.drift.high)})`
      : '-';
    return `<tr><td>${escaped(one.name)}</td><td>${one.rows}</td><td>${percent(one.missingShare)}</td><td>${percent(one.outOfRangeShare)}</td><td>${escaped(one.before)}</td><td>${escaped(one.now)}</td><td class="${isLarge ? 'critical' : ''}">${drift}</td></tr>`;
  });
  return table(['feature', 'rows', 'missing', 'out of range', 'before', 'now', 'drift'], rows);
}

function notJudgedList({ notJudged }: MonitoringReport): string {
  if (notJudged.length === 0) return '<p>Everything was judged.</p>';
  const lines = notJudged.map(
    ({ feature, reason }) => `<li>${escaped(feature ?? 'the model')}: ${escaped(reason)}</li>`,
  );
  return `<ul>${lines.join('')}</ul>`;
}

function table(heads: readonly string[], rows: readonly string[]): string {
  return `<table><thead><tr>${heads.map((head) => `<th>${head}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
