import type { HotloopClient } from '@hotloop/client';
import { rocAuc } from '@hotloop/retrainer/training/metrics.ts';
import type { KnownSession } from './story.ts';
import { predictInput, rowScores } from './traffic.ts';

const IN_FLIGHT = 32;
const TIMEOUT_MS = 10_000;

export interface Verdict {
  readonly version: number;
  readonly auc: number;
}

export interface Judgement {
  readonly verdicts: readonly Verdict[];
  readonly answered: number;
  readonly failed: number;
}

/**
 * Sends the same sessions to each version, through the same preprocessor, and measures how well each discriminates. A
 * session with a failed prediction is left out for every version, and counted.
 */
export async function judgeVersions(
  client: HotloopClient,
  model: string,
  versions: readonly number[],
  sessions: readonly KnownSession[],
  signal: AbortSignal,
): Promise<Judgement> {
  const scores = versions.map((): number[] => []);
  const labels: number[] = [];
  let [answered, failed, next] = [0, 0, 0];
  const work = async () => {
    for (let session = sessions[next++]; session; session = sessions[next++]) {
      signal.throwIfAborted();
      const { input, labels: own } = session;
      const answers = await Promise.allSettled(
        versions.map((version) =>
          client.predict(model, predictInput(input, version), { timeoutMs: TIMEOUT_MS, signal }),
        ),
      );
      const given = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
      answered += given.length;
      failed += answers.length - given.length;
      if (given.length < versions.length) continue;
      labels.push(...own);
      for (const [index, prediction] of given.entries()) scores[index]!.push(...rowScores(prediction));
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  return {
    answered,
    failed,
    verdicts: versions.map((version, index) => ({ version, auc: rocAuc(scores[index]!, labels) })),
  };
}
