import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../backing/free-port.ts';
import { ALERT_RULES } from '../../monitoring/alert-rules.ts';
import { DASHBOARDS } from '../../monitoring/dashboards.ts';
import type { TourContext } from '../tour-context.ts';
import { expectThat } from '../tour-failure.ts';
import type { TourStep } from '../tour-step.ts';

const MODEL = 'scraped';
const RULES = new URL('../../../monitoring/hotloop-rules.yaml', import.meta.url);

/** A Prometheus (Debian: `apt-get install prometheus`) that scrapes the platform; null where none is installed. */
async function startPrometheus(context: TourContext) {
  const targets = Object.values(context.local.httpAddresses);
  await context.write('prometheus/hotloop-rules.yaml', await readFile(RULES, 'utf8'));
  const configuration = await context.write(
    'prometheus/prometheus.yaml',
    `global: {scrape_interval: 500ms, evaluation_interval: 500ms}
rule_files: [hotloop-rules.yaml]
scrape_configs:
  - {job_name: hotloop, static_configs: [{targets: ${JSON.stringify(targets)}}]}
`,
  );
  const port = await freePort();
  const child = spawn(
    'prometheus',
    [
      `--config.file=${configuration}`,
      `--storage.tsdb.path=${join(context.folder, 'prometheus/data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--enable-feature=exemplar-storage',
    ],
    { stdio: 'ignore' },
  );
  const isStarted = await Promise.race([
    once(child, 'spawn').then(() => true),
    once(child, 'error').then(() => false),
  ]).catch(() => false);
  if (!isStarted) return null;
  return {
    targets: targets.length,
    /** What the HTTP interface answers; undefined while it answers with an error. */
    async get<T>(path: string, query: Record<string, string> = {}): Promise<T | undefined> {
      const url = `http://127.0.0.1:${port}/api/v1/${path}?${new URLSearchParams(query)}`;
      const answer = await fetch(url, { signal: context.signal });
      const { status, data } = (await answer.json()) as { status: string; data: T };
      return status === 'success' ? data : undefined;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}

type Prometheus = NonNullable<Awaited<ReturnType<typeof startPrometheus>>>;

/** The predictions that Prometheus keeps as exemplars of their durations. */
async function exemplars(prometheus: Prometheus): Promise<string[] | undefined> {
  const found = await prometheus.get<{ exemplars: { labels: { trace_id: string } }[] }[]>('query_exemplars', {
    query: `hotloop_prediction_duration_seconds_bucket{hotloop_model="${MODEL}"}`,
    start: String(Date.now() / 1000 - 600),
    end: String(Date.now() / 1000 + 60),
  });
  const ids = (found ?? []).flatMap((one) => one.exemplars.map(({ labels }) => labels.trace_id));
  return ids.length === 0 ? undefined : ids;
}

const dashed = (id: string) => id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');

const scraped: TourStep = {
  name: 'real-prometheus',
  about:
    'A real Prometheus scrapes all services, finds a slow prediction by its bucket, loads the rules and runs every query of the dashboards.',
  async run(context) {
    const manifest = `name: ${MODEL}\nfeatures:\n  - {name: visits, from: request.visits, missing: 0}\n`;
    await context.write(`${MODEL}/model.yaml`, manifest);
    await context.json('model', 'push', MODEL, '--promote');
    const ask = () => context.client.predict(MODEL, { request: { visits: 3 } });
    await context.until('the model to answer', ask);
    await using prometheus = await startPrometheus(context);
    if (prometheus === null)
      return 'skipped: prometheus is not installed (Debian: apt-get install prometheus)';
    const healthy = await context.until('all services to be scraped', async () => {
      const found = await prometheus.get<{ activeTargets: { health: string; lastError: string }[] }>(
        'targets',
      );
      const targets = found?.activeTargets ?? [];
      const failed = targets.find(({ health }) => health === 'down');
      if (failed) throw new Error(failed.lastError);
      const up = targets.filter(({ health }) => health === 'up').length;
      return up === prometheus.targets ? up : undefined;
    });
    await ask();
    const ids = await context.until('exemplars of durations', () => exemplars(prometheus));
    const traced = await context.until('the trace of an exemplar', () =>
      context.json<{ readonly predictionId?: string }>('trace', dashed(ids[0]!)),
    );
    expectThat(JSON.stringify(traced).includes(dashed(ids[0]!)), 'its trace', JSON.stringify(traced));
    const rules = await context.until('the rules to be evaluated', async () => {
      const found = await prometheus.get<{ groups: { rules: { health: string; name: string }[] }[] }>(
        'rules',
      );
      const all = (found?.groups ?? []).flatMap((group) => group.rules);
      return all.length > 0 && all.every(({ health }) => health !== 'unknown') ? all : undefined;
    });
    const unhealthy = rules.filter(({ health }) => health !== 'ok').map(({ name }) => name);
    expectThat(rules.length === ALERT_RULES.length, `${ALERT_RULES.length} rules`, `${rules.length}`);
    expectThat(unhealthy.length === 0, 'rules that can be evaluated', unhealthy.join(', '));
    const queries = DASHBOARDS.flatMap(({ panels }) => panels.flatMap((panel) => panel.queries));
    for (const { expr } of queries) {
      const asked = expr.replaceAll('$model', MODEL);
      const answer = await prometheus.get('query', { query: asked });
      expectThat(answer !== undefined, 'a query that Prometheus understands', asked);
    }
    return `${healthy} services scraped, ${rules.length} rules, ${queries.length} queries; ${ids.length} exemplars, of which ${dashed(ids[0]!)} was traced`;
  },
};

/** What Prometheus makes of the metrics. */
export const PROMETHEUS_STEPS: readonly TourStep[] = [scraped];
