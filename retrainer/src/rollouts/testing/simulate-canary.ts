import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { type JudgedAnswer, SplitComparison } from '../compare-quality.ts';
import { judgeQuality } from '../judge-quality.ts';

export interface CanaryWorld {
  readonly seed: number;
  /** Share of right answers. */
  readonly live: number;
  readonly candidate: number;
  /** Shares of the steps, from 0 to 1. */
  readonly steps: readonly number[];
  readonly drop: number;
  /** Number of requests until a label is known: uniform up to this. */
  readonly delay: number;
  /** The simulation ends here, even if the rollout has not. */
  readonly requests: number;
  /** The evidence is checked every so many requests. */
  readonly lookEvery: number;
}

/** Simulates a canary with late labels, with the real rules. Deterministic for a given seed. */
export function simulateCanary(world: CanaryWorld): 'live' | 'rolled_back' | 'waiting' {
  const random = new SeededRandom(world.seed);
  const comparison = new SplitComparison();
  const late = new Map<number, JudgedAnswer[]>();
  let step = 0;
  for (let request = 1; request <= world.requests; request++) {
    const share = world.steps[step] ?? 1;
    const version = random.uniform() < share ? 'candidate' : 'live';
    const quality = random.uniform() < world[version] ? 1 : 0;
    const due = request + Math.floor(random.uniform() * world.delay);
    const waiting = late.get(due);
    if (waiting) waiting.push({ version, quality, share });
    else late.set(due, [{ version, quality, share }]);
    for (const answer of late.get(request) ?? []) comparison.add(answer);
    late.delete(request);
    if (request % world.lookEvery !== 0 || request < world.lookEvery) continue;
    const nextShare = world.steps[step + 1] ?? 1;
    const verdict = judgeQuality(comparison.sums, { drop: world.drop, minOutcomes: 100, nextShare });
    if (verdict.kind === 'roll_back') return 'rolled_back';
    if (verdict.kind === 'advance' && ++step >= world.steps.length) return 'live';
  }
  return 'waiting';
}
