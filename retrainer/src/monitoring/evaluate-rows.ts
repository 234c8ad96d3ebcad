import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { evaluateQuality, type QualityQuestion } from './performance/evaluate-quality.ts';
import { evaluateDomain } from './signals/evaluate-domain.ts';
import type { Signal } from './signals/signal.ts';

/** Evaluations that need rows instead of summaries: quality, labels, all features together. Takes seconds. */
export async function evaluateRows(pool: Pool, question: QualityQuestion): Promise<Signal[]> {
  return [...(await evaluateQuality(pool, question)), ...(await evaluateDomain(pool, question))];
}
