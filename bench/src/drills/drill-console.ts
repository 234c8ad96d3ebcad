import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { chromiumPath, launchChromium } from '@hotloop/deploy/browser/chromium.ts';
import type { Browser, Page } from 'playwright-core';
import {
  type AccessibilityFinding,
  accessibilityFindings,
  consoleScreens,
} from '../browser/console-screens.ts';
import { type Figure, figure } from '../figure.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { CONSOLE_MODEL, type ConsoleStand, openConsoleStand } from '../stand/console-stand.ts';
import type { Drill } from './drill.ts';

const PAINTS = 7;
const FLIPS = 6;
const STARTS = 11;
const SHOWN_MS = 15_000;
const CLI = fileURLToPath(new URL('../../../cli/bin/hotloop.mjs', import.meta.url));

/**
 * The console in the system's Chromium: time to first paint, size of scripts, delay until it shows a promotion,
 * accessibility.
 */
export const drillConsole: Drill = async ({ say }): Promise<Figure[]> => {
  const executable = chromiumPath();
  if (executable === undefined) throw new Error('there is no Chromium here: apt-get install chromium');
  await using folder = await benchFolder();
  await using stand = await openConsoleStand({ folder: folder.path, predictions: 300, train: true, say });
  await using browser = await launchChromium(executable);
  const paints: number[] = [];
  let scripts = 0;
  for (let round = 0; round < PAINTS; round++) {
    const opened = await openCold(browser, stand.url);
    paints.push(opened.paintMs);
    scripts = opened.scriptBytes;
  }
  const updates = await promotions(browser, stand, say);
  const findings = await checkAll(browser, stand, say);
  return [
    figure('paint_ms', paints, { atMost: 1000 }),
    figure('js_kb', [scripts / 1024], { atMost: 250 }),
    figure('update_ms', updates, { atMost: 1000 }),
    figure('axe', [findings.length], { atMost: 0 }),
    figure('cli_ratio', commandRatios(), { atMost: 4 }),
  ];
};

/** With an empty cache: first contentful paint, and the size of the loaded scripts, gzipped. */
async function openCold(browser: Browser, url: string): Promise<{ paintMs: number; scriptBytes: number }> {
  await using context = await browser.newContext();
  const page = await context.newPage();
  const bodies: Promise<Buffer>[] = [];
  page.on('response', (response) => {
    if (response.request().resourceType() === 'script') bodies.push(response.body());
  });
  await page.goto(`${url}/`);
  await page.getByRole('link', { name: CONSOLE_MODEL }).first().waitFor({ timeout: SHOWN_MS });
  const paintMs = await page.evaluate<number>(
    `performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? performance.now()`,
  );
  const sizes = (await Promise.all(bodies)).map((body) => gzipSync(body).length);
  return { paintMs, scriptBytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** Time from the ledger's entry of a promotion until an open page shows it; one machine, one clock. */
async function promotions(
  browser: Browser,
  stand: ConsoleStand,
  say: (line: string) => void,
): Promise<number[]> {
  await using context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${stand.url}/models/${CONSOLE_MODEL}`);
  const taken: number[] = [];
  for (let flip = 0; flip < FLIPS; flip++) {
    const version = flip % 2 === 0 ? 1 : 2;
    const shown = page.evaluate<number>(shownAt(`Version ${version} is live`));
    await stand.client.models.promote(CONSOLE_MODEL, version, { actor: 'drill' }).finished();
    taken.push(Math.max(0, (await shown) - (await promotedAt(page))));
  }
  say(`promotions were shown after ${taken.join(', ')} ms`);
  return taken;
}

/** A browser expression that resolves with the time at which the title's badge shows the text. */
function shownAt(text: string): string {
  return `new Promise((resolve, reject) => {
    const says = () => document.querySelector('.title-row .badge')?.textContent === ${JSON.stringify(text)};
    const observer = new MutationObserver(() => { if (says()) { observer.disconnect(); resolve(Date.now()); } });
    observer.observe(document.body, { subtree: true, childList: true, characterData: true });
    setTimeout(() => reject(new Error('the page did not show it')), ${SHOWN_MS});
  })`;
}

function promotedAt(page: Page): Promise<number> {
  return page.evaluate<number>(
    `fetch('/v1/console/models/${CONSOLE_MODEL}').then((answer) => answer.json())
      .then(({ history }) => history.find(({ action }) => action === 'promote').at)`,
  );
}

async function checkAll(
  browser: Browser,
  stand: ConsoleStand,
  say: (line: string) => void,
): Promise<AccessibilityFinding[]> {
  const runs = await stand.client.runs.list(CONSOLE_MODEL);
  const screens = consoleScreens(CONSOLE_MODEL, stand.predictionIds[0] ?? '', runs[0]?.runId ?? '');
  const findings: AccessibilityFinding[] = [];
  for (const colorScheme of ['light', 'dark'] as const)
    for (const width of [1280, 390]) {
      await using context = await browser.newContext({ colorScheme, viewport: { width, height: 844 } });
      const page = await context.newPage();
      for (const { name, path, shows } of screens) {
        await page.goto(stand.url + path);
        await page.getByText(shows).first().waitFor({ state: 'attached', timeout: SHOWN_MS });
        findings.push(...(await accessibilityFindings(page, `${name} ${colorScheme} ${width}`)));
      }
    }
  for (const { screen, rule, element } of findings.slice(0, 20)) say(`${screen}: ${rule}: ${element}`);
  return findings;
}

/** Duration of `hotloop --help` divided by that of an empty Node process, in pairs. */
function commandRatios(): number[] {
  const timeOf = (...args: string[]) => {
    const start = performance.now();
    execFileSync(process.execPath, args, { stdio: 'ignore' });
    return performance.now() - start;
  };
  return Array.from({ length: STARTS }, () => {
    const empty = timeOf('-e', '0');
    return timeOf(CLI, '--help') / empty;
  });
}
