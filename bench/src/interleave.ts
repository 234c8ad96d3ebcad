/** Result of one side of a comparison in one round. */
export interface Sample {
  /** Operations finished per second. */
  readonly perSecond: number;
  /** Latencies in milliseconds; NaN if the side does not measure them. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** One side of a comparison: a server and a way to load it, already warm. */
export interface Side<S extends Sample = Sample> {
  readonly name: string;
  run(seconds: number): Promise<S>;
  /**
   * Called after each run, outside the measured time: waits for work that the run has left behind, which would
   * otherwise be done in the others' turns.
   */
  settle?(): Promise<void>;
}

export type Rounds<S extends Sample = Sample> = ReadonlyMap<string, readonly S[]>;

/**
 * Runs all sides in turn, `rounds` times, each round in another order, so that a drift of the machine's speed affects
 * all sides equally and each round gives one pair.
 */
export async function interleave<S extends Sample>(
  sides: readonly Side<S>[],
  rounds: number,
  seconds: number,
  say: (line: string) => void = () => undefined,
): Promise<Rounds<S>> {
  const samples = new Map<string, S[]>(sides.map((side) => [side.name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < sides.length; turn++) {
      const side = sides[(turn + round) % sides.length];
      if (!side) continue;
      samples.get(side.name)?.push(await side.run(seconds));
      await side.settle?.();
    }
    const latest = sides.map(
      ({ name }) => `${name} ${Math.round(samples.get(name)?.at(-1)?.perSecond ?? 0)}`,
    );
    say(`round ${round + 1} of ${rounds}, per second: ${latest.join(', ')}`);
  }
  return samples;
}

/** Warm-up time and repetitions: together they make the side that is warmed up first as warm as the last one. */
const WARM_SECONDS = 2;
const WARM_TURNS = 2;

/** Runs every side for a while before measuring: code is compiled, costs are learnt, memory is allocated. */
export async function warm(
  sides: readonly Side[],
  seconds: number,
  say: (line: string) => void,
): Promise<void> {
  say('warming');
  for (let turn = 0; turn < WARM_TURNS; turn++)
    for (const side of sides) {
      await side.run(Math.min(seconds, WARM_SECONDS));
      await side.settle?.();
    }
}

/** The q-quantile (0 to 1) by the nearest-rank method; NaN without values. */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN;
}
