import { compileFeaturePlan, type FeatureInput } from '@hotloop/model/features/feature-plan.ts';
import { manifestOf, record } from '@hotloop/model/testing/manifests.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import type { BenchOptions } from '../bench.ts';
import { type Figure, figure } from '../figure.ts';
import { readLettersData } from '../models/letters-data.ts';
import { documentsAccuracy } from './documents-accuracy.ts';
import { featureReads } from './feature-reads.ts';

const CANDIDATES = 200;
const NUMBERS = 30;
/** Predictions between two readings of the clock. */
const TURN = 20;

/**
 * Execution of a compiled feature plan on one core: `cells`, numeric cells per second of a ranking with 200
 * candidates and 30 features with the usual transforms; `cells_text`, MB of UTF-8 per second through hashed words and
 * pairs of words. Then the duration of reads (`read_200`, `read_1`) and, with `--data`, the accuracy on letters
 * (`documents_accuracy`).
 */
export async function featuresBench(options: BenchOptions): Promise<Figure[]> {
  const { rounds, seconds, data, say } = options;
  const letters = data === undefined ? undefined : await readLettersData(data);
  const numeric = numericWork();
  const text = textWork();
  const cells: number[] = [];
  const megabytes: number[] = [];
  // The first turn of each is a warm-up for the compiler.
  perSecond(numeric.run, seconds / 3);
  perSecond(text.run, seconds / 3);
  for (let round = 0; round < rounds; round++) {
    cells.push(perSecond(numeric.run, seconds) * numeric.amount);
    megabytes.push((perSecond(text.run, seconds) * text.amount) / 1e6);
    say(
      `round ${round + 1}: ${((cells.at(-1) as number) / 1e6).toFixed(1)} million cells/s, ${megabytes.at(-1)?.toFixed(1)} MB/s`,
    );
  }
  return [
    figure('cells', cells, { atLeast: 50e6 }),
    figure('cells_text', megabytes, { atLeast: 15 }),
    ...(await featureReads(options)),
    ...(letters === undefined ? [] : await documentsAccuracy(letters, say)),
  ];
}

interface Work {
  readonly run: () => void;
  /** Cells, or bytes, of one run. */
  readonly amount: number;
}

function numericWork(): Work {
  const steps = [
    [],
    ['log1p' as const],
    [{ standardize: { mean: 3, std: 2 } }],
    [{ clip: [0, 50] as [number, number] }, { scale: { min: 0, max: 50 } }],
    [{ bucketize: [1, 2, 5, 10, 20, 50] }],
  ];
  const features = Array.from({ length: NUMBERS }, (_, index) => ({
    name: `f${index}`,
    from: index % 3 === 2 ? `request.f${index}` : `item.f${index}`,
    range: [-1e6, 1e6] as [number, number],
    missing: 0,
    transform: steps[index % steps.length] ?? [],
  }));
  const plan = compileFeaturePlan(manifestOf({ task: 'ranking', features }));
  const attributes = (row: number) =>
    record<AttributeValue>(
      Object.fromEntries(
        Array.from({ length: NUMBERS }, (_, index) => [`f${index}`, ((row * 31 + index * 7) % 100) + 0.5]),
      ),
    );
  const input: FeatureInput = {
    request: attributes(0),
    entities: record({ user: 'u1' }),
    candidates: Array.from({ length: CANDIDATES }, (_, row) => ({
      id: `c${row}`,
      attributes: attributes(row),
    })),
  };
  return { run: () => void plan.run(input, [], 0), amount: CANDIDATES * NUMBERS };
}

function textWork(): Work {
  const plan = compileFeaturePlan(
    manifestOf({
      features: [
        {
          name: 'letter',
          from: 'request.letter',
          transform: [{ text: { ngrams: [1, 2] as [number, number], buckets: 4096 } }],
        },
      ],
    }),
  );
  const sentence = 'My new card has not arrived yet, and the café at größere Straße 12 refused the old one. ';
  const letters = Array.from({ length: 50 }, (_, index) => sentence.repeat(1 + (index % 20)) + index);
  const inputs = letters.map((letter) => ({
    request: record<AttributeValue>({ letter }),
    entities: record<string>({}),
    candidates: [],
  }));
  const amount = letters.reduce((bytes, letter) => bytes + Buffer.byteLength(letter), 0);
  return {
    run() {
      for (const input of inputs) plan.run(input, [], 0);
    },
    amount,
  };
}

/** Runs per second of CPU time: the rate of one core, however busy the machine is. */
function perSecond(run: () => void, seconds: number): number {
  const before = process.cpuUsage();
  let runs = 0;
  for (;;) {
    for (let turn = 0; turn < TURN; turn++) run();
    runs += TURN;
    const { user, system } = process.cpuUsage(before);
    const used = (user + system) / 1e6;
    if (used >= seconds) return runs / used;
  }
}
