import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { ALERT_RULES, ruleFile } from './alert-rules.ts';
import { DASHBOARDS, grafanaJson } from './dashboards.ts';

const FOLDER = new URL('../../monitoring/', import.meta.url);

/** Every generated file of deploy/monitoring, by name. */
export function monitoringFiles(): ReadonlyMap<string, string> {
  return new Map([
    ['hotloop-rules.yaml', ruleFile(ALERT_RULES)],
    ...DASHBOARDS.map((dashboard): [string, string] => [`${dashboard.uid}.json`, grafanaJson(dashboard)]),
  ]);
}

/** Names of the files that differ from what would be generated. */
export async function staleFiles(): Promise<string[]> {
  const stale: string[] = [];
  for (const [name, text] of monitoringFiles())
    if ((await readFile(new URL(name, FOLDER), 'utf8').catch(() => '')) !== text) stale.push(name);
  return stale;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await mkdir(FOLDER, { recursive: true });
  for (const [name, text] of monitoringFiles()) await writeFile(new URL(name, FOLDER), text);
}
