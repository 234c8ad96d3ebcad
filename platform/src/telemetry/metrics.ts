import type { Meter } from '@opentelemetry/api';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { serviceResource } from './span-pipeline.ts';

/**
 * Metrics of one process. Instruments are created once, at start-up, and named after OpenTelemetry's semantic
 * conventions; attributes must have few values: a model, a version, a code, never a user.
 */
export interface Metrics extends AsyncDisposable {
  readonly meter: Meter;
  /** Everything measured so far, in Prometheus' text format 0.0.4. */
  scrape(): Promise<string>;
}

export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export function openMetrics(service: string): Metrics {
  const reader = new PrometheusExporter({ preventServerStart: true });
  const serializer = new PrometheusSerializer();
  const provider = new MeterProvider({ resource: serviceResource(service), readers: [reader] });
  return {
    meter: provider.getMeter('hotloop'),
    async scrape() {
      const { resourceMetrics } = await reader.collect();
      return serializer.serialize(resourceMetrics);
    },
    [Symbol.asyncDispose]: () => provider.shutdown(),
  };
}
