import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { labelRule } from '@hotloop/model/outcome/label-rule.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { firstPredictionIdAt } from '@hotloop/proto/prediction-id.ts';
import { type LoggedOutputs, loggedNumbers } from '../../rollouts/logged-outputs.ts';
import { isAnalyst } from '../join.ts';
import { disagreeing, driftedTest } from './analyst-filters.ts';
import { suspectedLabels } from './confident-learning.ts';

export const MOST_EXPORTED = 100_000;

/** Which predictions of a model to look at; null: any. */
export interface ExportFilter {
  readonly fromMs: number;
  readonly toMs: number;
  readonly version: number | null;
  readonly minScore: number | null;
  readonly maxScore: number | null;
  /** The two most probable classes are no farther apart than this. */
  readonly margin: number | null;
  /** Only those whose label is probably wrong. */
  readonly suspected: boolean;
  /** A shadow version answered otherwise, by at least this in one output. */
  readonly disagreement?: number | null;
  /** The value of this feature was rare when the version was trained. */
  readonly drifted?: string | null;
  readonly limit: number;
}

/** One prediction as an analyst looks at it. Without an answer of the decision, label is empty and score null. */
export interface ExportedPrediction {
  readonly predictionId: string;
  readonly at: number;
  readonly version: number;
  readonly variant: string;
  readonly predicted: string;
  readonly score: number | null;
  readonly entities: string;
  /** The label known so far, an analyst's before another; empty when there is none. */
  readonly outcome: string;
  /** What the label seems to be, by confident learning; empty when it is not suspected. */
  readonly suspected: string;
}

interface Row extends LoggedOutputs {
  readonly prediction_id: string;
  readonly at: Date;
  readonly version: number;
  readonly variant: string;
  readonly entities: Record<string, string>;
  readonly label: string | null;
  readonly score: number | null;
  readonly rows: number;
  readonly columns: number;
  readonly features: Buffer | null;
  readonly reports: readonly {
    readonly source: string;
    readonly kind: string;
    readonly value: AttributeValue | null;
    readonly attributes: Record<string, AttributeValue>;
    readonly at: string;
  }[];
}

// Input: model, first id, end id, version, score band, most rows. Output: newest first, each with the reports that match it.
const EXPORT = `
  SELECT prediction.prediction_id, prediction.at, prediction.version, prediction.variant, entities, decision.label, decision.score,
    "rows", outputs, output_spec, "columns", CASE WHEN $8 THEN features END AS features,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('source', source, 'kind', kind, 'value', value, 'attributes', attributes,
       'at', occurred_at) ORDER BY occurred_at, sequence), '[]')
     FROM outcome WHERE sequence IN (
       SELECT sequence FROM outcome_match WHERE outcome_match.prediction_id = prediction.prediction_id)) AS reports
  FROM prediction LEFT JOIN decision ON decision.prediction_id = prediction.prediction_id
  WHERE prediction.model = $1 AND prediction.prediction_id >= $2 AND prediction.prediction_id < $3
    AND prediction.variant <> 'shadow' AND error_code IS NULL
    AND ($4::int IS NULL OR prediction.version = $4)
    AND ($5::float8 IS NULL OR decision.score >= $5) AND ($6::float8 IS NULL OR decision.score <= $6)
  ORDER BY prediction.prediction_id DESC LIMIT $7`;

/** The newest predictions that pass the filter; suspected ones the most certain first. Throws FAILED_PRECONDITION, UNAVAILABLE. */
export async function exportPredictions(
  pool: Pool,
  manifest: Manifest,
  filter: ExportFilter,
): Promise<ExportedPrediction[]> {
  const { disagreement = null, drifted = null } = filter;
  const asksMore = disagreement !== null || drifted !== null;
  const asksClasses = filter.suspected || filter.margin !== null;
  if (asksClasses && manifest.task !== 'binary' && manifest.task !== 'multiclass')
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${manifest.name} has task ${manifest.task}: low confidence and suspected labels need classes`,
      { reason: 'no_classes' },
    );
  const { rows: all } = await pool
    .query<Row>(EXPORT, [
      manifest.name,
      firstPredictionIdAt(filter.fromMs),
      firstPredictionIdAt(filter.toMs),
      filter.version,
      filter.minScore,
      filter.maxScore,
      // Those that the classes decide about are chosen here.
      asksClasses || asksMore ? MOST_EXPORTED : filter.limit,
      drifted !== null,
    ])
    .catch((error: unknown) => {
      throw fromPostgresError(error);
    });
  const others =
    disagreement === null ? null : await disagreeing(pool, manifest.name, all, Math.max(disagreement, 1e-9));
  const isDrifted = drifted === null ? null : await driftedRows(pool, manifest, all, drifted);
  const chosen = all.filter(
    (row) => (others?.has(row.prediction_id) ?? true) && (isDrifted?.has(row.prediction_id) ?? true),
  );
  const rows = asksMore && !asksClasses ? chosen.slice(0, filter.limit) : chosen;
  const rule = labelRule(manifest);
  const labelOf = (report: Row['reports'][number]) =>
    rule.labelOf({ value: report.value, attributes: report.attributes });
  const labels = rows.map((row) => currentLabel(row.reports, labelOf));
  const shown = (row: Row, label: number | null, suspected: number | null): ExportedPrediction => ({
    predictionId: row.prediction_id,
    at: row.at.getTime(),
    version: row.version,
    variant: row.variant,
    predicted: row.label ?? '',
    score: row.score,
    entities: JSON.stringify(row.entities),
    outcome: nameOf(label, manifest),
    suspected: nameOf(suspected, manifest),
  });
  if (!asksClasses) return rows.map((row, index) => shown(row, labels[index]!, null));
  const known = rows.flatMap((row, index) => {
    const classes = probabilitiesOf(row, manifest);
    const isNear = filter.margin === null || (classes !== null && marginOf(classes) <= filter.margin);
    return classes !== null && isNear ? [{ row, label: labels[index]!, classes }] : [];
  });
  if (!filter.suspected) return known.slice(0, filter.limit).map(({ row, label }) => shown(row, label, null));
  const labelled = known.filter(({ label, classes }) => label !== null && label < classes.length);
  return suspectedLabels(
    labelled.map(({ classes }) => classes),
    labelled.map(({ label }) => label!),
  )
    .slice(0, filter.limit)
    .map(({ index, suspected }) => shown(labelled[index]!.row, labelled[index]!.label, suspected));
}

/** The latest report of an analyst, else the latest of anyone, unless it was retracted: reports come in the order of their time. */
/** Predictions of which a row has a value that was rare in the training rows of its version. */
async function driftedRows(
  pool: Pool,
  manifest: Manifest,
  rows: readonly Row[],
  feature: string,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const { width } = columnsOf(manifest);
  for (const [version, own] of Map.groupBy(rows, (row) => row.version)) {
    const isDrifted = await driftedTest(pool, manifest, version, feature);
    for (const row of own) {
      if (row.features?.length !== 4 * row.rows * width) continue;
      const values = new Float32Array(new Uint8Array(row.features).buffer);
      for (let at = 0; at < row.rows; at++)
        if (isDrifted(values.subarray(at * width, (at + 1) * width))) found.add(row.prediction_id);
    }
  }
  return found;
}

function currentLabel(
  reports: Row['reports'],
  labelOf: (report: Row['reports'][number]) => number | null,
): number | null {
  const told = reports.filter((report) => report.kind === 'retract' || labelOf(report) !== null);
  for (const own of [
    told.filter(({ source }) => isAnalyst(source)),
    told.filter(({ source }) => !isAnalyst(source)),
  ]) {
    const last = own.at(-1);
    if (last && last.kind !== 'retract') return labelOf(last);
  }
  return null;
}

/** The probabilities of the classes of a prediction of one row; null when its outputs are something else. */
function probabilitiesOf(row: Row, manifest: Manifest): readonly number[] | null {
  if (row.rows !== 1 || row.outputs === null) return null;
  const numbers = loggedNumbers(row, undefined);
  if (numbers === null || numbers.length === 0) return null;
  if (manifest.task === 'binary') {
    const p = numbers.at(-1)!;
    return p >= 0 && p <= 1 ? [1 - p, p] : null;
  }
  return [...numbers];
}

function marginOf(classes: readonly number[]): number {
  const [first = 0, second = 0] = [...classes].sort((a, b) => b - a);
  return first - second;
}

function nameOf(label: number | null, { task, decision }: Manifest): string {
  if (label === null) return '';
  return task === 'multiclass' ? (decision.labels?.[label] ?? String(label)) : String(label);
}
