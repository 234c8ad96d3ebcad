import { DATATYPES, type Datatype, type Tensor } from '@hotloop/model/tensor.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Tensor__Output, Tensor as TensorMessage } from '@hotloop/proto/gen/hotloop/v1/Tensor.ts';

const KNOWN: ReadonlySet<string> = new Set(DATATYPES);

/** Throws INVALID_ARGUMENT for a datatype that the Open Inference Protocol does not define. Shares the bytes. */
export function tensorFromMessage(tensor: Tensor__Output): Tensor {
  if (!isDatatype(tensor.datatype))
    throw new HotloopError('INVALID_ARGUMENT', `tensor ${tensor.name} has an unknown datatype`);
  return { name: tensor.name, datatype: tensor.datatype, shape: tensor.shape, contents: tensor.contents };
}

/** Shares the bytes. */
export function tensorToMessage(tensor: Tensor): TensorMessage {
  return {
    name: tensor.name,
    datatype: tensor.datatype,
    shape: [...tensor.shape],
    contents: tensor.contents,
  };
}

function isDatatype(text: string): text is Datatype {
  return KNOWN.has(text);
}
