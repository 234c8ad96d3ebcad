import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { evaluateQuality, type QualityQuestion } from './performance/evaluate-quality.ts';
import { evaluateDomain } from './signals/evaluate-domain.ts';
import type { Signal } from './signals/signal.ts';

/** What needs the rows themselves rather than their summaries: quality, labels, all features together. Takes seconds. */
export async function evaluateRows(pool: Pool, question: QualityQuestion): Promise<Signal[]> {
  return [...(await evaluateQuality(pool, question)), ...(await evaluateDomain(pool, question))];
}
