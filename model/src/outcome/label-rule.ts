import { HotloopError } from '@hotloop/proto/errors.ts';
import { compileExpression } from '../expression.ts';
import type { Manifest, OutcomeSpec } from '../manifest/manifest.ts';
import type { Attributes, AttributeValue } from '../value.ts';

/** The parts of an outcome that determine its label. */
export interface Judged {
  /** The reported value; null when the label is computed from the attributes. */
  readonly value: AttributeValue | null;
  readonly attributes: Attributes;
}

/** How a model's outcomes become labels. */
export interface LabelRule {
  /**
   * The label of an outcome: 0 or 1 (binary), the index of the class (multiclass), the number (regression, ranking).
   * Null when the outcome gives no label. Throws INVALID_ARGUMENT when the outcome has a value that does not fit the
   * task, or no value although no expression is declared.
   */
  labelOf(outcome: Judged): number | null;
  /** The declared default label, or null. */
  readonly otherwise: number | null;
  /** Outcomes can only be positive, so the negative label of a prediction is only known after its window has ended. */
  readonly isOneSided: boolean;
}

/**
 * Compiles `outcome` of a manifest. Throws INVALID_ARGUMENT for an expression or default that does not fit the task.
 */
export function labelRule(manifest: Manifest): LabelRule {
  const { positive, label, otherwise } = manifest.outcome;
  const judge = expressionOf(manifest.outcome);
  return {
    labelOf(outcome) {
      if (outcome.value !== null) return labelOfValue(manifest, outcome.value);
      if (judge === null)
        throw new HotloopError(
          'INVALID_ARGUMENT',
          `the outcome has no value, and model ${manifest.name} declares neither outcome.positive nor outcome.label`,
          { reason: 'missing_value' },
        );
      const result = judge({ event: outcome.attributes });
      if (positive !== undefined) return result === true ? 1 : null;
      if (result === null) return null;
      return labelOfValue(manifest, typeof result === 'object' ? [] : result);
    },
    otherwise: otherwise === undefined ? null : labelOfValue(manifest, otherwise),
    isOneSided: positive !== undefined && label === undefined && otherwise !== undefined,
  };
}

function expressionOf(outcome: OutcomeSpec): ReturnType<typeof compileExpression> | null {
  const [field, text] =
    outcome.positive !== undefined ? ['positive', outcome.positive] : ['label', outcome.label];
  if (text === undefined) return null;
  try {
    return compileExpression(text, { event: 'record' });
  } catch (error) {
    if (!(error instanceof HotloopError)) throw error;
    throw new HotloopError(error.code, `outcome.${field}: ${error.message}`, {
      reason: 'invalid_manifest',
      cause: error,
    });
  }
}

function labelOfValue(manifest: Manifest, value: AttributeValue): number {
  const labels = manifest.decision.labels ?? [];
  switch (manifest.task) {
    case 'binary': {
      if (typeof value === 'boolean') return value ? 1 : 0;
      if (value === 0 || value === 1) return value;
      const index = typeof value === 'string' ? labels.indexOf(value) : -1;
      if (index === 0 || index === 1) return index;
      throw misfit(manifest, 'must be 0, 1, true or false', value);
    }
    case 'multiclass': {
      const index = typeof value === 'string' ? labels.indexOf(value) : value;
      if (typeof index === 'number' && Number.isInteger(index) && index >= 0 && index < labels.length)
        return index;
      throw misfit(manifest, `must be one of ${labels.slice(0, 20).join(', ')}`, value);
    }
    case 'multilabel': {
      const chosen = typeof value === 'string' ? value.split(',').filter((text) => text !== '') : value;
      const indices = Array.isArray(chosen) ? chosen.map((one) => labels.indexOf(String(one))) : [-1];
      if (indices.includes(-1))
        throw misfit(manifest, `must be a list of ${labels.slice(0, 20).join(', ')}`, value);
      // A set of labels as one number: bit i is label i. The manifest has at most 50 labels.
      return indices.reduce(
        (sum, index) => sum + (Math.floor(sum / 2 ** index) % 2 === 0 ? 2 ** index : 0),
        0,
      );
    }
    case 'regression':
      if (typeof value === 'number' && Number.isFinite(Math.fround(value))) return value;
      throw misfit(manifest, 'must be a finite number', value);
    case 'ranking':
      if (typeof value === 'boolean') return value ? 1 : 0;
      if (typeof value === 'number' && value >= 0 && Number.isFinite(Math.fround(value))) return value;
      throw misfit(manifest, 'must be a relevance of 0 or more', value);
    case 'tensor':
      throw new HotloopError(
        'FAILED_PRECONDITION',
        `model ${manifest.name} has task tensor, which has no outcomes`,
      );
  }
}

function misfit(manifest: Manifest, rule: string, value: AttributeValue): HotloopError {
  const given = JSON.stringify(value).slice(0, 60);
  return new HotloopError(
    'INVALID_ARGUMENT',
    `value ${rule} for the ${manifest.task} model ${manifest.name}, not ${given}`,
    { reason: 'invalid_value' },
  );
}
