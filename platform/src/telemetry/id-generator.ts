import { type IdGenerator, RandomIdGenerator } from '@opentelemetry/sdk-trace';

/** Random ids, except for one announced span: the library offers no other way to choose the id of a root span. */
export class PredictionIdGenerator implements IdGenerator {
  readonly #random = new RandomIdGenerator();
  #traceId: string | undefined;
  #spanId: string | undefined;

  /** The next span gets these ids; the caller must start it in the same turn. */
  next(traceId: string, spanId: string): void {
    this.#traceId = traceId;
    this.#spanId = spanId;
  }

  // Fields and not methods, because the library calls them without the object.
  readonly generateTraceId = (): string => {
    const id = this.#traceId ?? this.#random.generateTraceId();
    this.#traceId = undefined;
    return id;
  };

  readonly generateSpanId = (): string => {
    const id = this.#spanId ?? this.#random.generateSpanId();
    this.#spanId = undefined;
    return id;
  };
}
