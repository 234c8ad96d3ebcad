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

export const CONSOLE_STEPS: readonly TourStep[] = [consolePage];
