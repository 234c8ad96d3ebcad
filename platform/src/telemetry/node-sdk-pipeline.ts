import { trace } from '@opentelemetry/api';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { AlwaysOnSampler } from '@opentelemetry/sdk-trace';
import { PredictionIdGenerator } from './id-generator.ts';
import { batchProcessor, otlpExporter, type SpanPipeline, serviceResource } from './span-pipeline.ts';

/** The process's own pipeline, registered globally. */
export function nodeSdkPipeline(service: string, endpoint: string): SpanPipeline {
  const ids = new PredictionIdGenerator();
  const processor = batchProcessor(otlpExporter(endpoint));
  const sdk = new NodeSDK({
    resource: serviceResource(service),
    idGenerator: ids,
    sampler: new AlwaysOnSampler(),
    spanProcessors: [processor],
    instrumentations: [],
    autoDetectResources: false,
  });
  sdk.start();
  return {
    tracer: trace.getTracer('hotloop'),
    ids,
    flush: () => processor.forceFlush(),
    shutdown: () => sdk.shutdown(),
  };
}
