import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accessibilityFindings, consoleScreens } from '@hotloop/bench/browser/console-screens.ts';
import {
  CONSOLE_MODEL,
  type ConsoleStand,
  HOSTILE,
  openConsoleStand,
} from '@hotloop/bench/stand/console-stand.ts';
import { chromiumPath, launchChromium } from '@hotloop/deploy/browser/chromium.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import {
  createTestDatabase,
  createTestRedis,
  testServices,
} from '@hotloop/platform/testing/test-services.ts';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const KEY = 'a-key-for-the-console-test';
const READ_KEY = 'a-key-of-someone-who-reads';
const SHOWN_MS = 15_000;
/** With HOTLOOP_SCREENSHOTS=1 the walk writes the pictures of docs/console.md anew. */
const PICTURES =
  process.env.HOTLOOP_SCREENSHOTS === '1' ? join(import.meta.dirname, '..', 'docs', 'console') : undefined;
const executable = chromiumPath();

if (executable === undefined) console.log('the console is not tried in a browser: there is no Chromium here');

describe.runIf(executable !== undefined)('the console in a browser', { timeout: 90_000 }, () => {
  const opened = new AsyncDisposableStack();
  let stand: ConsoleStand;
  let browser: Browser;
  let page: Page;
  const elsewhere: string[] = [];
  const complaints: string[] = [];

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hotloop-console-'));
    opened.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
    const [database, cache, queue] = await Promise.all([
      createTestDatabase(),
      createTestRedis('cache'),
      createTestRedis('queue'),
    ]);
    for (const service of [database, cache, queue]) opened.use(service);
    stand = opened.use(
      await openConsoleStand({
        folder,
        apiKeys: `${KEY}:ada:predict+feedback+operate,${READ_KEY}:eve:read`,
        apiKey: KEY,
        addresses: {
          DATABASE_URL: database.url,
          REDIS_CACHE_URL: cache.url,
          REDIS_QUEUE_URL: queue.url,
          KAFKA_BROKERS: testServices().kafkaBrokers,
        },
        predictions: 160,
        train: true,
        say: () => undefined,
      }),
    );
    browser = opened.use(await launchChromium(executable ?? ''));
    const context = await browser.newContext({ viewport: { width: 1200, height: 720 } });
    page = await context.newPage();
    page.setDefaultTimeout(SHOWN_MS);
    page.on('request', (request) => {
      if (!request.url().startsWith(`${stand.url}/`)) elsewhere.push(request.url());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) complaints.push(message.text());
    });
    if (PICTURES) await mkdir(PICTURES, { recursive: true });
  }, 120_000);
  afterAll(() => opened.disposeAsync());

  const picture = async (name: string) => {
    if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}.png`) });
  };
  const shown = (text: string | RegExp) => page.getByText(text).first().waitFor();

  it('refuses an unknown key, and accepts a known one', async () => {
    await page.goto(`${stand.url}/`);
    await page.getByLabel('API key').fill('some-other-key-of-length');
    expect(await accessibilityFindings(page, 'login')).toEqual([]);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('alert').getByText('unknown API key').waitFor();
    await page.getByLabel('API key').fill(KEY);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
  });

  it('shows every model with its traffic, and links to its loop', async () => {
    await shown('v2 live');
    await picture('overview');
    await page.getByRole('article').getByRole('link', { name: CONSOLE_MODEL }).click();
    await page.getByRole('heading', { name: 'The loop' }).waitFor();
    await page
      .getByRole('img', { name: /Requests in 10 s/ })
      .locator('canvas')
      .waitFor();
    await picture('model');
  });

  it('rolls back with a reason, and an open page is updated', async () => {
    const other = await page.context().newPage();
    await other.goto(`${stand.url}/models/${CONSOLE_MODEL}`);
    await other.getByText('Version 2 is live').waitFor();
    await page.getByRole('button', { name: 'Roll back' }).click();
    const dialog = page.getByRole('dialog');
    expect(await dialog.getByRole('button', { name: /Roll back to/ }).isDisabled()).toBe(true);
    await dialog.getByLabel('Reason').fill('chargebacks doubled since noon');
    await picture('rollback');
    await dialog.getByRole('button', { name: /Roll back to/ }).click();
    await shown('Version 1 is live');
    await other.getByText('Version 1 is live').waitFor();
    await other.close();
    await page.getByRole('link', { name: 'Ledger' }).click();
    await shown('chargebacks doubled since noon');
  });

  it('shows the loss of a training run', async () => {
    await page.getByRole('link', { name: 'Runs' }).click();
    await page
      .getByRole('cell')
      .getByRole('link', { name: /^[0-9a-f]{8}$/ })
      .first()
      .click();
    await page.getByRole('img', { name: 'Loss by step' }).locator('canvas').waitFor();
    await page.goto(`${stand.url}/models/${CONSOLE_MODEL}`);
  });

  it('labels with the keyboard', async () => {
    await page.getByRole('link', { name: 'Corrections' }).click();
    await page.getByRole('button', { name: /fraud/ }).waitFor();
    for (let labelled = 1; labelled <= 3; labelled++) {
      await page.keyboard.press(labelled === 2 ? '2' : '1');
      await page.getByRole('status').getByText(`${labelled} labelled`).waitFor();
    }
    await picture('corrections');
  });

  it('shows a canary as a verdict, and holds it with a reason', async () => {
    const begun = await fetch(`${stand.url}/v1/models/${CONSOLE_MODEL}/rollouts`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ version: 3, mode: 'canary', steps: [25, 50, 100], advance: 'evidence' }),
    });
    expect(begun.status).toBe(202);
    await page.getByRole('link', { name: 'Rollout' }).click();
    await page.getByRole('button', { name: 'Hold' }).waitFor();
    await stand.ask(80);
    await page.locator('.stat', { hasText: /^Answers[1-9]/ }).waitFor();
    await page
      .getByText(/Wait for about|Safe to continue|Roll back/)
      .first()
      .waitFor();
    await picture('rollout');
    await page.getByRole('button', { name: 'Hold' }).click();
    await page.getByRole('dialog').getByLabel('Reason').fill('the weekend has other customers');
    await page.getByRole('dialog').getByRole('button', { name: 'Hold' }).click();
    await page.getByRole('heading', { name: 'On hold' }).waitFor();
    await shown('the weekend has other customers');
  });

  it('guides from an ONNX file to a first prediction', async () => {
    await page.goto(`${stand.url}/new`);
    await page.locator('input[type=file]').setInputFiles({
      name: 'doubler.onnx',
      mimeType: 'application/octet-stream',
      buffer: Buffer.from(
        perceptron({ inputs: 2, hidden: [], outputs: 1, activation: 'relu', head: 'sigmoid', seed: 1 }),
      ),
    });
    await page.getByRole('button', { name: 'Upload and make it live' }).click();
    const request = page.getByLabel('Request');
    await request.waitFor();
    await page.getByRole('button', { name: 'Predict' }).and(page.locator(':enabled')).click();
    await page.getByRole('link', { name: "The model's loop" }).waitFor();
    await page.goto(`${stand.url}/models/${CONSOLE_MODEL}`);
  });

  it('leads from a CSV of a spreadsheet to a first prediction, and refuses one class by its name', async () => {
    await page.goto(`${stand.url}/new`);
    const rows = Array.from({ length: 120 }, (_, row) => {
      const [days, spend] = [row % 40, ((row * 37) % 100) / 10];
      return `0${(row % 9) + 1}.0${(row % 7) + 1}.2026;${days};${String(spend).replace('.', ',')};Köln;${spend > 5 ? 'ja' : 'nein'}`;
    });
    const text = `Datum;Alter (Tage);Umsatz;Stadt;Kündigt\r\n${rows.join('\r\n')}\r\n`;
    await page.locator('input[type=file]').setInputFiles({
      ...{ name: 'Kunden 2026.csv', mimeType: 'text/csv', buffer: Buffer.from(text, 'latin1') },
    });
    await shown(/Windows-1252.*semicolons.*decimal points in Umsatz.*begin with the day in Datum/);
    await page.getByLabel('Column to predict').selectOption('Stadt');
    await page.getByRole('alert').getByText('the label Stadt has fewer than two values').waitFor();
    await page.getByLabel('Column to predict').selectOption('Kündigt');
    await shown('it is always Köln');
    expect(await accessibilityFindings(page, 'new')).toEqual([]);
    await page.getByRole('button', { name: 'Train the first version' }).click();
    await page.getByRole('button', { name: 'Predict' }).waitFor({ timeout: 60_000 });
    await page.getByRole('button', { name: 'Predict' }).click();
    await page.getByRole('link', { name: 'Its story' }).waitFor();
    expect(await page.locator('.stat', { hasText: /^Answer/ }).innerText()).toMatch(/ja|nein/);
    await page.goto(`${stand.url}/models/${CONSOLE_MODEL}`);
  });

  it('schedules batches, runs one at once but not two concurrently, and pauses', async () => {
    await page.getByRole('link', { name: 'Batch' }).click();
    await shown('Nothing is scheduled');
    await page.getByRole('button', { name: 'New schedule' }).click();
    const form = page.getByRole('dialog');
    await form.getByLabel('Name').fill('nightly');
    await form.getByLabel('Model').selectOption(CONSOLE_MODEL);
    await form.getByLabel('Source').fill('/data/payments.parquet');
    await form.getByLabel('Written to').fill('/data/scores/date={date}');
    await form.getByLabel('Cron').fill('at night');
    await form.getByRole('button', { name: 'Schedule it' }).click();
    await form.getByRole('alert').waitFor();
    await form.getByLabel('Cron').fill('30 6 * * *');
    await form.getByRole('button', { name: 'Schedule it' }).click();
    await form.waitFor({ state: 'detached' });
    await shown(/30 6 \* \* \* in UTC/);
    const act = async (name: string) => {
      await page.getByRole('button', { name, exact: true }).click();
      await page.getByRole('dialog').getByRole('button', { name, exact: true }).click();
      await page.getByRole('dialog').waitFor({ state: 'detached' });
    };
    await act('Run now');
    // Nothing works on it here: it stays begun, and a second one cannot be.
    await page.locator('button:disabled', { hasText: 'Run now' }).waitFor();
    await page.getByRole('cell').getByText('planning').waitFor();
    await act('Pause');
    await shown('no next run');
    await picture('batch');
    expect(await accessibilityFindings(page, 'batch')).toEqual([]);
    await page.goto(`${stand.url}/models/${CONSOLE_MODEL}`);
  });

  it('lets a read-only key see everything but change nothing, and returns to the page after a new login', async () => {
    const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
    const other = await context.newPage();
    other.setDefaultTimeout(SHOWN_MS);
    await other.goto(`${stand.url}/models/${CONSOLE_MODEL}`);
    const login = async (key: string) => {
      await other.getByLabel('API key').fill(key);
      await other.getByRole('button', { name: 'Log in' }).click();
    };
    await login(READ_KEY);
    await other.getByRole('heading', { name: 'The loop' }).waitFor();
    for (const name of [/Train/, /Roll back/, /Promote version 3/]) {
      const button = other.getByRole('button', { name });
      expect(await button.isDisabled(), String(name)).toBe(true);
      expect(await button.getAttribute('title')).toContain('does not have the role operate');
    }
    expect(await other.getByRole('link', { name: 'New model' }).count()).toBe(0);
    await context.clearCookies();
    await other.getByRole('link', { name: 'Ledger' }).click();
    await other.getByText('Your session has ended').waitFor();
    await login(READ_KEY);
    await other.getByText('chargebacks doubled since noon').first().waitFor();
    await context.close();
  });

  it('shows the history of a prediction, and logged content without executing it', async () => {
    const hostile = stand.predictionIds.at(79) ?? '';
    await page.goto(`${stand.url}/predictions/${hostile}`);
    await shown('What happened');
    await shown(HOSTILE.slice(0, 10));
    await page.getByRole('button', { name: 'Explain' }).click();
    await shown('By integrated gradients');
    await picture('prediction');
    expect(await page.title()).toContain('Prediction');
    expect(await page.locator('img').count()).toBe(0);
  });

  it('is accessible on a narrow screen and in dark mode', async () => {
    await page.emulateMedia({ colorScheme: 'dark' });
    for (const [width, path] of [
      [1280, '/'],
      [390, `/models/${CONSOLE_MODEL}`],
      [390, `/models/${CONSOLE_MODEL}/predictions`],
    ] as const) {
      await page.setViewportSize({ width, height: 844 });
      await page.goto(stand.url + path);
      await page.getByText(CONSOLE_MODEL).first().waitFor({ state: 'attached' });
      expect(await accessibilityFindings(page, path)).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
    }
    await page.goto(`${stand.url}/models/${CONSOLE_MODEL}`);
    await page
      .getByRole('img', { name: /Requests in 10 s/ })
      .locator('canvas')
      .waitFor();
    await picture('narrow-dark');
  });

  it('fits every screen into 390 and 1440 px: only tables and tabs scroll sideways', async () => {
    const runs = await stand.client.runs.list(CONSOLE_MODEL);
    const screens = consoleScreens(CONSOLE_MODEL, stand.predictionIds[0] ?? '', runs[0]?.runId ?? '');
    const wide: string[] = [];
    for (const width of [390, 1440]) {
      await page.setViewportSize({ width, height: 844 });
      for (const { name, path, shows } of screens) {
        await page.goto(stand.url + path);
        await page.getByText(shows).first().waitFor({ state: 'attached' });
        const used = await page.evaluate<number>('document.documentElement.scrollWidth');
        if (used > width) wide.push(`${name} at ${width} px: ${used}`);
      }
    }
    expect(wide).toEqual([]);
  });

  it('sends no request to another host, and violates no content policy', () => {
    expect(elsewhere).toEqual([]);
    expect(complaints).toEqual([]);
  });
});
