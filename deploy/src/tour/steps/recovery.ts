import { expectThat } from '../tour-failure.ts';
import type { TourStep } from '../tour-step.ts';

const killed: TourStep = {
  name: 'killed-service-recovers',
  about: 'Compute is killed; its supervisor starts it again and predictions go on.',
  async run(context) {
    const report = await context.pool.query<{ node: string }>('SELECT node FROM node');
    expectThat(report.rows.length > 0, 'a compute node', 'there is none');
    const before = context.local.pids();
    const pid = context.local.pidOf('compute');
    expectThat(pid !== undefined, 'compute to run', 'it does not');
    process.kill(pid, 'SIGKILL');
    const begun = performance.now();
    await context.until(
      'predictions after the kill',
      async () => {
        if (context.local.pidOf('compute') === pid) return undefined;
        return context.client.predict('churn', { user: 'u4', request: { visits: 1, plan: 'pro' } });
      },
      60_000,
    );
    const seconds = (performance.now() - begun) / 1000;
    expectThat(context.local.pids().length === before.length, 'all services to run', 'one is missing');
    return `predictions again after ${seconds.toFixed(1)} s`;
  },
};

export const RECOVERY_STEPS: readonly TourStep[] = [killed];
