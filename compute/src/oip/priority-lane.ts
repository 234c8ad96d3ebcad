import { invalid } from './tensor-checks.ts';

const LEAST_URGENT = 1_000;

/**
 * The queue lane of the protocol's `priority`. In the protocol 1 is the most urgent; in the queue, higher lanes run
 * first. The default, 0, is the least urgent, so that a caller that sets no priority never overtakes one that does.
 * Throws INVALID_ARGUMENT for any other value.
 */
export function laneOf(priority: number): number {
  if (!Number.isInteger(priority) || priority < 0 || priority > LEAST_URGENT)
    throw invalid(`parameter 'priority' must be an integer from 0 to ${LEAST_URGENT}, not ${priority}`);
  return priority === 0 ? 0 : LEAST_URGENT - priority;
}
