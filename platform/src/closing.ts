import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Log } from './log.ts';

export interface ClosingStep {
  readonly name: string;
  /** Must end by itself when the signal fires; after the deadline nothing waits for it. */
  run(signal: AbortSignal): unknown;
}

/** The result of one step. */
export interface ClosingResult {
  readonly name: string;
  readonly outcome: 'closed' | 'failed' | 'late';
  readonly error?: unknown;
}

/**
 * Stopping is starting in reverse. Code that opens a resource defers its closing in the next line; `close` runs the
 * steps in reverse order under one deadline. Closing twice is closing once. A failing or late step never skips the
 * next: after the deadline each remaining step still starts, with a signal that has already fired.
 */
export class Closing implements AsyncDisposable {
  readonly #steps: ClosingStep[] = [];
  readonly #log: Log | undefined;
  #closed: Promise<readonly ClosingResult[]> | undefined;

  constructor(log?: Log) {
    this.#log = log;
  }

  /** Registers a step. Throws FAILED_PRECONDITION once closing has begun. */
  defer(name: string, run: (signal: AbortSignal) => unknown): void {
    if (this.#closed)
      throw new HotloopError('FAILED_PRECONDITION', `cannot open ${name}: the service is closing`);
    this.#steps.push({ name, run });
  }

  /** Defers the disposal of a resource and returns the resource. */
  use<T extends AsyncDisposable>(name: string, resource: T): T {
    this.defer(name, () => resource[Symbol.asyncDispose]());
    return resource;
  }

  /** Never rejects. */
  close(deadlineMs: number): Promise<readonly ClosingResult[]> {
    this.#closed ??= this.#run(deadlineMs);
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(10_000);
  }

  async #run(deadlineMs: number): Promise<readonly ClosingResult[]> {
    const results: ClosingResult[] = [];
    const deadline = new AbortController();
    const timer = setTimeout(
      () => deadline.abort(new DOMException('closing took too long', 'TimeoutError')),
      deadlineMs,
    );
    const passed = new Promise<'late'>((resolve) => {
      deadline.signal.addEventListener('abort', () => resolve('late'), { once: true });
    });
    try {
      for (const step of this.#steps.toReversed())
        results.push(await this.#runStep(step, deadline.signal, passed));
    } finally {
      clearTimeout(timer);
    }
    return results;
  }

  async #runStep(step: ClosingStep, signal: AbortSignal, passed: Promise<'late'>): Promise<ClosingResult> {
    try {
      const ended = Promise.resolve(step.run(signal)).then(() => 'closed' as const);
      // A late step is no longer waited for, but its failure must not become an unhandled rejection.
      ended.catch(() => undefined);
      const outcome = await Promise.race([ended, passed]);
      if (outcome === 'late') this.#log?.warn({ step: step.name }, 'closing did not end in time');
      return { name: step.name, outcome };
    } catch (error) {
      this.#log?.error({ step: step.name, error }, 'closing failed');
      return { name: step.name, outcome: 'failed', error };
    }
  }
}
