import { HotloopError } from '@hotloop/proto/errors.ts';
import { compileExpression } from '../expression.ts';
import { type CompiledFeature, compileFeature } from '../features/compile-feature.ts';
import { parseExcludeSource } from '../features/exclude-source.ts';
import { layOut } from '../features/input-layout.ts';
import type { Manifest } from './manifest.ts';
import { monitorProblems } from './monitor-problems.ts';

/** The variables of decision.combine. */
export const COMBINE_VARIABLES = {
  score: 'number',
  request: 'record',
  item: 'record',
  entities: 'record',
} as const;

/**
 * Problems of a manifest that its schema allows: parts that are valid alone but not together. One line each, starting
 * with the field. Empty when every service can compile its section.
 */
export function manifestProblems(manifest: Manifest): string[] {
  return [
    ...featureProblems(manifest),
    ...decisionProblems(manifest),
    ...rolloutProblems(manifest),
    ...monitorProblems(manifest),
  ];
}

function featureProblems(manifest: Manifest): string[] {
  const compiled: CompiledFeature[] = [];
  const problems = manifest.features.flatMap((feature) => {
    try {
      compiled.push(compileFeature(feature, compiled, manifest.task === 'ranking'));
      return [];
    } catch (error) {
      return [`features.${feature.name}: ${reasonOf(error)}`];
    }
  });
  if (problems.length > 0) return problems;
  try {
    layOut(compiled);
    return [];
  } catch (error) {
    return [`features: ${reasonOf(error)}`];
  }
}

function rolloutProblems({ features, rollout }: Manifest): string[] {
  return (rollout.rollback?.slices ?? []).flatMap((slice, index) =>
    features.some(({ name }) => name === slice)
      ? []
      : [`rollout.rollback.slices.${index}: there is no feature ${JSON.stringify(slice)}`],
  );
}

function decisionProblems({ task, decision }: Manifest): string[] {
  const problems: string[] = [];
  const { combine, labels, rank, explore } = decision;
  if (combine !== undefined) {
    if (task === 'multiclass' || task === 'multilabel')
      problems.push(`decision.combine: task ${task} has no single score to combine`);
    try {
      compileExpression(combine, COMBINE_VARIABLES);
    } catch (error) {
      problems.push(`decision.combine: ${reasonOf(error)}`);
    }
  }
  if (labels !== undefined && task === 'binary' && labels.length !== 2)
    problems.push(`decision.labels: task binary has two labels, not ${labels.length}`);
  if (task === 'multilabel') {
    if ((labels?.length ?? 0) > 50) problems.push('decision.labels: task multilabel has at most 50 labels');
    const comma = labels?.find((label) => label.includes(','));
    if (comma !== undefined)
      problems.push(
        `decision.labels: ${JSON.stringify(comma)} has a comma, which separates labels in the answer`,
      );
  }
  if (rank?.exclude !== undefined) {
    const source = parseExcludeSource(rank.exclude);
    if (source === undefined || source.entity === 'item')
      problems.push(
        'decision.rank.exclude: must be history.ENTITY.EVENT.FIELD of an entity that is not item',
      );
  }
  if (task !== 'ranking') {
    if (rank !== undefined) problems.push(`decision.rank: needs task ranking, not ${task}`);
    if ((explore?.epsilon ?? 0) > 0) problems.push(`decision.explore: needs task ranking, not ${task}`);
  }
  return problems;
}

function reasonOf(error: unknown): string {
  if (error instanceof RangeError || error instanceof HotloopError) return error.message;
  throw error;
}
