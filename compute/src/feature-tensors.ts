import type { Tensor } from '@hotloop/model/tensor.ts';
import type { InferItem } from '@hotloop/platform/ports/inference.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { checkContents, matchInputs } from './oip/tensor-checks.ts';
import type { LoadedModel } from './runner/load-options.ts';

const MAX_ROWS = 100_000;

/**
 * The tensors of a feature plan in the order of the model's inputs, each reshaped to the rank of its input: a column
 * [N, 1] also feeds an input [N]. Throws INVALID_ARGUMENT naming the input that does not fit.
 */
export function featureTensors(item: InferItem, tensors: readonly Tensor[], model: LoadedModel): Tensor[] {
  const { rows } = item;
  if (rows < 1 || rows > MAX_ROWS)
    throw new HotloopError('INVALID_ARGUMENT', `rows must be between 1 and ${MAX_ROWS}, not ${rows}`, {
      reason: 'rows',
    });
  const [only, ...others] = model.inputs;
  const isOnly = only !== undefined && others.length === 0 && tensors.length === 1;
  const shaped = tensors.map((tensor) => {
    const name = isOnly ? only.name : tensor.name;
    const input = model.inputs.find((candidate) => candidate.name === name);
    const isFlat = input?.shape.length === 1 && tensor.shape.length === 2 && tensor.shape[1] === 1;
    return { ...tensor, name, shape: isFlat ? tensor.shape.slice(0, 1) : tensor.shape };
  });
  const uneven = shaped.find(({ shape }) => shape[0] !== rows);
  if (uneven)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `input ${JSON.stringify(uneven.name)} has ${uneven.shape[0]} rows, the prediction has ${rows}`,
      { reason: 'rows' },
    );
  const matched = matchInputs(model, shaped, `${item.model} version ${item.version}`);
  for (const tensor of matched) checkContents(tensor);
  return matched;
}
