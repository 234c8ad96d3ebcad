import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SIGNAL_KINDS } from '@hotloop/model/manifest/monitor-schema.ts';
import { ADVICE } from '@hotloop/retrainer/monitoring/signals/advice.ts';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { ALERT_RULES } from './alert-rules.ts';
import { DASHBOARDS, grafanaJson } from './dashboards.ts';
import { staleFiles } from './generate.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SERVICES = ['platform', 'preprocessor', 'compute', 'postprocessor', 'retrainer'];

/** Prometheus names of all metrics whose names occur literally in the services' code. */
function metricsOfTheCode(): Set<string> {
  const names = new Set<string>();
  for (const service of SERVICES)
    for (const entry of readdirSync(join(ROOT, service, 'src'), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts') || entry.name.includes('.test.')) continue;
      const text = readFileSync(join(entry.parentPath, entry.name), 'utf8');
      for (const [, name] of text.matchAll(/['"`]((?:hotloop|http|rpc)\.[a-z_.]+)['"`]/g))
        names.add(name!.replaceAll('.', '_'));
    }
  return names;
}

const expressions = [
  ...ALERT_RULES.map(({ expr }) => expr),
  ...DASHBOARDS.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries.map(({ expr }) => expr))),
];

it('is up to date with its generator', async () => {
  expect(await staleFiles()).toEqual([]);
});

it('uses only metrics that a service has', () => {
  const known = metricsOfTheCode();
  const unknown = new Set<string>();
  for (const expression of expressions) {
    // Label names are in braces or after `by`.
    const bare = expression.replaceAll(/\{[^}]*\}|(?:by|ignoring)\s*\([^)]*\)/g, '');
    for (const [name] of bare.matchAll(/\b(?:hotloop|http|rpc)_[a-z_]+\b/g)) {
      const base = name
        .replace(/_(bucket|count|sum)$/, '')
        .replace(/_total$/, '')
        .replace(/_(seconds|bytes)$/, '');
      if (!known.has(base) && !known.has(name)) unknown.add(name);
    }
  }
  expect([...unknown]).toEqual([]);
  // Check of the test: an unknown metric is detected.
  expect(known.has('hotloop_never_measured')).toBe(false);
  expect(known.size).toBeGreaterThan(20);
});

it('has a runbook for every rule, and for every signal of a model', () => {
  const runbooks = readFileSync(join(ROOT, 'docs/runbooks.md'), 'utf8');
  for (const kind of SIGNAL_KINDS) expect(runbooks).toMatch(new RegExp(`^## ${kind}$`, 'm'));
  // What an alarm advises stands in the section that it refers to.
  const sections = new Map(runbooks.split(/^## /m).map((one) => [one.split('\n')[0], one]));
  for (const kind of SIGNAL_KINDS)
    expect(sections.get(kind)?.replaceAll('`', '').replaceAll(/\s+/g, ' '), kind).toContain(
      ADVICE[kind].replace(/\.$/, ''),
    );
  for (const { alert } of ALERT_RULES) expect(runbooks).toMatch(new RegExp(`^## ${alert}$`, 'm'));
});

/** What Grafana needs to draw a dashboard, schema version 39. */
const dashboardSchema = z.object({
  uid: z.string().regex(/^[a-zA-Z0-9_-]{1,40}$/),
  title: z.string().min(1),
  schemaVersion: z.literal(39),
  time: z.object({ from: z.string(), to: z.string() }),
  templating: z.object({
    list: z.array(z.object({ name: z.string(), type: z.enum(['datasource', 'query']) })),
  }),
  panels: z.array(
    z.object({
      id: z.int().positive(),
      type: z.literal('timeseries'),
      datasource: z.object({ type: z.literal('prometheus'), uid: z.string() }),
      gridPos: z.object({
        x: z.int().min(0),
        y: z.int().min(0),
        w: z.int().positive(),
        h: z.int().positive(),
      }),
      fieldConfig: z.object({
        defaults: z.object({ unit: z.string().min(1) }),
        overrides: z.array(z.never()),
      }),
      targets: z
        .array(
          z.object({ refId: z.string().regex(/^[A-Z]$/), expr: z.string().min(1), legendFormat: z.string() }),
        )
        .min(1),
    }),
  ),
});

it.each(DASHBOARDS.map((one) => [one.uid, one] as const))(
  'makes %s so that Grafana can draw it',
  (_uid, one) => {
    const dashboard = dashboardSchema.parse(JSON.parse(grafanaJson(one)));
    const variables = new Set(dashboard.templating.list.map(({ name }) => name));
    const cells = new Set<string>();
    for (const { gridPos, targets, datasource } of dashboard.panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(cells.has(`${x} ${y}`), `two panels at ${x} ${y}`).toBe(false);
          cells.add(`${x} ${y}`);
        }
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
      const texts = [datasource.uid, ...targets.map(({ expr }) => expr)];
      for (const [, name] of texts.join(' ').matchAll(/\$(\w+)/g)) expect([...variables]).toContain(name);
      for (const { expr } of targets) {
        const count = (letter: string) => expr.split(letter).length;
        expect([count('('), count('{'), count('[')]).toEqual([count(')'), count('}'), count(']')]);
      }
    }
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  },
);

it('passes promtool', async ({ skip }) => {
  const run = promisify(execFile);
  const folder = join(ROOT, 'deploy/monitoring');
  const check = async (...words: string[]) =>
    run('promtool', words, { cwd: folder }).then(
      ({ stdout, stderr }) => stdout + stderr,
      (error: { code?: unknown; stdout?: string; stderr?: string }) =>
        error.code === 'ENOENT' ? null : `FAILED ${error.stdout}${error.stderr}`,
    );
  const rules = await check('check', 'rules', 'hotloop-rules.yaml');
  if (rules === null) return skip('promtool is not installed (Debian: apt-get install prometheus)');
  expect(rules).toContain(`SUCCESS: ${ALERT_RULES.length} rules found`);
  expect(await check('check', 'config', 'prometheus.yaml')).not.toContain('FAILED');
});
