import type { WorkInput } from '../batching/batcher.ts';

const KEPT = 16;
/** One request in so many is looked at, so that keeping costs nothing. */
const EVERY = 16;
const MAX_BYTES = 64 * 1024;

/** A few real inputs of each model, to warm the next version on. Copies: what is kept outlives its request. */
export class RecentInputs {
  readonly #byModel = new Map<string, WorkInput[][]>();
  #seen = 0;

  offer(model: string, inputs: readonly WorkInput[]): void {
    if (this.#seen++ % EVERY !== 0) return;
    let bytes = 0;
    for (const input of inputs) bytes += input.contents.length;
    if (bytes > MAX_BYTES) return;
    let kept = this.#byModel.get(model);
    if (!kept) {
      kept = [];
      this.#byModel.set(model, kept);
    }
    if (kept.length >= KEPT) kept.shift();
    kept.push(inputs.map((input) => ({ ...input, contents: Uint8Array.from(input.contents) })));
  }

  of(model: string): readonly (readonly WorkInput[])[] {
    return this.#byModel.get(model) ?? [];
  }

  forget(model: string): void {
    this.#byModel.delete(model);
  }
}
