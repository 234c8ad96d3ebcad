import { type CanaryWorld, simulateCanary } from '@hotloop/retrainer/rollouts/testing/simulate-canary.ts';
import { type Figure, figure } from '../../figure.ts';
import type { Drill } from '../drill.ts';

const ROLLOUTS = 500;
const WORLD: Omit<CanaryWorld, 'seed' | 'candidate'> = {
  live: 0.8,
  steps: [0.05, 0.25, 0.5],
  drop: 0.02,
  delay: 20_000,
  requests: 200_000,
  lookEvery: 1_000,
};

/**
 * Simulated canaries with late labels, under the same rules as real ones: how often an equal version is rolled back,
 * and how often one that is three points worse becomes live. The seeds are 1 to 500.
 */
export const drillCanary: Drill = async ({ say }): Promise<Figure[]> => {
  const share = (candidate: number, end: ReturnType<typeof simulateCanary>) => {
    const ends = Array.from({ length: ROLLOUTS }, (_, index) =>
      simulateCanary({ ...WORLD, candidate, seed: index + 1 }),
    );
    const count = (wanted: string) => ends.filter((one) => one === wanted).length;
    say(
      `${candidate}: ${count('live')} live, ${count('rolled_back')} rolled back, ${count('waiting')} waiting`,
    );
    return count(end) / ROLLOUTS;
  };
  return [
    figure('canary_false', [share(WORLD.live, 'rolled_back')], { atMost: 0.05 }),
    figure('canary_missed', [share(WORLD.live - 0.03, 'live')], { atMost: 0.05 }),
  ];
};
