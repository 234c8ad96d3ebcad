import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

/** A screen of the console: its path, and a text that it shows once it is loaded. */
export interface ConsoleScreen {
  readonly name: string;
  readonly path: string;
  readonly shows: string;
}

/** Every screen, for a model with a history. */
export function consoleScreens(model: string, predictionId: string, runId: string): readonly ConsoleScreen[] {
  const base = `/models/${model}`;
  return [
    { name: 'overview', path: '/', shows: model },
    { name: 'model', path: base, shows: 'Versions' },
    { name: 'predictions', path: `${base}/predictions`, shows: 'Older' },
    { name: 'prediction', path: `/predictions/${predictionId}`, shows: 'What happened' },
    { name: 'corrections', path: `${base}/corrections`, shows: 'What would have been right?' },
    { name: 'runs', path: `${base}/runs`, shows: 'Training runs' },
    ...(runId === '' ? [] : [{ name: 'run', path: `/runs/${runId}`, shows: 'Examples' }]),
    { name: 'rollout', path: `${base}/rollout`, shows: model },
    { name: 'compare', path: `${base}/compare`, shows: 'Score distributions' },
    { name: 'features', path: `${base}/features`, shows: 'Features now against training' },
    { name: 'ledger', path: `${base}/ledger`, shows: 'Hash' },
    { name: 'batch', path: '/batch', shows: 'Schedules' },
    { name: 'new', path: '/new', shows: '1. A file' },
    { name: 'incidents', path: '/incidents', shows: 'Incidents' },
    { name: 'nowhere', path: '/there-is-no-such-page', shows: 'There is no such page' },
  ];
}

export interface AccessibilityFinding {
  readonly screen: string;
  readonly rule: string;
  readonly impact: string;
  readonly element: string;
}

const axeSource = (): string =>
  readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let source: string | undefined;

/** Serious and critical findings of axe-core on the current page, one per element. */
export async function accessibilityFindings(page: Page, screen: string): Promise<AccessibilityFinding[]> {
  source ??= axeSource();
  // Evaluated by the browser's debugger, to which the page's Content Security Policy does not apply.
  const found = await page.evaluate(
    `(async () => { ${source}; const { violations } = await axe.run(document, { resultTypes: ['violations'] });
      return violations.flatMap(({ id, impact, nodes }) => nodes.map(({ html }) => ({ rule: id, impact, element: html.slice(0, 200) }))); })()`,
  );
  return (found as Omit<AccessibilityFinding, 'screen'>[])
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map((finding) => ({ screen, ...finding }));
}
