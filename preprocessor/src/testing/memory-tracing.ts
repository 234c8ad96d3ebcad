import type { Span, SpanOptions, Tracing } from '@hotloop/platform/telemetry/tracing.ts';

export interface RecordedSpan {
  readonly name: string;
  readonly options: SpanOptions;
  failed: boolean;
  ended: number;
}

/** Records the spans of sampled predictions, in the order of their start. */
export class MemoryTracing implements Tracing {
  readonly spans: RecordedSpan[] = [];
  readonly #samples: boolean;

  constructor(samples = true) {
    this.#samples = samples;
  }

  sampled(): boolean {
    return this.#samples;
  }

  span(name: string, options: SpanOptions): Span {
    const recorded: RecordedSpan = { name, options, failed: false, ended: 0 };
    if (options.sampled) this.spans.push(recorded);
    return {
      set: () => undefined,
      fail: () => {
        recorded.failed = true;
      },
      end: () => {
        recorded.ended++;
      },
    };
  }

  async flush(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}
