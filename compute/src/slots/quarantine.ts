import { createHash } from 'node:crypto';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { WorkInput } from '../batching/work-input.ts';
import type { Slot } from './slot.ts';

/** Number of runners that an input must have ended, running alone, before it is rejected. */
const KILLS = 3;
const REMEMBERED = 1_000;

/** Remembers inputs that end runners, by digest and per version. Drops the oldest. */
export class Quarantine {
  readonly #kills = new Map<string, number>();

  /** Throws INVALID_ARGUMENT `quarantined`. Costs nothing while no runner has ended. */
  check(slot: Slot, inputs: readonly WorkInput[]): void {
    if (this.#kills.size === 0) return;
    if ((this.#kills.get(keyOf(slot, inputs)) ?? 0) >= KILLS)
      throw new HotloopError(
        'INVALID_ARGUMENT',
        'this input has crashed the model several times; it is not run again',
        {
          reason: 'quarantined',
        },
      );
  }

  /** True when it ended a runner even once. */
  knows(slot: Slot, inputs: readonly WorkInput[]): boolean {
    return this.#kills.size > 0 && this.#kills.has(keyOf(slot, inputs));
  }

  blame(slot: Slot, inputs: readonly WorkInput[]): void {
    const key = keyOf(slot, inputs);
    const kills = (this.#kills.get(key) ?? 0) + 1;
    this.#kills.delete(key);
    this.#kills.set(key, kills);
    for (const oldest of this.#kills.keys()) {
      if (this.#kills.size <= REMEMBERED) break;
      this.#kills.delete(oldest);
    }
  }
}

function keyOf(slot: Slot, inputs: readonly WorkInput[]): string {
  const hash = createHash('sha256').update(`${slot.record.model} ${slot.record.version}`);
  for (const input of inputs)
    hash.update(`${input.datatype} ${input.shape.join('x')} `).update(input.contents);
  return hash.digest('base64');
}
