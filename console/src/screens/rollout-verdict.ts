import type { Rollout } from '../api/rollout-types.ts';
import { formatCount } from '../number-format.ts';

export interface Verdict {
  readonly tone: 'good' | 'warn' | 'bad' | 'info';
  readonly title: string;
  readonly text: string;
}

/** What a person should do about a rollout, in one line. Pure. */
export function verdictOf(rollout: Rollout): Verdict {
  const { state, evidence, message } = rollout;
  const quality = evidence.quality;
  if (state === 'rolled_back' || state === 'reverting')
    return { tone: 'bad', title: 'Rolled back', text: message };
  if (state === 'failed') return { tone: 'bad', title: 'Failed', text: message };
  if (state === 'aborted') return { tone: 'warn', title: 'Aborted', text: message };
  if (state === 'settled') return { tone: 'good', title: 'Live', text: message };
  if (state === 'held') return { tone: 'warn', title: 'On hold', text: message };
  if (state === 'approval')
    return { tone: 'info', title: 'Waits for approval', text: 'A second person must approve it.' };
  if (quality?.kind === 'roll_back') return { tone: 'bad', title: 'Roll back', text: quality.message };
  if (quality?.kind === 'advance') return { tone: 'good', title: 'Safe to continue', text: quality.message };
  if (quality?.kind === 'wait' && quality.needed !== null)
    return {
      tone: 'info',
      title: `Wait for about ${formatCount(quality.needed)} more outcomes`,
      text: quality.message,
    };
  if (state === 'live') return { tone: 'good', title: 'Live, watched by its guards', text: message };
  return { tone: 'info', title: 'In progress', text: message };
}
