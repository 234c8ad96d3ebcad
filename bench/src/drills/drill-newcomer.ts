import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromiumPath, launchChromium } from '@hotloop/deploy/browser/chromium.ts';
import type { Page } from 'playwright-core';
import { type Figure, figure } from '../figure.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import type { Drill } from './drill.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const START_MS = 180_000;
/** Time limit for version 2 to become live: the demonstration collects labels, trains and evaluates first. */
const REPLACED_MS = 240_000;
const SHOWN_MS = 30_000;
const STOP_MS = 60_000;
const LABELS = 10;

interface Walk {
  readonly page: Page;
  readonly url: string;
  readonly picture: (name: string) => Promise<void>;
}

/** The steps of a newcomer, in the order of docs/console.md. A step that fails throws. */
const STEPS: readonly (readonly [string, (walk: Walk) => Promise<void>])[] = [
  ['open the console', openConsole],
  ['watch version 2 replace version 1', watchReplacement],
  ['roll it back', rollBack],
  ['label ten predictions', labelTen],
  ['find out why a prediction said what it said', findOutWhy],
];

/**
 * Runs `npm start` as a newcomer does, and walks through docs/console.md in a real browser, starting from the
 * console's address that it prints. `newcomer_done` counts the completed steps. `--pictures docs/console` takes the
 * screenshots of the walk again.
 */
export const drillNewcomer: Drill = async ({ pictures, environment, say }): Promise<Figure[]> => {
  const executable = chromiumPath();
  if (executable === undefined) throw new Error('there is no Chromium here: apt-get install chromium');
  if (pictures !== undefined) await mkdir(pictures, { recursive: true });
  await using folder = await benchFolder();
  const begun = performance.now();
  await using demo = startDemo(join(folder.path, 'demo'), environment, say);
  const url = await demo.consoleUrl;
  const seconds: number[] = [(performance.now() - begun) / 1000];
  say(`the console is there after ${seconds[0]?.toFixed(1)} s: ${url}`);
  await using browser = await launchChromium(executable);
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  page.setDefaultTimeout(SHOWN_MS);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  const walk: Walk = {
    ...{ page, url },
    async picture(name) {
      if (pictures === undefined) return;
      // What was scrolled to is painted a frame or two later.
      await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
      await page.screenshot({ path: join(pictures, `walk-${name}.png`) });
    },
  };
  let done = 0;
  for (const [what, step] of STEPS) {
    const from = performance.now();
    try {
      await step(walk);
    } catch (error) {
      say(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      break;
    }
    done++;
    seconds.push((performance.now() - from) / 1000);
    say(`${what}: ${seconds.at(-1)?.toFixed(1)} s`);
  }
  for (const complaint of complaints) say(`the page complained: ${complaint}`);
  return [
    figure('newcomer_done', [done], { atLeast: STEPS.length }),
    figure('newcomer_complaints', [complaints.length], { atMost: 0 }),
    figure('newcomer_s', [(performance.now() - begun) / 1000]),
  ];
};

async function openConsole({ page, url, picture }: Walk): Promise<void> {
  await page.goto(url);
  await page.getByRole('article').getByRole('link', { name: 'product-ranker' }).waitFor();
  await picture('1-overview');
  await page.getByRole('article').getByRole('link', { name: 'product-ranker' }).click();
  await page.getByRole('heading', { name: 'The loop' }).waitFor();
}

async function watchReplacement({ page, picture }: Walk): Promise<void> {
  await page.getByText('Version 2 is live').waitFor({ timeout: REPLACED_MS });
  await page
    .getByRole('img', { name: /Requests in 10 s/ })
    .locator('canvas')
    .waitFor();
  await picture('2-version-2');
}

async function rollBack({ page, picture }: Walk): Promise<void> {
  const live = Number((await page.locator('.title-row .badge').textContent())?.match(/\d+/)?.[0]);
  await page.getByRole('button', { name: 'Roll back' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Reason').fill('I want to see how it goes back');
  await picture('3-roll-back');
  await dialog.getByRole('button', { name: /Roll back to/ }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByText(`Version ${live - 1} is live`).waitFor();
  await picture('4-back');
  await page.getByRole('link', { name: 'Ledger' }).click();
  await page.getByText('I want to see how it goes back').first().waitFor();
}

async function labelTen({ page, picture }: Walk): Promise<void> {
  await page.getByRole('link', { name: 'Corrections' }).click();
  await page.getByText('Which one was right?').waitFor();
  for (let labelled = 1; labelled <= LABELS; labelled++) {
    await page.getByRole('button', { name: /^1 / }).waitFor();
    await page.keyboard.press(String(1 + (labelled % 3)));
    await page.getByRole('status').getByText(`${labelled} labelled`).waitFor();
  }
  await picture('5-labels');
}

async function findOutWhy({ page, picture }: Walk): Promise<void> {
  await page.getByRole('link', { name: 'Predictions' }).click();
  await page.getByRole('table').getByRole('link').first().click();
  await page.getByText('What happened').waitFor();
  await page.getByRole('button', { name: 'Explain' }).click();
  await page.getByText(/By (integrated gradients|permutations)/).scrollIntoViewIfNeeded();
  await picture('6-why');
}

interface Demo extends AsyncDisposable {
  /** The address that `npm start` prints. */
  readonly consoleUrl: Promise<string>;
}

function startDemo(
  folder: string,
  environment: Readonly<Record<string, string | undefined>>,
  say: (line: string) => void,
): Demo {
  const child = spawn('npm', ['start', '--', '--folder', folder, '--rate', '150'], {
    cwd: ROOT,
    env: { ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  return { consoleUrl: addressOf(child, say), [Symbol.asyncDispose]: () => stop(child) };
}

async function addressOf(child: ChildProcess, say: (line: string) => void): Promise<string> {
  const timer = setTimeout(() => child.kill('SIGTERM'), START_MS);
  const told: string[] = [];
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`npm start ended: ${told.slice(-5).join(' | ')}`)));
    createInterface({ input: child.stderr ?? process.stdin }).on('line', (line) => {
      told.push(line);
      if (/prediction failed|not ok|ended by itself/.test(line)) say(`npm start: ${line}`);
      const address = /the console is at (http:\S+)/.exec(line)?.[1];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    });
  });
}

/** Like Ctrl-C: the whole process group gets the signal. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  process.kill(-child.pid, 'SIGINT');
  const timer = setTimeout(() => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(timer);
}
