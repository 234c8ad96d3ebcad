import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { isPredictionId } from '@hotloop/proto/prediction-id.ts';
import type { ModelRules } from '../outcomes/model-rules.ts';
import {
  type DecisionRow,
  type LearningRow,
  type OutcomeRow,
  type PredictionRow,
  readChain,
} from './prediction-chain.ts';

export type TraceKind =
  | 'request'
  | 'output'
  | 'decision'
  | 'outcome'
  | 'dataset'
  | 'run'
  | 'gate'
  | 'promotion';

export interface TraceStep {
  readonly kind: TraceKind;
  readonly at: number;
  readonly service: string;
  readonly summary: string;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

const ORDER: readonly TraceKind[] = [
  'request',
  'output',
  'decision',
  'outcome',
  'dataset',
  'run',
  'gate',
  'promotion',
];

/**
 * The history of one prediction, oldest first: the request, the model's answer, the decision, the outcomes, and
 * the versions trained on it. Throws INVALID_ARGUMENT, NOT_FOUND (its row may not have reached the store yet).
 */
export async function tracePrediction(
  id: string,
  pool: Pool,
  rules: ModelRules,
): Promise<readonly TraceStep[]> {
  const predictionId = id.toLowerCase();
  if (!isPredictionId(predictionId))
    throw new HotloopError(
      'INVALID_ARGUMENT',
      'prediction_id must be a UUID of version 7, as Predict returns it',
    );
  const chain = await readChain(pool, predictionId, (model) =>
    durationMs(rules.of(model).manifest.outcome.window),
  ).catch((error: unknown) => {
    throw fromPostgresError(error);
  });
  const steps = [
    ...(chain.prediction ? predictionSteps(chain.prediction) : []),
    ...(chain.decision ? [decisionStep(chain.decision)] : []),
    ...chain.outcomes.map(outcomeStep),
    ...chain.learnings.flatMap(learningSteps),
  ];
  if (steps.length === 0)
    throw new HotloopError(
      'NOT_FOUND',
      `prediction ${predictionId} is not in the log; its row may still be on its way`,
    );
  return steps.sort((a, b) => a.at - b.at || ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
}

function predictionSteps(row: PredictionRow): TraceStep[] {
  const at = row.at.getTime();
  const whom = Object.entries(row.entities).map(([name, value]) => `${name} ${value}`);
  const failed = row.error_code !== null;
  return [
    {
      kind: 'request',
      at,
      service: 'preprocessor',
      summary: `${row.model} version ${row.version} (${row.variant}${row.propensity < 1 ? `, at ${Number((row.propensity * 100).toPrecision(3))} %` : ''})${whom.length > 0 ? ` for ${whom.join(', ')}` : ''}`,
      attributes: {
        model: row.model,
        version: row.version,
        variant: row.variant,
        propensity: row.propensity,
        ...(row.caller === '' ? {} : { caller: row.caller }),
        ...(whom.length > 0 ? { entities: whom } : {}),
        ...(row.candidates.length > 0 ? { candidates: row.candidates } : {}),
        ...(row.degraded.length > 0 ? { degraded: row.degraded } : {}),
        rows: row.rows,
        columns: row.columns,
      },
    },
    {
      kind: 'output',
      at,
      service: 'compute',
      summary: failed
        ? `failed: ${row.error_message ?? row.error_code}`
        : `answered by ${row.node} in ${row.run_us} us`,
      attributes: {
        node: row.node,
        queue_us: row.queue_us,
        run_us: row.run_us,
        ...(row.error_code === null ? {} : { error_code: row.error_code }),
      },
    },
  ];
}

function decisionStep(row: DecisionRow): TraceStep {
  const shown = Array.isArray(row.shown) ? row.shown.length : 0;
  const what = row.label !== '' ? row.label : shown > 0 ? `${shown} shown` : 'score';
  return {
    kind: 'decision',
    at: row.at.getTime(),
    service: 'postprocessor',
    summary: row.score === null ? what : `${what} (${row.score.toFixed(4)})`,
    attributes: {
      ...(row.label === '' ? {} : { label: row.label }),
      ...(row.score === null ? {} : { score: row.score }),
      ...(shown > 0 ? { shown: JSON.stringify(row.shown) } : {}),
      version: row.version,
    },
  };
}

function outcomeStep(row: OutcomeRow): TraceStep {
  const type = row.attributes.type;
  const said = row.value === null ? (typeof type === 'string' ? type : 'event') : JSON.stringify(row.value);
  return {
    kind: 'outcome',
    at: row.occurred_at.getTime(),
    service: 'retrainer',
    summary: `${row.kind === 'retract' ? 'retracted' : said} from ${row.source}`,
    attributes: {
      id: row.id,
      source: row.source,
      kind: row.kind,
      ...(row.value === null ? {} : { value: row.value }),
      received_at: row.received_at.toISOString(),
    },
  };
}

function learningSteps(row: LearningRow): TraceStep[] {
  const collectedAt = row.collected_at.getTime();
  const endedAt = row.ended_at?.getTime() ?? collectedAt;
  const version = row.version ?? 0;
  const steps: TraceStep[] = [
    {
      kind: 'dataset',
      at: collectedAt,
      service: 'retrainer',
      summary: `${row.examples} examples, ${row.sha256.slice(0, 12)}`,
      attributes: { sha256: row.sha256, examples: Number(row.examples), cut: Number(row.cut) },
    },
    {
      kind: 'run',
      // Its summary says how it ended; until then it stands where it was asked for.
      at: (row.ended_at ?? row.created_at).getTime(),
      service: 'retrainer',
      // The message of a refusal already contains the word.
      summary: row.message.startsWith(row.state) ? row.message : `${row.state}: ${row.message}`,
      attributes: {
        run_id: row.run_id,
        state: row.state,
        reason: row.reason,
        ...(version > 0 ? { version } : {}),
      },
    },
  ];
  if (row.gate)
    steps.push({
      kind: 'gate',
      at: endedAt,
      service: 'retrainer',
      summary: row.gate.message,
      attributes: {
        passed: row.gate.passed,
        metric: row.gate.metric,
        ...(row.gate.candidate === null ? {} : { candidate: row.gate.candidate }),
        ...(row.gate.live === null ? {} : { live: row.gate.live }),
      },
    });
  for (const promotion of row.promotions)
    steps.push({
      kind: 'promotion',
      at: Date.parse(promotion.at),
      service: 'retrainer',
      summary: `${promotion.action} of version ${version} by ${promotion.actor}`,
      attributes: { version, actor: promotion.actor, ledger: promotion.sequence, hash: promotion.hash },
    });
  return steps;
}
