import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import {
  evaluateOffPolicy,
  type LoggedRequest,
  type OffPolicyValue,
} from '@hotloop/model/statistics/off-policy.ts';
import {
  fromPostgresError,
  type Pool,
  type PoolClient,
  transaction,
} from '@hotloop/platform/postgres/pool.ts';
import { readLabels } from '../datasets/read-labels.ts';
import { deviationOf } from '../rollouts/answer-quality.ts';
import { qualityOfRow, readPredictions } from '../rollouts/judged-answers.ts';

/** One answer of a split whose outcome is known. */
export interface SplitAnswer {
  readonly version: number;
  /** From 0 to 1. */
  readonly quality: number;
  /** How likely it was that this version answered, as logged; below 1. */
  readonly propensity: number;
}

export interface SplitAsked {
  readonly versions: readonly [number, number];
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly now: number;
}

/** What a version would have earned, had it answered every request of the splits. */
export interface VersionValue {
  readonly version: number;
  /** How many of the requests it answered. */
  readonly answered: number;
  readonly value: OffPolicyValue;
}

/**
 * The mean quality of two versions over the requests that were split between them (canary, A/B, bandit), each answer weighed by one over
 * its logged propensity. A plain mean of a version's answers would be wrong where its share followed its success, as a bandit's does.
 * Empty without such requests.
 */
export async function replaySplit(
  pool: Pool,
  manifest: Manifest,
  asked: SplitAsked,
): Promise<VersionValue[]> {
  if (manifest.task === 'tensor') return [];
  try {
    return await transaction(pool, (client) => read(client, manifest, asked), {
      isolation: 'repeatable read',
    });
  } catch (error) {
    throw fromPostgresError(error);
  }
}

async function read(client: PoolClient, manifest: Manifest, { versions, since, now }: SplitAsked) {
  const logged = await readPredictions(client, {
    model: manifest.name,
    versions,
    since,
    withFeatures: false,
  });
  const rows = logged.filter(({ propensity, variant }) => propensity < 1 && variant !== 'shadow');
  const { examples: labels } = await readLabels(client, manifest, rows, now);
  const deviation = deviationOf(manifest, labels);
  const answers = rows.flatMap((row): SplitAnswer[] => {
    const examples = labels.get(row.prediction_id);
    const quality = examples ? qualityOfRow(manifest, row, examples, { deviation, isPaired: false }) : null;
    return quality === null ? [] : [{ version: row.version, quality, propensity: row.propensity }];
  });
  return answers.length === 0 ? [] : versions.map((version) => versionValue(answers, version));
}

/** The value of the policy that always asks one version. The reward model is the mean quality of that version's answers. Pure. */
export function versionValue(answers: readonly SplitAnswer[], version: number): VersionValue {
  const own = answers.filter((answer) => answer.version === version);
  const predicted = own.reduce((sum, { quality }) => sum + quality, 0) / Math.max(1, own.length);
  const requests = answers.map(
    ({ version: answering, quality, propensity }): LoggedRequest => ({
      actions: [{ reward: quality, logged: propensity, target: answering === version ? 1 : 0, predicted }],
      expected: predicted,
      slots: 1,
    }),
  );
  return { version, answered: own.length, value: evaluateOffPolicy(requests) };
}
