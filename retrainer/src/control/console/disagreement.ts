import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { firstPredictionIdAt } from '@hotloop/proto/prediction-id.ts';
import { shadowIdOf } from '@hotloop/proto/shadow-id.ts';
import { firstNumber, type LoggedOutputs } from '../../rollouts/logged-outputs.ts';

/** What a shadow and the version that answered said to the same requests. */
export interface Disagreement {
  /** The version that ran as a shadow. */
  readonly shadow: number;
  readonly pairs: number;
  /** Pairs whose scores lie on different sides of 0.5. */
  readonly different: number;
  /** Mean of |answered - shadow|. */
  readonly meanDifference: number;
  /** The largest differences first. */
  readonly examples: readonly {
    readonly predictionId: string;
    readonly at: number;
    readonly answered: number;
    readonly shadow: number;
  }[];
}

const DAYS = 7;
const MOST_PAIRS = 2_000;
const SHOWN = 10;

interface Row extends LoggedOutputs {
  readonly prediction_id: string;
  readonly at: Date;
}

const SHADOWS = `
  SELECT prediction_id, at, outputs, output_spec FROM prediction
  WHERE model = $1 AND version = $2 AND variant = 'shadow' AND prediction_id >= $3 AND outputs IS NOT NULL
  ORDER BY prediction_id DESC LIMIT ${MOST_PAIRS}`;

const ANSWERS = `
  SELECT prediction_id, at, outputs, output_spec FROM prediction
  WHERE prediction_id = ANY($1::uuid[]) AND model = $2 AND version = $3 AND outputs IS NOT NULL`;

/** Where two versions differ on requests that both answered; null when neither was a shadow of the other lately. */
export async function readDisagreement(
  pool: Pool,
  model: string,
  versions: readonly [number, number],
  now: number,
): Promise<Disagreement | null> {
  const [a, b] = versions;
  try {
    return (await shadowOf(pool, model, a, b, now)) ?? (await shadowOf(pool, model, b, a, now));
  } catch (error) {
    throw fromPostgresError(error);
  }
}

async function shadowOf(
  pool: Pool,
  model: string,
  answering: number,
  shadow: number,
  now: number,
): Promise<Disagreement | null> {
  const since = firstPredictionIdAt(now - DAYS * 86_400_000);
  const shadows = await pool.query<Row>(SHADOWS, [model, shadow, since]);
  const copies = new Map(shadows.rows.map((row) => [shadowIdOf(row.prediction_id, shadow), row]));
  if (copies.size === 0) return null;
  const answers = await pool.query<Row>(ANSWERS, [[...copies.keys()], model, answering]);
  const pairs = answers.rows.flatMap((row) => {
    const copy = copies.get(row.prediction_id);
    const [answered, copied] = [firstNumber(row), copy ? firstNumber(copy) : null];
    if (answered === null || copied === null) return [];
    return [{ predictionId: row.prediction_id, at: row.at.getTime(), answered, shadow: copied }];
  });
  if (pairs.length === 0) return null;
  const differenceOf = (pair: (typeof pairs)[number]) => Math.abs(pair.answered - pair.shadow);
  return {
    shadow,
    pairs: pairs.length,
    different: pairs.filter((pair) => pair.answered >= 0.5 !== pair.shadow >= 0.5).length,
    meanDifference: pairs.reduce((sum, pair) => sum + differenceOf(pair), 0) / pairs.length,
    examples: pairs.toSorted((one, other) => differenceOf(other) - differenceOf(one)).slice(0, SHOWN),
  };
}
