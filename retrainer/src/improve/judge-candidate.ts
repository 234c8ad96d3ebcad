import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { trainableTask } from '@hotloop/model/training/trainable-task.ts';
import { trainingSpec } from '@hotloop/model/training/training-settings.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { type DatasetPart, rowsBetween } from '../datasets/dataset.ts';
import type { JobLimits } from '../training/job-process.ts';
import { compareScores } from './compare-scores.ts';
import { constantScores } from './constant-baseline.ts';
import { type FoldedScores, foldsCheck } from './cross-validate.ts';
import { type GateVerdict, gateMetric, judgeCandidate } from './gate.ts';
import { checkOutputs, frozenCheck } from './gate-checks.ts';
import { measureAll } from './measure.ts';
import { correctionsCheck, type RegressionCases } from './regression-cases.ts';
import { suspectedCheck } from './suspected-check.ts';
import type { Trainer } from './trainer.ts';

export interface Contest {
  readonly manifest: Manifest;
  /** ONNX files. */
  readonly live: Uint8Array;
  readonly candidate: Uint8Array;
  readonly training: DatasetPart;
  readonly holdout: DatasetPart;
  /** Rows that no version learns from; null where none are kept. */
  readonly frozen?: DatasetPart | null;
  /** Scores of the holdout where cross-validation has made them; otherwise both models are run. */
  readonly scored?: FoldedScores;
  readonly corrections: RegressionCases;
}

export interface Judgement {
  readonly gate: GateVerdict;
  /** Every metric of the candidate that fits the task, and the live version's as `live_METRIC`. */
  readonly metrics: ReadonlyMap<string, number>;
}

/**
 * The gate: candidate, live version and the best constant on the same held-out rows, every declared slice, every accepted
 * correction, and what the candidate's outputs are like. Rejects with what `trainer.score` throws.
 */
export async function judgeOnHoldout(
  { manifest, live, candidate, training, holdout, corrections, frozen = null, scored }: Contest,
  trainer: Trainer,
  limits: JobLimits,
): Promise<Judgement> {
  const { gate: spec, holdout: heldShare } = trainingSpec(manifest);
  const metric = gateMetric(trainableTask(manifest), spec.metric);
  const output = manifest.output === undefined ? {} : { output: manifest.output };
  const score = async (dataset: DatasetPart) => {
    const [first, second] = await trainer.score({ models: [live, candidate], dataset, ...output }, limits);
    if (!first || !second) throw new HotloopError('INTERNAL', 'the scores of both models were asked for');
    return { live: first, candidate: second };
  };
  const scores = scored ?? (await score(holdout));
  const constant = constantScores(manifest, training, holdout.rows, scores.candidate.columns);
  const confidence = spec.confidence === undefined ? {} : { confidence: spec.confidence };
  const compared = compareScores(manifest, metric, scores.candidate, scores.live, holdout, confidence);
  const baseline =
    constant && compareScores(manifest, metric, scores.candidate, constant, holdout, confidence);
  const onCases = corrections.rows.rows === 0 ? null : await score(corrections.rows);
  const onFrozen = frozen === null ? null : await score(frozen);
  const learnt = frozen === null ? null : newestRows(training);
  const onLearnt = learnt === null ? null : await score(learnt);
  const checks = [
    ...(scored ? [foldsCheck(manifest, metric, scored, holdout)] : []),
    ...(frozen && onFrozen && learnt && onLearnt
      ? suspectedCheck({
          ...{ manifest, training: learnt, onTraining: onLearnt.live },
          ...{ frozen, onFrozen: onFrozen.live, limit: spec.suspected },
        })
      : []),
    ...(frozen && onFrozen
      ? [
          frozenCheck(
            metric,
            compareScores(manifest, metric, onFrozen.candidate, onFrozen.live, frozen, confidence),
            frozen.rows,
            spec.frozen_drop,
          ),
        ]
      : []),
    ...(onCases === null
      ? []
      : correctionsCheck(manifest, corrections, onCases.candidate, onCases.live, holdout, spec.corrections)),
    ...checkOutputs({
      ...{ manifest, metric, spec, holdout, candidate: scores.candidate, live: scores.live },
      bytes: { candidate: candidate.length, live: live.length },
      ...elapsedOf(scores),
    }),
  ];
  const gate = judgeCandidate({
    ...{ metric, spec, live: compared, baseline, examples: holdout.rows, holdout: heldShare, checks },
  });
  const metrics = new Map<string, number>(measureAll(manifest, metric, scores.candidate, holdout));
  metrics.set(`live_${metric}`, compared.against).set('held_out', holdout.rows);
  return { gate, metrics };
}

/** Enough to tell shares apart, in bounded time. */
const MOST_LOOKED_AT = 20_000;

function newestRows(training: DatasetPart): DatasetPart {
  const first = Math.max(0, training.rows - MOST_LOOKED_AT);
  return rowsBetween(training, first, training.rows);
}

function elapsedOf({ live, candidate }: { live: object; candidate: object }) {
  const of = (scores: object) =>
    'milliseconds' in scores && typeof scores.milliseconds === 'number' ? scores.milliseconds : undefined;
  const [first, second] = [of(live), of(candidate)];
  return first === undefined || second === undefined ? {} : { elapsed: { live: first, candidate: second } };
}
