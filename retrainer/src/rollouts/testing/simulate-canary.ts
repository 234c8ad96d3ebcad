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
  /** Requests until a label is known: drawn evenly up to this. */
  readonly delay: number;
  /** A rollout that has not ended by then stays where it is. */
  readonly requests: number;
  /** The evidence is looked at after so many requests. */
  readonly lookEvery: number;
}

/** How a canary with late labels ends, under the rules of the real one. The seed decides everything. */
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
