import type { Meter } from '@opentelemetry/api';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { serviceResource } from './span-pipeline.ts';
import { Tallies } from './tallies.ts';

/**
 * Metrics of one process. Instruments are created once, at start, and named by OpenTelemetry's semantic conventions.
 * Attributes must have few values: a model, a version, a code, never a user.
 */
export interface Metrics extends AsyncDisposable {
  readonly meter: Meter;
  /** Counters of the hot paths. */
  readonly tallies: Tallies;
  /** Everything measured so far, in the format that the scraper requests with its Accept header. */
  scrape(accept?: string): Promise<Scraped>;
}

export interface Scraped {
  readonly contentType: string;
  readonly text: string;
}

export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const OPENMETRICS_CONTENT_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

export function openMetrics(service: string): Metrics {
  const reader = new PrometheusExporter({ preventServerStart: true });
  const serializer = new PrometheusSerializer();
  const provider = new MeterProvider({ resource: serviceResource(service), readers: [reader] });
  const tallies = new Tallies();
  return {
    meter: provider.getMeter('hotloop'),
    tallies,
    async scrape(accept = '') {
      const { resourceMetrics } = await reader.collect();
      // Comments say nothing to a scraper, and the last one comes without the end of its line, which joins it with what follows.
      const metered = serializer.serialize(resourceMetrics).replaceAll(/^# (?!HELP|TYPE|UNIT).*\n?/gm, '');
      if (!accept.includes('application/openmetrics-text'))
        return { contentType: PROMETHEUS_CONTENT_TYPE, text: metered + (await tallies.text(false)) };
      // The library writes the older format; in OpenMetrics the name of a counter family has no `_total`.
      // A unit that is no suffix of the name, such as `{message}`, makes a scraper refuse everything.
      const families = metered
        .replaceAll(/^# UNIT .*\n/gm, '')
        .replaceAll(/^(# (?:HELP|TYPE) \S+?)_total( .*)$/gm, '$1$2');
      return {
        contentType: OPENMETRICS_CONTENT_TYPE,
        text: `${families}${await tallies.text(true)}# EOF\n`,
      };
    },
    [Symbol.asyncDispose]: () => provider.shutdown(),
  };
}
