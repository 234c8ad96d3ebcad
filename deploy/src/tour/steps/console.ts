import { chromiumPath, launchChromium } from '../../browser/chromium.ts';
import { expectThat } from '../tour-failure.ts';
import type { TourStep } from '../tour-step.ts';

interface Overview {
  readonly models: readonly { readonly model: { readonly name: string; readonly liveVersion: number } }[];
}

const consolePage: TourStep = {
  name: 'console',
  about: 'The console serves its page under a strict policy, and knows the models.',
  async run(context) {
    const address = context.local.httpAddresses.retrainer;
    const page = await fetch(`http://${address}/`, {
      headers: { accept: 'text/html' },
      signal: context.signal,
    });
    const { models } = await context.http<Overview>('retrainer', 'GET', '/v1/console/overview');
    const live = models.filter(({ model }) => model.liveVersion > 0);
    expectThat(live.length > 0, 'a live model in the console', 'there is none');
    const elsewhere = await fetch(`http://${address}/v1/console/overview`, {
      headers: { origin: 'http://elsewhere.example' },
      signal: context.signal,
    });
    expectThat(elsewhere.status === 403, 'a page from elsewhere to be refused', `it got ${elsewhere.status}`);
    if (page.status === 404) return { skipped: 'the console is not built here; `hotloop up` builds it' };
    const policy = page.headers.get('content-security-policy') ?? '';
    expectThat(policy.includes("default-src 'none'"), 'a policy that allows nothing inline', policy);
    return `${live.length} live models at http://${address}/`;
  },
};

/** A screenshot of an empty page has only a few kilobytes. */
const PICTURE_BYTES = 20_000;

const screenshot: TourStep = {
  name: 'console-screenshot',
  about: 'A browser opens the console, and the overview shows the models.',
  async run(context) {
    const executable = chromiumPath();
    if (executable === undefined) return { skipped: 'no Chromium here' };
    const browser = await launchChromium(executable);
    try {
      const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
      const errors: string[] = [];
      page.on('pageerror', ({ message }) => errors.push(message));
      await page.goto(`http://${context.local.httpAddresses.retrainer}/`);
      await page.getByText('churn').first().waitFor();
      const picture = await page.screenshot();
      expectThat(picture.length > PICTURE_BYTES, 'a picture of the page', `${picture.length} bytes`);
      expectThat(errors.length === 0, 'a page without errors', errors.join('; '));
      return `the overview shows churn; picture: ${await context.write('console.png', picture)}`;
    } finally {
      await browser.close();
    }
  },
};

export const CONSOLE_STEPS: readonly TourStep[] = [consolePage, screenshot];
