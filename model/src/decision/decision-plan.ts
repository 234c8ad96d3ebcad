import { HotloopError } from '@hotloop/proto/errors.ts';
import { compileExpression, type Expression } from '../expression.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { COMBINE_VARIABLES } from '../manifest/manifest-problems.ts';
import type { Tensor } from '../tensor.ts';
import type { Decision, DecisionInput } from './decision.ts';
import { outputNumbers, unfit } from './output-numbers.ts';
import { rank } from './rank.ts';

/** Computes a version's decisions from raw outputs: compiled once, pure, shared by all its predictions. */
export interface DecisionPlan {
  /** Throws INVALID_ARGUMENT when the outputs do not fit the task, or `combine` cannot be evaluated. */
  decide(input: DecisionInput): Decision;
}

type Combine = (score: number, input: DecisionInput, candidate: number) => number;

const NOTHING = Object.freeze(Object.create(null) as Record<string, never>);
/** A probability may exceed [0, 1] by the rounding of float32. */
const ROUNDING = 1e-5;

/** Throws INVALID_ARGUMENT or FAILED_PRECONDITION naming the field when the manifest has no valid decision plan. */
export function compileDecisionPlan(manifest: Manifest): DecisionPlan {
  const decide = decideOf(manifest);
  return { decide };
}

function decideOf(manifest: Manifest): DecisionPlan['decide'] {
  switch (manifest.task) {
    case 'binary':
      return binary(manifest);
    case 'multiclass':
      return multiclass(manifest);
    case 'multilabel':
      return multilabel(manifest);
    case 'regression':
      return regression(manifest);
    case 'ranking':
      return ranking(manifest);
    case 'tensor':
      throw refusal(manifest, 'task', 'task tensor has no decision');
  }
}

/** Label by threshold over the final score. Labels default to 0 and 1. */
function binary(manifest: Manifest): DecisionPlan['decide'] {
  const [negative = '0', positive = '1', ...more] = manifest.decision.labels ?? [];
  if (more.length > 0) throw refusal(manifest, 'decision.labels', 'task binary has two labels');
  const threshold = manifest.decision.threshold;
  const combine = compileCombine(manifest);
  return (input) => {
    const output = outputOf(manifest, input);
    if (isLabel(output)) {
      const label = labelText(output, [negative, positive]);
      const score = combine(label === positive ? 1 : 0, input, -1);
      return { label: score >= threshold ? positive : negative, score, scores: [], ranked: [] };
    }
    const numbers = outputNumbers(output);
    if (numbers.length !== 1 && numbers.length !== 2)
      throw unfit(output, `holds ${numbers.length} numbers where task binary needs one, or two`);
    const score = combine(probability(output, numbers[numbers.length - 1] ?? 0), input, -1);
    return { label: score >= threshold ? positive : negative, score, scores: [], ranked: [] };
  };
}

/** The label with the largest probability; the first of equal ones. */
function multiclass(manifest: Manifest): DecisionPlan['decide'] {
  const labels = manifest.decision.labels ?? [];
  if (manifest.decision.combine !== undefined)
    throw refusal(manifest, 'decision.combine', 'task multiclass has no single score to combine');
  return (input) => {
    const output = outputOf(manifest, input);
    if (isLabel(output)) {
      const label = labelText(output, labels);
      const sure = labels.map((other) => Number(other === label));
      return { label, score: 1, scores: sure, ranked: [] };
    }
    const scores = [...outputNumbers(output)];
    if (scores.length !== labels.length)
      throw unfit(output, `holds ${scores.length} numbers for ${labels.length} labels`);
    let best = 0;
    for (const [index, score] of scores.entries()) {
      probability(output, score);
      if (score > (scores[best] ?? 0)) best = index;
    }
    return { label: labels[best] ?? '', score: scores[best] ?? 0, scores, ranked: [] };
  };
}

/** All labels whose probability reaches the threshold, separated by commas; empty if none does. */
function multilabel(manifest: Manifest): DecisionPlan['decide'] {
  const labels = manifest.decision.labels ?? [];
  const { threshold } = manifest.decision;
  return (input) => {
    const output = outputOf(manifest, input);
    const scores = [...outputNumbers(output)].map((score) => probability(output, score));
    if (scores.length !== labels.length)
      throw unfit(output, `holds ${scores.length} numbers for ${labels.length} labels`);
    const label = labels.filter((_, index) => (scores[index] ?? 0) >= threshold).join(',');
    return { label, score: Math.max(0, ...scores), scores, ranked: [] };
  };
}

function regression(manifest: Manifest): DecisionPlan['decide'] {
  const combine = compileCombine(manifest);
  return (input) => {
    const output = outputOf(manifest, input);
    const numbers = outputNumbers(output);
    if (numbers.length !== 1)
      throw unfit(output, `holds ${numbers.length} numbers where task regression needs one`);
    return { label: '', score: combine(numbers[0] ?? 0, input, -1), scores: [], ranked: [] };
  };
}

function ranking(manifest: Manifest): DecisionPlan['decide'] {
  const combine = compileCombine(manifest);
  const topK = manifest.decision.rank?.top_k ?? 10;
  const epsilon = manifest.decision.explore?.epsilon ?? 0;
  return (input) => {
    const output = outputOf(manifest, input);
    const numbers = outputNumbers(output);
    const { candidates } = input;
    if (numbers.length !== candidates.length)
      throw unfit(output, `contains ${numbers.length} scores for ${candidates.length} candidates`);
    const scores = Array.from(numbers, (score, index) => combine(score, input, index));
    const ids = candidates.map(({ id }) => id);
    const ranked = rank(ids, scores, new Set(input.excluded), { topK, epsilon, seed: input.predictionId });
    return { label: '', score: ranked[0]?.score ?? 0, scores, ranked };
  };
}

/** True for labels instead of scores, as classifiers of scikit-learn output them next to their probabilities. */
function isLabel({ datatype }: Tensor): boolean {
  return datatype === 'BYTES' || datatype === 'INT64' || datatype === 'INT32';
}

/**
 * The label in an output: a text, or an integer that is either one of the manifest's labels as text or the index of
 * one.
 */
function labelText(output: Tensor, labels: readonly string[]): string {
  let text: string;
  if (output.datatype === 'BYTES') {
    const { contents } = output;
    if (contents.length < 4) throw unfit(output, 'contains no label');
    text = Buffer.from(contents.buffer, contents.byteOffset + 4, contents.byteLength - 4).toString();
  } else {
    const numbers = outputNumbers(output);
    if (numbers.length !== 1) throw unfit(output, `holds ${numbers.length} labels where one is needed`);
    text = String(numbers[0]);
  }
  if (labels.includes(text)) return text;
  const byIndex = output.datatype === 'BYTES' ? undefined : labels[Number(text)];
  if (byIndex !== undefined) return byIndex;
  throw unfit(
    output,
    `contains the label ${JSON.stringify(text.slice(0, 80))}, which decision.labels does not name`,
  );
}

/** The named output; otherwise the first floating point output, or the first of all. */
function outputOf(manifest: Manifest, input: DecisionInput): Tensor {
  const wanted = manifest.output;
  const scores = ({ datatype }: Tensor) => datatype === 'FP32' || datatype === 'FP64';
  const output =
    wanted === undefined
      ? (input.outputs.find(scores) ?? input.outputs[0])
      : input.outputs.find(({ name }) => name === wanted);
  if (output) return output;
  const problem = wanted === undefined ? 'there is no output' : `output ${wanted} is missing`;
  throw new HotloopError('INVALID_ARGUMENT', `model ${manifest.name}: ${problem}`, {
    reason: 'output_does_not_fit',
  });
}

/**
 * Out-of-range values are rejected and not clamped: a model that outputs logits would otherwise give wrong decisions
 * unnoticed.
 */
function probability(output: Tensor, value: number): number {
  if (value < -ROUNDING || value > 1 + ROUNDING)
    throw unfit(
      output,
      `holds ${value} where a probability is needed; end the model with Sigmoid or Softmax`,
    );
  return Math.min(1, Math.max(0, value));
}

function compileCombine(manifest: Manifest): Combine {
  const text = manifest.decision.combine;
  if (text === undefined) return (score) => score;
  const expression: Expression = compileExpression(text, COMBINE_VARIABLES);
  return (score, input, candidate) => {
    const where = candidate < 0 ? '' : ` of candidate ${JSON.stringify(input.candidates[candidate]?.id)}`;
    const item = candidate < 0 ? NOTHING : (input.candidates[candidate]?.attributes ?? NOTHING);
    const combined = evaluate(
      expression,
      { score, request: input.request, item, entities: input.entities },
      where,
    );
    if (typeof combined !== 'number' || !Number.isFinite(combined))
      throw new HotloopError('INVALID_ARGUMENT', `decision.combine${where} gives no finite number`, {
        reason: 'combine_failed',
      });
    return combined;
  };
}

function evaluate(expression: Expression, scope: Parameters<Expression>[0], where: string) {
  try {
    return expression(scope);
  } catch (error) {
    const why = error instanceof HotloopError ? `: ${error.message}` : '';
    throw new HotloopError('INVALID_ARGUMENT', `decision.combine${where} cannot be evaluated${why}`, {
      reason: 'combine_failed',
      cause: error,
    });
  }
}

function refusal(manifest: Manifest, field: string, problem: string): HotloopError {
  return new HotloopError('FAILED_PRECONDITION', `model ${manifest.name}: ${field}: ${problem}`, {
    reason: 'invalid_manifest',
  });
}
