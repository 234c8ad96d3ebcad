import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { expect, it } from 'vitest';
import { linearModel, makeLive, manifestText, openStores, push } from '../../testing/fixture.ts';
import { findModel, monitoringReport } from './monitoring-report.ts';
import { reportGaps } from './report-gaps.ts';
import { reportHtml } from './report-html.ts';

const NOW = Date.UTC(2026, 5, 1);
const DAY = 86_400_000;
const manifest = parseManifest('name: m\nfeatures:\n  - {name: x, from: request.x}\n');
const quality = { version: 1, at: NOW, metric: 'auc', rows: 500, labelled: 3 } as const;

/** A report in which nothing is empty. */
const whole = {
  ...{ model: 'm', manifest, since: NOW - 7 * DAY, calls: 500, lastCallAt: NOW },
  ...{ features: 1, notJudged: [], baseline: 'training', hasOutcomes: true, weekLabels: 400, incidents: 1 },
  quality: [{ ...quality, measured: { value: 0.8, low: 0.7, high: 0.9, n: 500 }, estimated: null }],
};

it('has nothing to say about a report that is whole', () => {
  expect(reportGaps(whole)).toEqual({});
});

it.each([
  [
    'calls never',
    { calls: 0, lastCallAt: null },
    'calls',
    /^no call has been logged yet: .*hotloop predict m$/,
  ],
  [
    'calls of this time',
    { calls: 0, lastCallAt: NOW - 9 * DAY },
    'calls',
    /^no call since 2026-05-25.*the last was at 2026-05-23/,
  ],
  ['a baseline', { baseline: null }, 'baseline', /nothing to compare with yet/],
  [
    'features',
    { features: 0, notJudged: ['a row has too many columns'] },
    'features',
    /^a row has too many columns$/,
  ],
  ['outcomes', { hasOutcomes: false, quality: [] }, 'quality', /no outcome has come yet/],
  [
    'labels of both classes',
    { quality: [{ ...quality, measured: null, estimated: null }] },
    'quality',
    /^quality is not judged: 3 of 500 rows/,
  ],
  ['labels of this week', { weekLabels: 30 }, 'decay', /30 labelled rows .* 200 are needed/],
  [
    'a live version',
    { manifest: undefined, quality: [] },
    'quality',
    /^no version is live: hotloop model promote m VERSION$/,
  ],
  ['incidents', { incidents: 0 }, 'incidents', /^no incident since 2026-05-25 00:00 UTC$/],
] as const)('says in one sentence what lacks without %s', (_what, change, part, sentence) => {
  const gaps = reportGaps({ ...whole, ...change });
  expect(gaps[part]).toMatch(sentence);
  expect(gaps[part]).not.toContain('\n');
});

it('draws no empty table in the report of a model that was never called', async () => {
  await using stores = await openStores();
  await push(stores, manifestText('m'), linearModel());
  await makeLive(stores, 'm', 1);
  const report = await monitoringReport(stores.pool, findModel(stores.registry, 'm'), NOW - DAY, NOW);
  expect(Object.keys(report.gaps).sort()).toEqual([
    ...['baseline', 'calls', 'features', 'incidents', 'quality'],
  ]);
  const html = reportHtml(report);
  expect(html).not.toMatch(/<tbody><\/tbody>|<p class="muted"><\/p>/);
  for (const sentence of ['no call has been logged yet', 'no outcome has come yet', 'no incident since'])
    expect(html).toContain(sentence);
});
