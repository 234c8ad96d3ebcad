import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { ModelDescription } from '@hotloop/model/onnx/inspect.ts';
import { decodeModel } from '@hotloop/model/onnx/model.ts';
import { quoted } from '@hotloop/model/onnx/unsound.ts';
import { trainingSettings } from '@hotloop/model/training/training-settings.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { datasetInputs } from '../datasets/dataset-inputs.ts';
import { bindInputs } from '../training/bind-inputs.ts';
import { gradientRuleOf } from '../training/gradients/gradient-rules.ts';
import { writeTrainingGraph } from '../training/write-training-graph.ts';

/**
 * Refuses a manifest with a `training` section whose model cannot be fine-tuned, at push instead of at the first retraining.
 * Builds the training graph and discards it. An external trainer needs no gradients, so its models are not checked. Throws
 * INVALID_ARGUMENT (not_trainable) with the node and the remedy.
 */
export function checkTrainable(
  manifest: Manifest,
  onnx: Uint8Array,
  description: Pick<ModelDescription, 'inputs'>,
): void {
  if (manifest.training === undefined || manifest.training.trainer !== undefined) return;
  // A model on another server is trained there.
  if (manifest.runtime.remote !== undefined) return;
  try {
    const settings = trainingSettings(manifest);
    bindInputs(description.inputs, { columns: columnsOf(manifest).width, ...datasetInputs(manifest) });
    writeTrainingGraph(decodeModel(onnx), {
      loss: settings.loss,
      trainable: settings.trainable,
      ...(settings.output === undefined ? {} : { output: settings.output }),
      until: settings.optimizer,
    });
  } catch (error) {
    if (!(error instanceof HotloopError)) throw error;
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `model.yaml has a training section, but this model cannot be fine-tuned: ${error.message}${culprit(onnx, error.message)}. ` +
        'Name a program that trains it in training.trainer (docs/trainers.md), or remove the training section to only serve it',
      { reason: 'not_trainable', cause: error },
    );
  }
}

/** The node that prevents training, if the message names none: the last classical operator, which contains the weights. */
function culprit(onnx: Uint8Array, message: string): string {
  if (message.includes('node ')) return '';
  const fixed = decodeModel(onnx).graph.nodes.filter(
    ({ domain, operator }) => !gradientRuleOf(domain, operator),
  );
  const node = fixed.findLast(({ domain }) => domain === 'ai.onnx.ml') ?? fixed[0];
  if (!node) return '';
  const operator = node.domain === '' ? node.operator : `${node.domain}:${node.operator}`;
  return ` (node ${quoted(node.name || (node.outputs[0] ?? ''))} of type ${quoted(operator)} has no gradient)`;
}
