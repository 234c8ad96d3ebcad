import type { SearchSpec } from '../manifest/search-schema.ts';
import { drawPoint } from './draw-point.ts';
import type { Point, Trial } from './trial.ts';

export interface NewTrial {
  readonly key: string;
  readonly point: Point;
}

export interface SearchStep {
  /** Trials to start now. */
  readonly start: readonly NewTrial[];
  /** The best trial, when the search has ended; null when all its trials failed, undefined while it continues. */
  readonly winner?: Trial | null;
}

/**
 * The next step of a search: successive halving (Jamieson and Talwalkar, 2016) over points drawn at random or by TPE.
 * The first round tries `trials` points with the fewest epochs; the best of every `halving` trials continue with
 * `halving` times the epochs. Pure: the same trials give the same step, so that calling twice starts nothing twice.
 */
export function nextTrials(spec: SearchSpec, seed: number, trials: readonly Trial[]): SearchStep {
  const byKey = new Map(trials.map((trial) => [trial.key, trial]));
  for (let round = 0; round < spec.rounds; round++) {
    const size = roundSize(spec, round);
    const known = Array.from({ length: size }, (_, index) => byKey.get(`${round}:${index}`)).filter(
      (one) => one !== undefined,
    );
    const working = known.filter(({ loss }) => loss === null).length;
    if (known.length < size) {
      const room = Math.min(size - known.length, spec.parallel - working);
      const start = Array.from({ length: Math.max(0, room) }, (_, offset) => {
        const index = known.length + offset;
        const point =
          round === 0 ? drawPoint(spec, seed, index, trials) : ranked(trials, round - 1)[index]?.point;
        return point && { key: `${round}:${index}`, point };
      }).filter((one) => one !== undefined);
      if (start.length > 0 || working > 0) return { start };
      // Too many trials failed for this round to be full.
      if (known.length === 0) break;
    }
    if (working > 0) return { start: [] };
  }
  for (let round = spec.rounds - 1; round >= 0; round--) {
    const [best] = ranked(trials, round);
    if (best) return { start: [], winner: best };
  }
  return { start: [], winner: null };
}

/** Number of trials of a round; at least one. */
export function roundSize({ trials, halving }: SearchSpec, round: number): number {
  return Math.max(1, Math.floor(trials / halving ** round));
}

/** Epochs of a round, when the last one has `epochs`. */
export function roundEpochs({ halving, rounds }: SearchSpec, round: number, epochs: number): number {
  return Math.max(1, Math.round(epochs / halving ** (rounds - 1 - round)));
}

/** The trials of a round that succeeded, best first. */
function ranked(trials: readonly Trial[], round: number): Trial[] {
  return trials
    .filter(({ key, loss }) => key.startsWith(`${round}:`) && loss !== null && Number.isFinite(loss))
    .sort((a, b) => a.loss! - b.loss! || indexOf(a) - indexOf(b));
}

const indexOf = ({ key }: Trial): number => Number(key.split(':')[1]);
