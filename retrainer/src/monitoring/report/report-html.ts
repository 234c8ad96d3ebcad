import type { Incident } from '../incidents/incident.ts';
import { adviceOn, beganAt, costText } from '../notify/alert-body.ts';
import type { Quality } from '../performance/quality.ts';
import { percent, short } from '../signals/judge-features.ts';
import { notJudgedLines } from '../signals/not-judged.ts';
import { type Mark, qualityChart, rateChart } from './charts.ts';
import { escaped } from './escaped.ts';
import type { FeatureReport, MonitoringReport } from './monitoring-report.ts';

const STYLE = `:root{color-scheme:light dark;--line:#d9dee7;--soft:#5c6675;--card:#fff;--page:#f5f6f9;--ink:#1d2430;--bad:#b3122e;--warn:#8a5a00;--good:#1a7f4b}
*{box-sizing:border-box}body{font:15px/1.5 system-ui,sans-serif;margin:0;background:var(--page);color:var(--ink)}
main{max-width:66rem;margin:0 auto;padding:1.5rem 1rem 3rem}h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.05rem;margin:0 0 .6rem}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1rem 1.1rem;margin-top:1rem;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13px}th,td{text-align:left;padding:.38rem .5rem;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:600}tr:last-child td{border-bottom:0}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.8rem;margin-top:1rem}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.7rem .9rem}.tile b{display:block;font-size:1.35rem;line-height:1.3}
.critical{color:var(--bad)}.warning{color:var(--warn)}.good{color:var(--good)}.muted{color:var(--soft)}
.incident{border-left:3px solid var(--soft);padding:.1rem 0 .1rem .8rem;margin:.7rem 0}.incident.critical{border-color:var(--bad);color:inherit}.incident.warning{border-color:var(--warn);color:inherit}
.incident p{margin:.15rem 0}.tag{display:inline-block;border:1px solid var(--line);border-radius:99px;padding:0 .5rem;font-size:12px;margin-right:.4rem}
svg{width:100%;height:auto;display:block}code{font-size:12px}ul{margin:.3rem 0;padding-left:1.2rem}
@media(prefers-color-scheme:dark){:root{--line:#333c49;--soft:#9aa5b4;--card:#191e27;--page:#12161d;--ink:#e4e8ef;--bad:#ff8d9c;--warn:#f0c060;--good:#6fd19d}}
@media print{body{background:#fff}section,.tile{break-inside:avoid}}`;

const day = (at: number) => new Date(at).toISOString().slice(0, 16).replace('T', ' ');

/** The report as one HTML file without scripts or external resources. All text from outside is escaped. */
export function reportHtml(report: MonitoringReport): string {
  const { model, version, since, until } = report;
  const marks = marksOf(report);
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Monitoring of ${escaped(model)}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"><style>${STYLE}</style></head><body><main>
<h1>Monitoring of ${escaped(model)}</h1>
<p class="muted">${version === null ? 'no version live' : `version ${version}`}, ${day(since)} to ${day(until)} UTC, compared with ${escaped(report.baseline ?? 'nothing yet')}</p>
${tiles(report)}
<section><h2>Incidents</h2>${incidentList(report)}</section>
<section><h2>Quality</h2>${report.gaps.quality === undefined ? qualityChart(report.quality, marks) : gap(report.gaps.quality)}${qualityText(report)}${sliceTable(report.slices)}</section>
<section><h2>Calls by hour</h2>${report.gaps.calls === undefined ? `${rateChart(report.hours, marks)}${callTable(report)}` : gap(report.gaps.calls)}</section>
<section><h2>Features</h2>${report.gaps.features === undefined ? featureTable(report) : gap(report.gaps.features)}</section>
<section><h2>Not judged</h2>${notJudgedList(report)}</section>
</main></body></html>
`;
}

/** Why a part is empty; nothing where it is not. */
const gap = (sentence: string | undefined): string =>
  sentence === undefined ? '' : `<p class="muted">${escaped(sentence)}</p>`;

/** Marks for the registration of versions and for changes of producers' messages. */
export function marksOf({ versions, incidents }: Pick<MonitoringReport, 'versions' | 'incidents'>): Mark[] {
  const schema = incidents.flatMap(({ signals }) =>
    signals.flatMap(({ producer }): Mark[] =>
      producer ? [{ at: producer.firstAt, label: `${producer.field} changed`, tone: 'schema' }] : [],
    ),
  );
  return [
    ...versions.map(({ version, at }): Mark => ({ at, label: `v${version}`, tone: 'version' })),
    ...schema,
  ];
}

function tiles({ calls, incidents, quality, features }: MonitoringReport): string {
  const total = calls.reduce((sum, one) => sum + one.calls, 0);
  const failed = calls.reduce((sum, one) => sum + one.errors, 0);
  const open = incidents.filter(({ closedAt }) => closedAt === null);
  const last = quality.findLast(({ measured }) => measured !== null);
  const drifted = features.filter(({ drift }) => drift !== null && drift.effect >= drift.threshold);
  const tile = (label: string, value: string, tone = '') =>
    `<div class="tile"><span class="muted">${label}</span><b class="${tone}">${escaped(value)}</b></div>`;
  return `<div class="tiles">${[
    tile('open incidents', String(open.length), open.length === 0 ? 'good' : 'critical'),
    tile('calls', total.toLocaleString('en')),
    tile(
      'answered',
      total === 0 ? '-' : percent((total - failed) / total),
      failed / Math.max(1, total) > 0.05 ? 'critical' : '',
    ),
    tile(
      last ? `newest ${last.metric}` : 'quality',
      last?.measured ? last.measured.value.toFixed(3) : 'no labels',
    ),
    tile(
      'drifted features',
      features.length === 0 ? '-' : `${drifted.length} of ${features.length}`,
      features.length === 0 ? '' : drifted.length === 0 ? 'good' : 'warning',
    ),
  ].join('')}</div>`;
}

function incidentList({ incidents, silences, gaps }: MonitoringReport): string {
  const silent = silences.map(
    ({ cause, until, reason, actor }) =>
      `<p class="muted">Nothing is sent about ${cause === '' ? 'this model' : escaped(cause)} until ${day(until)} UTC: ${escaped(reason)} (${escaped(actor)})</p>`,
  );
  const found = incidents.length === 0 ? gap(gaps.incidents) : incidents.map(incidentHtml).join('');
  return found + silent.join('');
}

function incidentHtml(one: Incident): string {
  const others = one.signals.filter(({ message }) => message !== one.title).slice(0, 8);
  const { examples = [], producer, action } = one.evidence;
  const where = producer
    ? `<p>Began in field <code>${escaped(producer.field)}</code> of ${producer.topic.startsWith('caller ') ? `the requests of ${escaped(producer.topic)}` : `topic <code>${escaped(producer.topic)}</code>`}${producer.firstOffset === null ? '' : `, partition ${producer.partition}, offset ${escaped(producer.firstOffset)}`}, ${day(producer.firstAt)} UTC.</p>`
    : '';
  const todo = one.closedAt === null ? `<p>To do: ${escaped(adviceOn(one).text)}</p>` : '';
  const began = beganAt(one) < one.openedAt ? `began ${day(beganAt(one))} UTC, ` : '';
  return `<div class="incident ${one.severity}"><p><span class="tag ${one.severity}">${one.severity}</span><span class="tag">${one.state}</span><strong>${escaped(one.title)}</strong></p>
<p>Estimated cost: ${escaped(costText(one.cost))}</p>${where}${todo}
${others.length === 0 ? '' : `<ul>${others.map(({ kind, message }) => `<li>${kind}: ${escaped(message)}</li>`).join('')}</ul>`}
<p class="muted">${began}opened ${day(one.openedAt)} UTC${one.closedAt === null ? '' : `, closed ${day(one.closedAt)} UTC`}${
    examples.length === 0
      ? ''
      : `; for example ${examples
          .slice(0, 3)
          .map((id) => `<code>${escaped(id)}</code>`)
          .join(', ')}`
  }${action === undefined ? '' : `; done: ${escaped(action)}`}</p></div>`;
}

function qualityText({ quality, estimatorError, gaps }: MonitoringReport): string {
  const rows = quality.reduce((sum, one) => sum + one.rows, 0);
  const labelled = quality.reduce((sum, one) => sum + one.labelled, 0);
  if (rows === 0) return '';
  const error =
    estimatorError === null
      ? 'No estimate could be held against labels yet.'
      : `Estimates were off by ${short(estimatorError.mean)} on average over ${estimatorError.days} days with labels.`;
  return `<p class="muted">Labels of ${percent(labelled / rows)} of the rows have come. ${error}</p>${gap(gaps.decay)}`;
}

function sliceTable(slices: readonly Quality[]): string {
  if (slices.length === 0) return '';
  const value = (one: Quality['measured']) =>
    one ? `${one.value.toFixed(3)} (${one.low.toFixed(3)} to ${one.high.toFixed(3)})` : '-';
  const rows = slices.map(
    (one) =>
      `<tr><td>${escaped(one.slice ?? '')}</td><td>${day(one.at).slice(0, 10)}</td><td class="n">${one.version}</td><td class="n">${one.rows}</td><td class="n">${percent(one.labelled / Math.max(1, one.rows))}</td><td class="n">${value(one.measured)}</td><td class="n">${value(one.estimated)}</td></tr>`,
  );
  return table(['slice', 'week of', '#version', '#rows', '#labelled', '#measured', '#estimated'], rows);
}

function callTable({ calls, queueMs, runMs, duplicateShare }: MonitoringReport): string {
  const rows = calls.map((one) => {
    const codes = Object.entries(one.codes).map(([code, count]) => `${code} ${count}`);
    return `<tr><td>${one.version || '-'}</td><td>${escaped(one.variant)}</td><td>${escaped(one.caller || '-')}</td><td class="n">${one.calls}</td><td class="n">${percent((one.calls - one.errors) / Math.max(1, one.calls))}</td><td>${escaped(codes.join(', '))}</td><td class="n">${percent(one.degraded / Math.max(1, one.calls))}</td></tr>`;
  });
  const latency = [
    ['queue', queueMs],
    ['run', runMs],
  ] as const;
  const lines = latency.flatMap(([name, one]) =>
    one ? [`${name} p50 ${short(one.p50)} ms, p99 ${short(one.p99)} ms`] : [],
  );
  if (duplicateShare !== null) lines.push(`about ${percent(duplicateShare)} of rows are repeats`);
  return `${table(['version', 'variant', 'caller', '#calls', '#answered', 'errors', '#degraded'], rows)}<p class="muted">${lines.join('; ')}</p>`;
}

function featureTable({ features }: MonitoringReport): string {
  const isLarge = ({ drift }: FeatureReport) => drift !== null && drift.effect >= drift.threshold;
  const sorted = features.toSorted((a, b) => (b.drift?.effect ?? -1) - (a.drift?.effect ?? -1));
  const rows = sorted.map((one) => {
    const drift = one.drift
      ? `${short(one.drift.effect)} (${short(one.drift.low)} to ${short(one.drift.high)})`
      : '-';
    return `<tr><td>${escaped(one.name)}</td><td class="n">${one.rows}</td><td class="n">${percent(one.missingShare)}</td><td class="n">${percent(one.outOfRangeShare)}</td><td>${escaped(one.before)}</td><td>${escaped(one.now)}</td><td class="n ${isLarge(one) ? 'critical' : ''}">${drift}</td></tr>`;
  });
  return table(['feature', '#rows', '#missing', '#out of range', 'before', 'now', '#drift'], rows);
}

function notJudgedList({ notJudged }: MonitoringReport): string {
  if (notJudged.length === 0) return '<p class="good">Everything was judged.</p>';
  const lines = notJudgedLines(notJudged).map((line) => `<li>${escaped(line)}</li>`);
  return `<ul>${lines.join('')}</ul>`;
}

/** Columns whose heading begins with # contain numbers. */
function table(heads: readonly string[], rows: readonly string[]): string {
  const cells = heads.map((head) =>
    head.startsWith('#') ? `<th class="n">${head.slice(1)}</th>` : `<th>${head}</th>`,
  );
  return `<table><thead><tr>${cells.join('')}</tr></thead><tbody>${rows.join('')}</tbody></table>`;
}
