import type { Tracer } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  type SpanExporter,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { PredictionIdGenerator } from './id-generator.ts';

const FLUSH_MS = 2000;

/**
 * Where spans go. `ids` sets the ids of the next span of `tracer`. If the receiver cannot be reached, only spans are
 * lost.
 */
export interface SpanPipeline {
  readonly tracer: Tracer;
  readonly ids: PredictionIdGenerator;
  flush(): Promise<void>;
  shutdown(): Promise<void>;
}

/** OTLP over HTTP to a base such as http://127.0.0.1:4318. */
export function otlpExporter(endpoint: string): SpanExporter {
  return new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces`, timeoutMillis: 5000 });
}

export function serviceResource(service: string): Resource {
  return resourceFromAttributes({ 'service.name': service, 'service.namespace': 'hotloop' });
}

/** Exports spans in batches, off the hot path; a full queue drops the newest. */
export function batchProcessor(exporter: SpanExporter): BatchSpanProcessor {
  return new BatchSpanProcessor({
    exporter,
    maxQueueSize: 8192,
    maxExportBatchSize: 512,
    scheduledDelayMillis: 1000,
    exportTimeoutMillis: FLUSH_MS,
  });
}

/** A separate pipeline, so that one process may have several with different exporters. */
export function providerPipeline(service: string, exporter: SpanExporter): SpanPipeline {
  const ids = new PredictionIdGenerator();
  const provider = new TracerProvider({
    resource: serviceResource(service),
    idGenerator: ids,
    sampler: new AlwaysOnSampler(),
    spanProcessors: [batchProcessor(exporter)],
  });
  return {
    tracer: provider.getTracer('hotloop'),
    ids,
    flush: () => provider.forceFlush({ timeoutMillis: FLUSH_MS }),
    shutdown: () => provider.shutdown(),
  };
}
