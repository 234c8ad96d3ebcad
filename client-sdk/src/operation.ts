import { deferred } from './deferred.ts';

/**
 * A long-running operation: iterate it for its steps, or await `finished()` for its result, or do both. It runs from
 * its creation, iterated or not. Both ways throw the failure.
 */
export class Operation<Step, Result> implements AsyncIterable<Step> {
  readonly #result: Promise<Result>;
  readonly #steps: Step[] = [];
  #changed = deferred<void>();
  #ended = false;

  constructor(run: (report: (step: Step) => void) => Promise<Result>) {
    this.#result = run((step) => {
      this.#steps.push(step);
      this.#change();
    }).finally(() => {
      this.#ended = true;
      this.#change();
    });
    // Callers that await it get the failure; if none does, it must not end the process.
    this.#result.catch(() => undefined);
  }

  finished(): Promise<Result> {
    return this.#result;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Step, void, undefined> {
    for (let next = 0; ; ) {
      while (next < this.#steps.length) yield this.#steps[next++]!;
      if (this.#ended) break;
      await this.#changed.promise;
    }
    await this.#result;
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = deferred<void>();
  }
}
