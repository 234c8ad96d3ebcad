import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { type GraphBuilder, int } from '../onnx/graph-builder.ts';
import type { ValueSpec } from '../onnx/model.ts';
import { elementTypeCode, float64Tensor, int64Tensor } from '../onnx/tensor.ts';
import { reshape } from './fuse-transform.ts';
import { numberConstant, textTensor } from './fused-column.ts';

/** A probability may leave [0, 1] by what float32 rounds; the same bound as the decision plan's. */
const ROUNDING = 1e-5;

export const FUSED_OUTPUTS = {
  label: 'label',
  score: 'score',
  scores: 'scores',
  accepted: 'accepted',
} as const;

/**
 * Writes the decision after the network: `score` float64[N, 1]; `label` text[N, 1] for binary and multiclass; `scores`
 * float64[N, C] for multiclass; `accepted` bool[N, 1], false where the front door would refuse the row. A refused row has
 * score NaN and an empty label.
 *
 * @param output name and declaration of the network's output; @param accepted bool[N, 1].
 */
export function fuseDecision(
  graph: GraphBuilder,
  manifest: Manifest,
  output: { readonly value: string; readonly spec: ValueSpec },
  accepted: string,
): void {
  if (manifest.decision.combine !== undefined)
    throw notFusable(
      manifest,
      'decision.combine',
      'is an expression; only decisions without one can be fused',
    );
  const width = widthOf(manifest, output.spec);
  const double = { to: int(elementTypeCode('float64')) };
  const numbers = reshape(graph, graph.node('Cast', [output.value], double), width);
  switch (manifest.task) {
    case 'binary': {
      const last = width === 1 ? numbers : columnOf(graph, numbers, 1);
      const { value, fits } = probabilities(graph, last);
      const [negative = '0', positive = '1'] = manifest.decision.labels ?? [];
      const below = graph.node('Less', [value, numberConstant(graph, manifest.decision.threshold)]);
      const label = graph.node('Where', [below, text(graph, negative), text(graph, positive)]);
      finish(graph, { score: value, label }, graph.node('And', [accepted, fits]));
      break;
    }
    case 'multilabel':
      throw new HotloopError(
        'FAILED_PRECONDITION',
        `model ${manifest.name} has task multilabel, which cannot be fused`,
        { reason: 'not_fusable' },
      );
    case 'multiclass': {
      const labels = manifest.decision.labels ?? [];
      const { value, fits } = probabilities(graph, numbers);
      const bad = graph.node('Cast', [graph.node('Not', [fits])], double);
      const ones = graph.constant(
        'ones',
        float64Tensor(
          labels.map(() => 1),
          [labels.length, 1],
        ),
      );
      const broken = graph.node('Cast', [graph.node('MatMul', [bad, ones])], {
        to: int(elementTypeCode('bool')),
      });
      const allFit = graph.node('And', [accepted, graph.node('Not', [broken])]);
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
    case 'ranking':
      finish(graph, { score: numbers }, accepted);
      break;
    case 'tensor':
      throw notFusable(
        manifest,
        'task',
        'tensor has no features and no decision; its model.onnx is the file',
      );
    default:
      throw notFusable(manifest, 'task', `${String(manifest.task)} cannot be fused`);
  }
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

/** Values held to [0, 1], and whether each lay there within rounding. */
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

/** Numbers a row that the output holds. */
function widthOf(manifest: Manifest, { name, shape }: ValueSpec): number {
  const last = shape?.length === 2 ? shape[1] : 1;
  const found = typeof last === 'number' ? last : undefined;
  const wanted =
    manifest.task === 'multiclass'
      ? [manifest.decision.labels?.length ?? 0]
      : manifest.task === 'binary'
        ? [1, 2]
        : [1];
  if (shape === null || shape.length > 2 || found === undefined || !wanted.includes(found))
    throw notFusable(
      manifest,
      `output ${name}`,
      `has the shape [${shape ?? '?'}]; [N, ${wanted.join(' or ')}] is needed`,
    );
  return found;
}

function notFusable(manifest: Manifest, where: string, problem: string): HotloopError {
  return new HotloopError('FAILED_PRECONDITION', `model ${manifest.name}: ${where} ${problem}`, {
    reason: 'not_fusable',
  });
}
