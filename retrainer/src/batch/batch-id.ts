import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';

const ids = randomPredictionIds();

/** A new id that sorts by its time. */
export function uuidv7(nowMs: number): string {
  return ids.next(nowMs);
}
