import type { RegistrySnapshot } from '@hotloop/platform/registry/snapshot.ts';
import type { WorkInput } from '../batching/work-input.ts';

const KEPT = 16;
/** One request in this many is considered, so that the cost is negligible. */
const EVERY = 16;
const MAX_BYTES = 64 * 1024;

/**
 * A few real inputs of each model, to warm up its next version. Only inputs that were answered without error are
 * kept; otherwise every later version would run a bad request again. They are copies, because they outlive their
 * request.
 */
export class RecentInputs {
  readonly #byModel = new Map<string, WorkInput[][]>();
  #seen = 0;

  /** Call once for each input that was answered without error; true when it should be offered. */
  isDue(): boolean {
    return this.#seen++ % EVERY === 0;
  }

  offer(model: string, inputs: readonly WorkInput[]): void {
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

  /** A copy of the current list. */
  of(model: string): readonly (readonly WorkInput[])[] {
    return [...(this.#byModel.get(model) ?? [])];
  }

  /** Removes every input with the same values. */
  drop(model: string, inputs: readonly WorkInput[]): void {
    const kept = this.#byModel.get(model);
    if (!kept) return;
    this.#byModel.set(
      model,
      kept.filter((other) => !isSame(other, inputs)),
    );
  }

  forget(model: string): void {
    this.#byModel.delete(model);
  }

  /** Forgets models that are no longer registered. */
  keepOnly({ models }: RegistrySnapshot): void {
    for (const model of this.#byModel.keys()) if (!models.has(model)) this.#byModel.delete(model);
  }
}

function isSame(kept: readonly WorkInput[], inputs: readonly WorkInput[]): boolean {
  return (
    kept.length === inputs.length &&
    kept.every((one, index) => {
      const other = inputs[index];
      return (
        other?.datatype === one.datatype &&
        other.shape.join() === one.shape.join() &&
        Buffer.compare(other.contents, one.contents) === 0
      );
    })
  );
}
