import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { within } from '@hotloop/platform/within.ts';
import type { LoopReader, LoopState } from '../../datasets/loop-state.ts';
import { listModels, type ModelSummary } from '../../registry/list-models.ts';
import type { Traffic, TrafficReader } from './traffic.ts';

/** Something that a person should look at, and where. */
export interface Attention {
  readonly level: 'critical' | 'warning' | 'notice';
  readonly text: string;
  /** Path within the console. */
  readonly link: string;
}

export interface ModelOverview {
  readonly model: ModelSummary;
  readonly traffic: Traffic | null;
  readonly loop: LoopState | null;
  readonly attention: readonly Attention[];
}

/** Above this share of failed requests a model needs attention. */
const ERROR_SHARE = 0.01;
/** Above this share of outcomes that match no prediction. */
const UNMATCHED_SHARE = 0.1;

export interface OverviewDependencies {
  readonly pool: Pool;
  readonly loop: LoopReader;
  readonly traffic: TrafficReader;
}

/** Counting may need a scan the first time; a page does not wait for it, and asks again soon. */
const COUNTS_MS = 400;

/** Where a model's loop stands; null when it is not known within a moment. Throws NOT_FOUND. */
export function loopSoon(loop: LoopReader, model: string): Promise<LoopState | null> {
  return within(loop.read(model), COUNTS_MS, () => null);
}

/** Every model with its traffic, its loop and what needs attention, the most urgent first. */
export async function readOverview(dependencies: OverviewDependencies): Promise<readonly ModelOverview[]> {
  const [models, traffic] = await Promise.all([listModels(dependencies.pool), dependencies.traffic.recent()]);
  return Promise.all(
    models.map(async (model) => {
      // Its counts are a part of the row only: without them the row still stands.
      const loop = await loopSoon(dependencies.loop, model.name).catch(() => null);
      const own = traffic.get(model.name) ?? null;
      return { model, traffic: own, loop, attention: attentionOf(model, own, loop) };
    }),
  );
}

/** Pure. */
export function attentionOf(
  { name, liveVersion, versions }: ModelSummary,
  traffic: Traffic | null,
  loop: LoopState | null,
): readonly Attention[] {
  const found: Attention[] = [];
  const link = `/models/${name}`;
  const requests = sum(traffic, 'requests');
  const errors = sum(traffic, 'errors');
  if (requests > 0 && errors / requests > ERROR_SHARE)
    found.push({
      level: 'critical',
      text: `${((errors / requests) * 100).toFixed(1)} % of requests failed in the last half hour`,
      link: `${link}/predictions?only=failed`,
    });
  if (liveVersion === 0 && versions > 0)
    found.push({ level: 'notice', text: 'No version is live: promote one to answer requests', link });
  const run = loop?.latestRun;
  if (run?.state === 'failed')
    found.push({
      level: 'warning',
      text: `The last training run failed: ${run.message}`,
      link: `${link}/runs`,
    });
  if (run?.state === 'refused')
    found.push({ level: 'notice', text: `The last candidate was ${run.message}`, link: `${link}/runs` });
  if (loop && loop.outcomes > 0 && loop.outcomesUnmatched / loop.outcomes > UNMATCHED_SHARE)
    found.push({
      level: 'warning',
      text: `${loop.outcomesUnmatched} of ${loop.outcomes} outcomes match no prediction`,
      link,
    });
  if (loop && loop.messagesSetAside > 0)
    found.push({
      level: 'warning',
      text: `${loop.messagesSetAside} outcome messages could not be read and are kept as dead letters`,
      link,
    });
  return found;
}

function sum(traffic: Traffic | null, field: 'requests' | 'errors'): number {
  return traffic?.points.reduce((total, point) => total + point[field], 0) ?? 0;
}
