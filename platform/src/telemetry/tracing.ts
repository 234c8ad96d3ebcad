import { createHash } from 'node:crypto';
import { toHotloopError } from '@hotloop/proto/errors.ts';
import { traceIdOf } from '@hotloop/proto/prediction-id.ts';
import {
  SpanKind as LibraryKind,
  type Span as LibrarySpan,
  type Link,
  ROOT_CONTEXT,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import { otlpExporter, providerPipeline, type SpanPipeline } from './span-pipeline.ts';

export type SpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer';
export type SpanAttribute = string | number | boolean;

export interface SpanOptions {
  /** Identifies the trace: the prediction's id without dashes is the trace id. */
  readonly predictionId: string;
  /** Whether it is recorded; false makes the span a no-op. */
  readonly sampled: boolean;
  /** True in the service that answers the caller: this span is the root of all others of the prediction. */
  readonly root?: boolean;
  readonly kind?: SpanKind;
  /** W3C traceparents of related spans, such as the caller's; malformed ones are ignored. */
  readonly links?: readonly string[];
  readonly attributes?: Readonly<Record<string, SpanAttribute>>;
  /** Milliseconds since 1970, for a span that began earlier; default now. */
  readonly startMs?: number;
}

export interface Span {
  set(name: string, value: SpanAttribute): void;
  /** Marks the span as failed, with code and reason; texts of causes are not recorded. */
  fail(error: unknown): void;
  /** Ends the span; later calls do nothing. */
  end(): void;
}

export interface Tracing extends AsyncDisposable {
  /** Whether a prediction is recorded: the same answer for an id in every service. False when there is no endpoint. */
  sampled(predictionId: string): boolean;
  span(name: string, options: SpanOptions): Span;
  /** Sends waiting spans. If the receiver cannot be reached they are lost; it never fails. */
  flush(): Promise<void>;
}

export interface TracingOptions {
  readonly service: string;
  /** OTLP/HTTP base such as http://127.0.0.1:4318; without it nothing is recorded. */
  readonly endpoint?: string | undefined;
  /** Share of predictions recorded, 0 to 1. */
  readonly sampleRatio: number;
  /** Instead of OTLP, for tests. */
  readonly exporter?: SpanExporter;
}

const NO_SPAN: Span = { set() {}, fail() {}, end() {} };

const NO_TRACING: Tracing = {
  sampled: () => false,
  span: () => NO_SPAN,
  flush: async () => {},
  [Symbol.asyncDispose]: async () => {},
};

const KINDS: Readonly<Record<SpanKind, LibraryKind>> = {
  internal: LibraryKind.INTERNAL,
  server: LibraryKind.SERVER,
  client: LibraryKind.CLIENT,
  producer: LibraryKind.PRODUCER,
  consumer: LibraryKind.CONSUMER,
};

/**
 * Spans whose trace is the prediction itself. The trace id is the prediction id, and the root span's id is computed
 * from it, so every service, and the retrainer days later, knows the parent without receiving it.
 */
export function startTracing(options: TracingOptions): Tracing {
  const exporter = options.exporter ?? (options.endpoint ? otlpExporter(options.endpoint) : undefined);
  if (!exporter || options.sampleRatio <= 0) return NO_TRACING;
  return new RecordingTracing(providerPipeline(options.service, exporter), options.sampleRatio);
}

/**
 * The tracing of a whole process, with OpenTelemetry's Node SDK, which also honours the standard OTEL_ variables.
 * Once per process, because the SDK registers itself globally. It takes long to load, so a process without an
 * endpoint does not load it.
 */
export async function startProcessTracing(options: Omit<TracingOptions, 'exporter'>): Promise<Tracing> {
  if (!options.endpoint || options.sampleRatio <= 0) return NO_TRACING;
  const { nodeSdkPipeline } = await import('./node-sdk-pipeline.ts');
  return new RecordingTracing(nodeSdkPipeline(options.service, options.endpoint), options.sampleRatio);
}

/**
 * Id of the root span of a prediction: 8 bytes of the SHA-256 of its id, so that it differs from the id's own last
 * bytes.
 */
export function rootSpanIdOf(predictionId: string): string {
  return createHash('sha256').update(predictionId).digest('hex').slice(0, 16);
}

class RecordingTracing implements Tracing {
  readonly #pipeline: SpanPipeline;
  readonly #threshold: number;

  constructor(pipeline: SpanPipeline, sampleRatio: number) {
    this.#pipeline = pipeline;
    this.#threshold = Math.min(1, sampleRatio) * 2 ** 32;
  }

  /** The id's last 32 bits are random: ids below the threshold are recorded. */
  sampled(predictionId: string): boolean {
    return Number.parseInt(predictionId.slice(-8), 16) < this.#threshold;
  }

  span(name: string, options: SpanOptions): Span {
    if (!options.sampled) return NO_SPAN;
    const traceId = traceIdOf(options.predictionId);
    const rootSpanId = rootSpanIdOf(options.predictionId);
    const settings = {
      kind: KINDS[options.kind ?? 'internal'],
      attributes: { 'hotloop.prediction_id': options.predictionId, ...options.attributes },
      links: (options.links ?? []).map(linkTo).filter((link) => link !== undefined),
      ...(options.startMs === undefined ? {} : { startTime: options.startMs }),
    };
    if (options.root) {
      this.#pipeline.ids.next(traceId, rootSpanId);
      return new RecordedSpan(
        this.#pipeline.tracer.startSpan(name, { ...settings, root: true }, ROOT_CONTEXT),
      );
    }
    const parent = trace.setSpanContext(ROOT_CONTEXT, {
      traceId,
      spanId: rootSpanId,
      traceFlags: TraceFlags.SAMPLED,
      isRemote: true,
    });
    return new RecordedSpan(this.#pipeline.tracer.startSpan(name, settings, parent));
  }

  async flush(): Promise<void> {
    await this.#pipeline.flush().catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
    await this.#pipeline.shutdown().catch(() => undefined);
  }
}

class RecordedSpan implements Span {
  readonly #span: LibrarySpan;

  constructor(span: LibrarySpan) {
    this.#span = span;
  }

  set(name: string, value: SpanAttribute): void {
    this.#span.setAttribute(name, value);
  }

  fail(error: unknown): void {
    const { code, reason } = toHotloopError(error);
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message: code });
    this.#span.setAttribute('error.type', reason === '' ? code : reason);
  }

  end(): void {
    if (this.#span.isRecording()) this.#span.end();
  }
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

function linkTo(traceparent: string): Link | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || /^0+$/.test(traceId) || /^0+$/.test(spanId))
    return undefined;
  return { context: { traceId, spanId, traceFlags: Number.parseInt(flags ?? '0', 16), isRemote: true } };
}
