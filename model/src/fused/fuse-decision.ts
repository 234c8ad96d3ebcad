import { HotloopError } from '@hotloop/proto/errors.ts';
import type { CompiledFeature } from '../features/compile-feature.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { type GraphBuilder, int } from '../onnx/graph-builder.ts';
import type { ValueSpec } from '../onnx/model.ts';
import { elementTypeCode, int64Tensor } from '../onnx/tensor.ts';
import { allOf } from './fuse-checks.ts';
import { fuseCombine } from './fuse-combine.ts';
import type { FeatureWriter } from './fuse-features.ts';
import { reshape } from './fuse-transform.ts';
import { NotFusable, numberConstant, textTensor } from './fused-column.ts';

/** A probability may exceed [0, 1] by the rounding of float32; the same tolerance as in the decision plan. */
const ROUNDING = 1e-5;

export const FUSED_OUTPUTS = {
  label: 'label',
  score: 'score',
  scores: 'scores',
  accepted: 'accepted',
} as const;

/**
 * Writes the decision after the network: `score` float64[N, 1]; `label` text[N, 1] for binary, multiclass and multilabel; `scores`
 * float64[N, C] for the latter two; `accepted` bool[N, 1], false where the preprocessor would reject the row. A rejected row has
 * score NaN and an empty label.
 *
 * @param output name and declaration of the network's output; @param rows what the graph knows about its rows.
 */
export function fuseDecision(
  graph: GraphBuilder,
  manifest: Manifest,
  output: { readonly value: string; readonly spec: ValueSpec },
  rows: DecidedRows,
): void {
  const { accepted } = rows;
  const width = widthOf(manifest, output.spec);
  const double = { to: int(elementTypeCode('float64')) };
  const numbers = reshape(graph, graph.node('Cast', [output.value], double), width);
  switch (manifest.task) {
    case 'binary': {
      const last = width === 1 ? numbers : columnOf(graph, numbers, 1);
      const { value, fits } = probabilities(graph, last);
      const combined = combine(graph, manifest, value, rows);
      const [negative = '0', positive = '1'] = manifest.decision.labels ?? [];
      const below = graph.node('Less', [combined.score, numberConstant(graph, manifest.decision.threshold)]);
      const label = graph.node('Where', [below, text(graph, negative), text(graph, positive)]);
      const all = [accepted, fits, ...combined.accepted].reduce((a, b) => graph.node('And', [a, b]));
      finish(graph, { score: combined.score, label }, all);
      break;
    }
    case 'multilabel':
      fuseMultilabel(graph, manifest, numbers, accepted);
      break;
    case 'multiclass': {
      const labels = manifest.decision.labels ?? [];
      const { value, fits } = probabilities(graph, numbers);
      const allFit = graph.node('And', [accepted, allOf(graph, fits, labels.length)]);
      const best = graph.node('ArgMax', [value], { axis: int(1), keepdims: int(1) });
      const names = graph.constant('labels', textTensor(labels, [labels.length]));
      const label = graph.node('Gather', [names, best], { axis: int(0) });
      const score = graph.node('GatherElements', [value, best], { axis: int(1) });
      graph.node('Identity', [value], {}, { outputs: [FUSED_OUTPUTS.scores] });
      graph.output(FUSED_OUTPUTS.scores, 'float64', ['N', labels.length]);
      finish(graph, { score, label }, allFit);
      break;
    }
    case 'regression':
    case 'ranking': {
      const combined = combine(graph, manifest, numbers, rows);
      const all = [accepted, ...combined.accepted].reduce((a, b) => graph.node('And', [a, b]));
      finish(graph, { score: combined.score }, all);
      break;
    }
    default:
      throw notFusable(manifest, 'task', `${String(manifest.task)} cannot be fused`);
  }
}

/** What the decision needs from the features: which rows are accepted, and where fields of the request are. */
export interface DecidedRows {
  /** bool[N, 1]. */
  readonly accepted: string;
  readonly writer: FeatureWriter;
  readonly compiled: readonly CompiledFeature[];
}

/** The final score by `decision.combine`, and the rows for which it is a finite number. */
function combine(
  graph: GraphBuilder,
  manifest: Manifest,
  score: string,
  { writer, compiled }: DecidedRows,
): { readonly score: string; readonly accepted: readonly string[] } {
  const expression = manifest.decision.combine;
  if (expression === undefined) return { score, accepted: [] };
  try {
    const combined = fuseCombine(graph, writer, compiled, expression, score);
    const size = graph.node('Abs', [combined.score]);
    const finite = graph.node('Less', [size, numberConstant(graph, Number.POSITIVE_INFINITY)]);
    return { score: combined.score, accepted: combined.ok === undefined ? [finite] : [finite, combined.ok] };
  } catch (error) {
    if (error instanceof NotFusable)
      throw notFusable(manifest, 'decision.combine', `cannot be fused: ${error.message}`);
    throw error;
  }
}

/**
 * All labels whose probability reaches the threshold, joined by commas; the score is the largest probability, and at
 * least 0.
 */
function fuseMultilabel(graph: GraphBuilder, manifest: Manifest, numbers: string, accepted: string): void {
  const labels = manifest.decision.labels ?? [];
  const { value, fits } = probabilities(graph, numbers);
  const reached = graph.node('Not', [
    graph.node('Less', [value, numberConstant(graph, manifest.decision.threshold)]),
  ]);
  let label = text(graph, '');
  let any: string | undefined;
  for (const [index, name] of labels.entries()) {
    const isHit = columnOf(graph, reached, index);
    const next =
      any === undefined
        ? text(graph, name)
        : graph.node('Where', [any, text(graph, `,${name}`), text(graph, name)]);
    label = graph.node('StringConcat', [label, graph.node('Where', [isHit, next, text(graph, '')])]);
    any = any === undefined ? isHit : graph.node('Or', [any, isHit]);
  }
  const best = graph.node('ArgMax', [value], { axis: int(1), keepdims: int(1) });
  const score = graph.node('GatherElements', [value, best], { axis: int(1) });
  graph.node('Identity', [value], {}, { outputs: [FUSED_OUTPUTS.scores] });
  graph.output(FUSED_OUTPUTS.scores, 'float64', ['N', labels.length]);
  finish(graph, { score, label }, graph.node('And', [accepted, allOf(graph, fits, labels.length)]));
}

function finish(
  graph: GraphBuilder,
  { score, label }: { readonly score: string; readonly label?: string },
  accepted: string,
): void {
  const refused = numberConstant(graph, Number.NaN);
  graph.node('Where', [accepted, score, refused], {}, { outputs: [FUSED_OUTPUTS.score] });
  graph.output(FUSED_OUTPUTS.score, 'float64', ['N', 1]);
  if (label !== undefined) {
    graph.node('Where', [accepted, label, text(graph, '')], {}, { outputs: [FUSED_OUTPUTS.label] });
    graph.output(FUSED_OUTPUTS.label, 'string', ['N', 1]);
  }
  graph.node('Identity', [accepted], {}, { outputs: [FUSED_OUTPUTS.accepted] });
  graph.output(FUSED_OUTPUTS.accepted, 'bool', ['N', 1]);
}

/** Values clipped to [0, 1], and whether each was in that range within rounding. */
function probabilities(graph: GraphBuilder, value: string): { value: string; fits: string } {
  const low = graph.node('Not', [graph.node('Less', [value, numberConstant(graph, -ROUNDING)])]);
  const high = graph.node('Not', [graph.node('Less', [numberConstant(graph, 1 + ROUNDING), value])]);
  const known = graph.node('Not', [graph.node('IsNaN', [value])]);
  const fits = graph.node('And', [graph.node('And', [low, high]), known]);
  const held = graph.node('Min', [
    graph.node('Max', [value, numberConstant(graph, 0)]),
    numberConstant(graph, 1),
  ]);
  return { value: held, fits };
}

function columnOf(graph: GraphBuilder, value: string, column: number): string {
  return graph.node('Gather', [value, graph.constant('column', int64Tensor([column], [1]))], {
    axis: int(1),
  });
}

function text(graph: GraphBuilder, value: string): string {
  return graph.constant('text', textTensor([value], [1, 1]));
}

/**
 * Number of values per row of the output. If the file does not say, it follows from the task, except that binary has
 * one or two.
 */
function widthOf(manifest: Manifest, { name, shape }: ValueSpec): number {
  const labels = manifest.decision.labels?.length ?? 0;
  const { task } = manifest;
  const wanted = task === 'multiclass' || task === 'multilabel' ? [labels] : task === 'binary' ? [1, 2] : [1];
  const rest = shape?.slice(1);
  const known = rest?.every((size) => typeof size === 'number') ? rest.map(Number) : undefined;
  const width =
    known === undefined ? (wanted.length === 1 ? wanted[0] : undefined) : known.reduce((a, b) => a * b, 1);
  if (width === undefined || !wanted.includes(width))
    throw notFusable(
      manifest,
      `output ${name}`,
      `has the shape [${shape ?? '?'}]; [N, ${wanted.join(' or ')}] is needed`,
    );
  return width;
}

function notFusable(manifest: Manifest, where: string, problem: string): HotloopError {
  return new HotloopError('FAILED_PRECONDITION', `model ${manifest.name}: ${where} ${problem}`, {
    reason: 'not_fusable',
  });
}
