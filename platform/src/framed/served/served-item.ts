import type { Caller } from '../../auth/authorization.ts';
import type { CallContext } from '../../grpc/call-context.ts';
import type { ItemContext } from '../../grpc/item-context.ts';
import type { Cancellation } from '../cancellation.ts';
import { type DeadlineWheel, OFF_WHEEL, type WheelEntry } from '../deadline-wheel.ts';

/** One item at the server, and the context for its handler. */
export class ServedItem<Item> implements ItemContext, Cancellation, WheelEntry {
  readonly message: Item;
  readonly sequence: number;
  deadlineAt: number;
  wheelNext: WheelEntry | undefined = undefined;
  wheelPrevious: WheelEntry | undefined = undefined;
  wheelSlot = OFF_WHEEL;
  readonly #call: CallContext;
  readonly #wheel: DeadlineWheel;
  #cancelled = false;
  #listeners: (() => void)[] | undefined;
  #controller: AbortController | undefined;

  constructor(message: Item, sequence: number, deadlineAt: number, call: CallContext, wheel: DeadlineWheel) {
    this.message = message;
    this.sequence = sequence;
    this.deadlineAt = deadlineAt;
    this.#call = call;
    this.#wheel = wheel;
  }

  get caller(): Caller {
    return this.#call.caller;
  }

  get requestId(): string {
    return this.#call.requestId;
  }

  /**
   * Created on demand: most handlers never use it, so only those that do pay for the controller and an entry on the
   * deadline wheel.
   */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#cancelled) this.#abort('AbortError');
      else if (this.remainingMs() <= 0) this.#abort('TimeoutError');
      else this.#wheel.add(this);
    }
    return this.#controller.signal;
  }

  /** The item itself, to save an object. */
  get cancellation(): Cancellation {
    return this;
  }

  get aborted(): boolean {
    return this.#cancelled;
  }

  addEventListener(_: 'abort', listener: () => void): void {
    if (this.#cancelled) return;
    this.#listeners ??= [];
    this.#listeners.push(listener);
  }

  removeEventListener(_: 'abort', listener: () => void): void {
    const at = this.#listeners?.indexOf(listener) ?? -1;
    if (at >= 0) this.#listeners?.splice(at, 1);
  }

  remainingMs(): number {
    return this.deadlineAt - performance.now();
  }

  isOver(): boolean {
    return this.#cancelled || this.remainingMs() <= 0;
  }

  cancel(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#wheel.remove(this);
    this.#abort('AbortError');
    const listeners = this.#listeners ?? [];
    this.#listeners = undefined;
    for (const listener of listeners) listener();
  }

  onDeadline(): void {
    this.#abort('TimeoutError');
  }

  /** Call when the handler has ended. */
  settle(): void {
    this.#wheel.remove(this);
  }

  #abort(name: 'AbortError' | 'TimeoutError'): void {
    this.#controller?.abort(
      new DOMException(name === 'AbortError' ? 'the caller cancelled' : 'the deadline passed', name),
    );
  }
}
