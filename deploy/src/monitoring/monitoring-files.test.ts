import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { ALERT_RULES } from './alert-rules.ts';
import { DASHBOARDS } from './dashboards.ts';
import { staleFiles } from './generate.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SERVICES = ['platform', 'preprocessor', 'compute', 'postprocessor', 'retrainer'];

/** Names in Prometheus' spelling of all metrics that the services' code writes in full. */
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

it('is generated as it stands', async () => {
  expect(await staleFiles()).toEqual([]);
});

it('uses no metric that no service has', () => {
  const known = metricsOfTheCode();
  const unknown = new Set<string>();
  for (const expression of expressions) {
    // Names of labels stand in braces or after `by`.
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
  // The check itself would see one.
  expect(known.has('hotloop_never_measured')).toBe(false);
  expect(known.size).toBeGreaterThan(20);
});

it('has a runbook for every rule', () => {
  const runbooks = readFileSync(join(ROOT, 'docs/runbooks.md'), 'utf8');
  for (const { alert } of ALERT_RULES) expect(runbooks).toMatch(new RegExp(`^## ${alert}$`, 'm'));
});

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
