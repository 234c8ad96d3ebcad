import * as common from '@grafana/grafana-foundation-sdk/common';
import * as grafana from '@grafana/grafana-foundation-sdk/dashboard';
import type * as prometheus from '@grafana/grafana-foundation-sdk/prometheus';
import type * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';

/** One panel of a dashboard: a title and its queries. */
export interface Panel {
  readonly title: string;
  readonly unit: 's' | 'reqps' | 'percentunit' | 'bytes' | 'short' | 'rowsps';
  readonly queries: readonly { readonly expr: string; readonly legend: string }[];
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
}

const MODEL = 'hotloop_model=~"$model"';

/** p50, p90 and p99 of a histogram, by model. */
function quantiles(metric: string, by = 'hotloop_model', selector = `{${MODEL}}`): Panel['queries'] {
  return [0.5, 0.9, 0.99].map((q) => ({
    expr: `histogram_quantile(${q}, sum by (${by}, le) (rate(${metric}_bucket${selector}[5m])))`,
    legend: `{{${by}}} p${q * 100}`,
  }));
}

export const DASHBOARDS: readonly Dashboard[] = [
  {
    uid: 'hotloop-models',
    title: 'Hotloop: models',
    panels: [
      {
        ...{ title: 'Predictions by variant', unit: 'reqps' },
        queries: [
          {
            expr: `sum by (hotloop_model, hotloop_version, hotloop_variant) (rate(hotloop_predictions_total{${MODEL},hotloop_code="OK"}[5m]))`,
            legend: '{{hotloop_model}} {{hotloop_version}} {{hotloop_variant}}',
          },
        ],
      },
      {
        ...{ title: 'Failures by code', unit: 'reqps' },
        queries: [
          {
            expr: `sum by (hotloop_model, hotloop_code) (rate(hotloop_predictions_total{${MODEL},hotloop_code!="OK"}[5m]))`,
            legend: '{{hotloop_model}} {{hotloop_code}}',
          },
        ],
      },
      {
        ...{ title: 'Predictions by caller', unit: 'reqps' },
        queries: [
          {
            expr: `sum by (hotloop_model, hotloop_version, hotloop_caller) (rate(hotloop_predictions_by_caller_total{${MODEL}}[5m]))`,
            legend: '{{hotloop_model}} {{hotloop_version}} {{hotloop_caller}}',
          },
        ],
      },
      {
        ...{ title: 'Duration of predictions', unit: 's' },
        queries: quantiles('hotloop_prediction_duration_seconds'),
      },
      {
        ...{ title: 'Degraded share', unit: 'percentunit' },
        queries: [
          {
            expr: `sum by (hotloop_model, hotloop_degraded) (rate(hotloop_predictions_degraded_total{${MODEL}}[5m])) / ignoring (hotloop_degraded) group_left sum by (hotloop_model) (rate(hotloop_predictions_total{${MODEL}}[5m]))`,
            legend: '{{hotloop_model}} without {{hotloop_degraded}}',
          },
        ],
      },
      {
        ...{ title: 'Open incidents', unit: 'short' },
        queries: [
          {
            expr: `max by (hotloop_model, hotloop_severity) (hotloop_incidents_open{${MODEL}})`,
            legend: '{{hotloop_model}} {{hotloop_severity}}',
          },
        ],
      },
      {
        ...{ title: 'Outcomes', unit: 'reqps' },
        queries: [
          {
            expr: `sum by (hotloop_model, hotloop_status) (rate(hotloop_outcomes_total{${MODEL}}[5m]))`,
            legend: '{{hotloop_model}} {{hotloop_status}}',
          },
        ],
      },
      { ...{ title: 'Delay of labels', unit: 's' }, queries: quantiles('hotloop_label_delay_seconds') },
      {
        ...{ title: 'Training runs of the last week', unit: 'short' },
        queries: [
          {
            expr: `max by (hotloop_model, hotloop_state) (hotloop_runs{${MODEL}})`,
            legend: '{{hotloop_model}} {{hotloop_state}}',
          },
        ],
      },
    ],
  },
  {
    uid: 'hotloop-serving',
    title: 'Hotloop: serving',
    panels: [
      {
        ...{ title: 'Inferences', unit: 'reqps' },
        queries: [
          {
            expr: `sum by (hotloop_model, hotloop_version, hotloop_code) (rate(hotloop_inferences_total{${MODEL}}[5m]))`,
            legend: '{{hotloop_model}} {{hotloop_version}} {{hotloop_code}}',
          },
        ],
      },
      {
        ...{ title: 'Rows', unit: 'rowsps' },
        queries: [
          {
            expr: `sum by (hotloop_model) (rate(hotloop_inference_rows_total{${MODEL}}[5m]))`,
            legend: '{{hotloop_model}}',
          },
        ],
      },
      { ...{ title: 'Queue', unit: 's' }, queries: quantiles('hotloop_inference_queue_duration_seconds') },
      { ...{ title: 'Run', unit: 's' }, queries: quantiles('hotloop_inference_run_duration_seconds') },
      {
        ...{ title: 'Queue and run', unit: 's' },
        queries: quantiles('hotloop_inference_whole_duration_seconds'),
      },
      { ...{ title: 'Rows of a batch', unit: 'short' }, queries: quantiles('hotloop_batch_size') },
      {
        ...{ title: 'Requests that wait or run', unit: 'short' },
        queries: [
          {
            expr: `sum by (hotloop_model, hotloop_version) (hotloop_queue_depth{${MODEL}})`,
            legend: '{{hotloop_model}} {{hotloop_version}}',
          },
          { expr: 'sum(hotloop_predictions_in_flight)', legend: 'in the preprocessor' },
        ],
      },
      {
        ...{ title: 'Rejected before the queue', unit: 'reqps' },
        queries: [
          {
            expr: 'sum by (hotloop_model, hotloop_reason) (rate(hotloop_inference_refusals_total[5m]))',
            legend: '{{hotloop_model}} {{hotloop_reason}}',
          },
        ],
      },
      {
        ...{ title: 'Memory of versions', unit: 'bytes' },
        queries: [
          {
            expr: `sum by (hotloop_model, hotloop_version, instance) (hotloop_version_memory_bytes{${MODEL}})`,
            legend: '{{hotloop_model}} {{hotloop_version}} {{instance}}',
          },
        ],
      },
      {
        ...{ title: 'Reads of the history', unit: 's' },
        queries: quantiles('hotloop_history_read_duration_seconds', 'hotloop_outcome', ''),
      },
    ],
  },
  {
    uid: 'hotloop-platform',
    title: 'Hotloop: platform',
    panels: [
      {
        ...{ title: 'gRPC calls', unit: 'reqps' },
        queries: [
          {
            expr: 'sum by (rpc_method, rpc_response_status_code) (rate(rpc_server_call_duration_seconds_count[5m]))',
            legend: '{{rpc_method}} {{rpc_response_status_code}}',
          },
        ],
      },
      {
        ...{ title: 'HTTP requests', unit: 'reqps' },
        queries: [
          {
            expr: 'sum by (http_route, http_response_status_code) (rate(http_server_request_duration_seconds_count[5m]))',
            legend: '{{http_route}} {{http_response_status_code}}',
          },
        ],
      },
      {
        ...{ title: 'Journals: fullness', unit: 'percentunit' },
        queries: [
          {
            expr: 'max by (hotloop_journal, instance) (hotloop_journal_fullness)',
            legend: '{{hotloop_journal}} {{instance}}',
          },
        ],
      },
      {
        ...{ title: 'Journals: age of the oldest row not in Postgres', unit: 's' },
        queries: [
          {
            expr: 'max by (hotloop_journal, instance) (hotloop_journal_lag_seconds)',
            legend: '{{hotloop_journal}} {{instance}}',
          },
        ],
      },
      {
        ...{ title: 'Events not consumed', unit: 'short' },
        queries: [{ expr: 'sum by (topic) (hotloop_events_lag)', legend: '{{topic}}' }],
      },
      {
        ...{ title: 'The monitor itself', unit: 's' },
        queries: [
          { expr: 'min(hotloop_monitor_heartbeat_age_seconds)', legend: 'since it last worked' },
          { expr: 'max(hotloop_monitor_lag_seconds)', legend: 'behind the log' },
        ],
      },
      {
        ...{ title: 'Alarms that could not be delivered', unit: 'short' },
        queries: [{ expr: 'max(hotloop_alarms_undelivered)', legend: 'alarms' }],
      },
    ],
  },
];

const COLUMNS = 2;
const [WIDTH, HEIGHT] = [24 / COLUMNS, 8];

/**
 * The dashboard in Grafana's import format. Its parts have the types of Grafana's own schema
 * (`@grafana/grafana-foundation-sdk`), so that a field that Grafana does not know fails the type check.
 */
export function grafanaJson({ uid, title, panels }: Dashboard): string {
  const usesModel = panels.some(({ queries }) => queries.some(({ expr }) => expr.includes('$model')));
  const document: grafana.Dashboard = {
    uid,
    title,
    tags: ['hotloop'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    annotations: { list: [] },
    templating: {
      list: [
        {
          ...{ name: 'datasource', type: grafana.VariableType.Datasource, query: 'prometheus' },
          label: 'Source',
        },
        ...(usesModel ? [MODEL_VARIABLE] : []),
      ],
    },
    panels: panels.map(panelOf),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

const DATASOURCE = { type: 'prometheus', uid: '$datasource' };

const MODEL_VARIABLE: grafana.VariableModel = {
  ...{ name: 'model', type: grafana.VariableType.Query, label: 'Model', datasource: DATASOURCE },
  query: { query: 'label_values(hotloop_inferences_total, hotloop_model)', refId: 'models' },
  refresh: grafana.VariableRefresh.OnTimeRangeChanged,
  ...{ includeAll: true, multi: true, current: { text: 'All', value: '$__all' } },
};

const OPTIONS: timeseries.Options = {
  legend: {
    ...{ displayMode: common.LegendDisplayMode.List, placement: common.LegendPlacement.Bottom },
    ...{ showLegend: true, calcs: [] },
  },
  tooltip: { mode: common.TooltipDisplayMode.Multi, sort: common.SortOrder.Descending },
};

function panelOf({ title, unit, queries }: Panel, index: number): grafana.Panel {
  // A series that vanished must not look like one that continues.
  const custom: timeseries.FieldConfig = { spanNulls: false };
  return {
    id: index + 1,
    title,
    type: 'timeseries',
    datasource: DATASOURCE,
    gridPos: {
      x: (index % COLUMNS) * WIDTH,
      y: Math.floor(index / COLUMNS) * HEIGHT,
      w: WIDTH,
      h: HEIGHT,
    },
    fieldConfig: { defaults: { unit, custom }, overrides: [] },
    options: OPTIONS,
    targets: queries.map(({ expr, legend }, at) => {
      const query: Query = {
        ...{ refId: String.fromCharCode(65 + at), datasource: DATASOURCE, expr, legendFormat: legend },
        exemplar: expr.includes('_bucket'),
      };
      // The type requires a marker that only its builders set, and that is not part of the document.
      return query as prometheus.Dataquery;
    }),
  };
}

type Query = Omit<prometheus.Dataquery, '_implementsDataqueryVariant'>;
