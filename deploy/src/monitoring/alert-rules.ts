/** One alerting rule of Prometheus. Its runbook is the section of docs/runbooks.md with the same name. */
export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  /** How long the condition must hold. */
  readonly for: string;
  readonly severity: 'warning' | 'critical';
  readonly summary: string;
}

/** Codes of a caller's fault, which are not failures of the service. */
const CALLERS_FAULT =
  'INVALID_ARGUMENT|NOT_FOUND|UNAUTHENTICATED|PERMISSION_DENIED|CANCELLED|FAILED_PRECONDITION';

const share = (part: string, whole: string) => `${part} / ${whole}`;

export const ALERT_RULES: readonly AlertRule[] = [
  {
    alert: 'HotloopServiceDown',
    expr: 'up{job="hotloop"} == 0',
    ...{ for: '1m', severity: 'critical' },
    summary: '{{ $labels.instance }} cannot be scraped',
  },
  {
    // A target that is no longer configured has no series at all, so a rule on its value would be silent.
    alert: 'HotloopServicesGone',
    expr: 'absent(up{job="hotloop"})',
    ...{ for: '2m', severity: 'critical' },
    summary: 'no Hotloop service is scraped',
  },
  {
    alert: 'HotloopPredictionsFail',
    expr: `${share(
      `sum by (hotloop_model) (rate(hotloop_predictions_total{hotloop_code!~"OK|${CALLERS_FAULT}"}[5m]))`,
      'sum by (hotloop_model) (rate(hotloop_predictions_total[5m]))',
    )} > 0.05`,
    ...{ for: '2m', severity: 'critical' },
    summary: '{{ $value | humanizePercentage }} of the predictions of {{ $labels.hotloop_model }} fail',
  },
  {
    alert: 'HotloopPredictionsSlow',
    expr: 'histogram_quantile(0.99, sum by (hotloop_model, le) (rate(hotloop_prediction_duration_seconds_bucket[5m]))) > 1',
    ...{ for: '10m', severity: 'warning' },
    summary: 'the p99 of {{ $labels.hotloop_model }} is {{ $value | humanizeDuration }}',
  },
  {
    alert: 'HotloopPredictionsDegraded',
    expr: `${share(
      'sum by (hotloop_model) (rate(hotloop_predictions_degraded_total[5m]))',
      'sum by (hotloop_model) (rate(hotloop_predictions_total[5m]))',
    )} > 0.2`,
    ...{ for: '5m', severity: 'warning' },
    summary:
      '{{ $value | humanizePercentage }} of the predictions of {{ $labels.hotloop_model }} lack history or tables',
  },
  {
    alert: 'HotloopPredictionsRefused',
    expr: 'sum(rate(hotloop_predictions_refused_total[5m])) > 0',
    ...{ for: '5m', severity: 'warning' },
    summary: 'predictions are rejected: the load exceeds the capacity',
  },
  {
    // Compared with an hour ago, so that a series that vanishes raises the same alarm as one that stays at zero.
    alert: 'HotloopCallsStopped',
    expr: '(sum by (hotloop_model) (rate(hotloop_predictions_total{hotloop_model!="unknown"}[1h] offset 10m)) > 0.05) unless (sum by (hotloop_model) (rate(hotloop_predictions_total[5m])) > 0)',
    ...{ for: '5m', severity: 'critical' },
    summary: '{{ $labels.hotloop_model }} receives no requests any more',
  },
  {
    alert: 'HotloopInferencesFail',
    expr: `${share(
      `sum by (hotloop_model, hotloop_version) (rate(hotloop_inferences_total{hotloop_code!~"OK|${CALLERS_FAULT}"}[5m]))`,
      'sum by (hotloop_model, hotloop_version) (rate(hotloop_inferences_total[5m]))',
    )} > 0.05`,
    ...{ for: '2m', severity: 'critical' },
    summary:
      '{{ $value | humanizePercentage }} of the inferences of {{ $labels.hotloop_model }} {{ $labels.hotloop_version }} fail',
  },
  {
    alert: 'HotloopInferencesRefused',
    expr: 'sum by (hotloop_model, hotloop_reason) (rate(hotloop_inference_refusals_total{hotloop_model!="unknown"}[5m])) > 0',
    ...{ for: '5m', severity: 'warning' },
    summary: 'compute rejects requests for {{ $labels.hotloop_model }}: {{ $labels.hotloop_reason }}',
  },
  {
    alert: 'HotloopVersionNotReady',
    expr: 'min by (hotloop_model, hotloop_version, instance) (hotloop_version_ready) == 0',
    ...{ for: '10m', severity: 'warning' },
    summary:
      'version {{ $labels.hotloop_version }} of {{ $labels.hotloop_model }} does not become ready on {{ $labels.instance }}',
  },
  {
    alert: 'HotloopJournalFills',
    expr: 'hotloop_journal_fullness > 0.5',
    ...{ for: '2m', severity: 'critical' },
    summary:
      'the {{ $labels.hotloop_journal }} journal of {{ $labels.instance }} is {{ $value | humanizePercentage }} full',
  },
  {
    alert: 'HotloopLogLate',
    expr: 'hotloop_journal_lag_seconds > 30',
    ...{ for: '5m', severity: 'warning' },
    summary:
      'the {{ $labels.hotloop_journal }} log of {{ $labels.instance }} is {{ $value | humanizeDuration }} behind',
  },
  {
    alert: 'HotloopLogRowsRefused',
    expr: 'delta(hotloop_journal_refused[1h]) > 0',
    ...{ for: '0m', severity: 'warning' },
    summary: 'Postgres rejected rows of the {{ $labels.hotloop_journal }} log',
  },
  {
    alert: 'HotloopEventsLate',
    expr: 'sum by (topic) (hotloop_events_lag) > 10000',
    ...{ for: '10m', severity: 'warning' },
    summary: '{{ $value }} events of {{ $labels.topic }} are not consumed yet',
  },
  {
    alert: 'HotloopOutcomesRefused',
    expr: 'sum by (hotloop_model) (rate(hotloop_outcomes_total{hotloop_status="refused"}[15m])) > 0',
    ...{ for: '15m', severity: 'warning' },
    summary: 'outcomes of {{ $labels.hotloop_model }} are refused',
  },
  {
    alert: 'HotloopRunsWait',
    expr: 'max(hotloop_runs_waiting) > 0',
    ...{ for: '30m', severity: 'warning' },
    summary: 'training runs wait and no worker takes them',
  },
  {
    alert: 'HotloopMonitorSilent',
    expr: 'min(hotloop_monitor_heartbeat_age_seconds) > 60 or absent(hotloop_monitor_heartbeat_age_seconds)',
    ...{ for: '1m', severity: 'critical' },
    summary: 'no monitor works: models are not watched',
  },
  {
    alert: 'HotloopAlarmsUndelivered',
    expr: 'max(hotloop_alarms_undelivered) > 0',
    ...{ for: '10m', severity: 'critical' },
    summary: '{{ $value }} alarms of models cannot be delivered',
  },
  {
    alert: 'HotloopIncidentOpen',
    expr: 'max by (hotloop_model) (hotloop_incidents_open{hotloop_severity="critical"}) > 0',
    ...{ for: '0m', severity: 'warning' },
    summary: 'a critical incident of {{ $labels.hotloop_model }} is open: hotloop incidents',
  },
];

/** The rules as a Prometheus rule file. */
export function ruleFile(rules: readonly AlertRule[]): string {
  const text = (value: string) => JSON.stringify(value);
  const lines = rules.flatMap((rule) => [
    `      - alert: ${rule.alert}`,
    `        expr: ${text(rule.expr)}`,
    `        for: ${rule.for}`,
    '        labels:',
    `          severity: ${rule.severity}`,
    '        annotations:',
    `          summary: ${text(rule.summary)}`,
    `          runbook_url: ${text(`docs/runbooks.md#${rule.alert.toLowerCase()}`)}`,
  ]);
  return `# Generated by deploy/src/monitoring/generate.ts; do not edit.\ngroups:\n  - name: hotloop\n    rules:\n${lines.join('\n')}\n`;
}
