import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '@hotloop/platform/clock.ts';
import { startTracing } from '@hotloop/platform/telemetry/tracing.ts';
import { HOUR_MS } from '@hotloop/proto/time-units.ts';
import { COLLECT_DEFAULTS } from '@hotloop/retrainer/datasets/collect-dataset.ts';
import { datasetCollector } from '@hotloop/retrainer/datasets/dataset-collector.ts';
import { loopReader } from '@hotloop/retrainer/datasets/loop-state.ts';
import { modelRules } from '@hotloop/retrainer/outcomes/model-rules.ts';
import { recordOutcomes } from '@hotloop/retrainer/outcomes/record-outcomes.ts';
import { settleOutcomes } from '@hotloop/retrainer/outcomes/waiting-outcomes.ts';
import type { BenchOptions } from '../bench.ts';
import { type Figure, figure, ratios } from '../figure.ts';
import { interleave, quantile, type Side, warm } from '../interleave.ts';
import { type LoopStand, openLoopStand } from '../stand/loop-stand.ts';

const PAUSE_MS = 5;
const COLLECT_MS = 600_000;

/**
 * Duration of reading the state of a loop with many predictions and outcomes, compared with one with few, and the
 * effect of collecting a dataset on the tail latency of recording outcomes.
 */
export async function feedbackBench(options: BenchOptions): Promise<Figure[]> {
  const many = options.predictions;
  const few = Math.ceil(many / 100);
  const collected = Math.ceil(many / 2);
  await using stand = await openLoopStand();
  const { say } = options;
  say(`${few} and ${many} predictions with an outcome each, joined by keys`);
  await stand.push('few', '{join: [user], window: 1d, otherwise: 0}');
  await stand.push('many', '{join: [user], window: 1d, otherwise: 0}');
  await stand.fill('few', few, 'user');
  await stand.fill('many', many, 'user');
  const matching = performance.now();
  for (const model of ['few', 'many']) while ((await settleOutcomes(stand.pool, model, 24 * HOUR_MS)) > 0);
  const matchSeconds = (performance.now() - matching) / 1000;
  say(`matched in ${matchSeconds.toFixed(1)} s`);

  const loop = loopReader(stand.pool, modelRules(stand.registry));
  const sides = ['few', 'many'].map((model) => timed(model, () => loop.read(model)));
  await warm(sides, options.seconds, say);
  const read = await interleave(sides, options.rounds, options.seconds, say);
  const state = await loop.read('many');
  if (state.outcomes !== many || state.outcomesUnmatched !== 0)
    throw new Error(`${state.outcomesUnmatched} of ${state.outcomes} outcomes are unmatched`);

  await stand.push('collected', '{window: 1d, otherwise: 0}');
  await stand.fill('collected', collected, 'id');
  const collect = await collectBeside(stand, collected, options);
  return [
    figure(
      'loop_state_growth',
      ratios(read, 'many', 'few', (sample) => sample.p50Ms),
      { atMost: 1.5 },
    ),
    figure('collect_p99', collect.ratios, { atMost: 1.3 }),
    figure('collect_s', collect.seconds),
    figure('match_per_s', [(few + many) / matchSeconds]),
    figure(
      'loop_state_ms',
      (read.get('many') ?? []).map((sample) => sample.p50Ms),
    ),
  ];
}

/** Records one outcome every few milliseconds: while a dataset is collected, and for the same time without. */
async function collectBeside(
  stand: LoopStand,
  collected: number,
  { rounds, say }: BenchOptions,
): Promise<{ readonly ratios: number[]; readonly seconds: number[] }> {
  const { pool, registry, objects, databaseUrl } = stand;
  await using tracing = startTracing({ service: 'bench', sampleRatio: 0 });
  const rules = modelRules(registry);
  const collector = datasetCollector({ pool, objects, databaseUrl, waitMs: 0 });
  const record = async () => {
    const report = {
      id: randomUUID(),
      source: 'sdk',
      kind: 'label',
      predictionId: '',
      keys: { user: 'u1' },
      value: 1,
      attributes: {},
      occurredAt: '',
    };
    const [verdict] = await recordOutcomes([{ model: 'few', report }], {
      database: pool,
      registry,
      rules,
      tracing,
      clock: systemClock,
    });
    if (verdict?.status !== 'accepted') throw new Error('an outcome was refused');
  };
  const found = { ratios: [] as number[], seconds: [] as number[] };
  for (let round = 0; round <= rounds; round++) {
    const begun = performance.now();
    const collecting = collector.collect(rules.of('collected').manifest, 1, Date.now(), COLLECT_DEFAULTS, {
      timeoutMs: COLLECT_MS,
    });
    let isDone = false;
    const ended = collecting.finally(() => {
      isDone = true;
    });
    const busy = await latencies(record, () => isDone);
    const { examples } = await ended;
    if (examples !== collected) throw new Error(`${examples} rows were collected`);
    const seconds = (performance.now() - begun) / 1000;
    const until = performance.now() + seconds * 1000;
    const idle = await latencies(record, () => performance.now() >= until);
    // The first round is a warm-up.
    if (round === 0) continue;
    found.ratios.push(quantile(busy, 0.99) / quantile(idle, 0.99));
    found.seconds.push(seconds);
    say(
      `collected in ${seconds.toFixed(1)} s; p99 ${quantile(busy, 0.99).toFixed(1)} ms, idle ${quantile(idle, 0.99).toFixed(1)} ms`,
    );
  }
  return found;
}

async function latencies(work: () => Promise<unknown>, isOver: () => boolean): Promise<number[]> {
  const found: number[] = [];
  while (!isOver() || found.length === 0) {
    const begun = performance.now();
    await work();
    found.push(performance.now() - begun);
    await sleep(PAUSE_MS);
  }
  return found;
}

function timed(name: string, work: () => Promise<unknown>): Side {
  return {
    name,
    async run(seconds) {
      const begun = performance.now();
      const found = await latencies(work, () => performance.now() - begun >= seconds * 1000);
      return { perSecond: found.length / seconds, p50Ms: quantile(found, 0.5), p99Ms: quantile(found, 0.99) };
    },
  };
}
