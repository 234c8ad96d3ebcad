import type { Manifest } from '../manifest/manifest.ts';
import type { Datatype } from '../tensor.ts';
import { GraphBuilder } from './graph-builder.ts';
import { encodeModel } from './model.ts';
import type { ElementType } from './tensor.ts';
import { unsound } from './unsound.ts';

/** The operator set of a file that only describes a model which is served elsewhere. No runtime executes it. */
const REMOTE_DOMAIN = 'hotloop.remote';

/** Domains that a version's file may use in addition to the usual ones. */
export function ownDomains({ runtime }: Pick<Manifest, 'runtime'>): readonly string[] {
  return ['ai.onnx.ml', 'com.microsoft', ...(runtime.remote === undefined ? [] : [REMOTE_DOMAIN])];
}

/** A tensor as described by the Open Inference Protocol; -1 is a free dimension. */
export interface RemoteTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly (number | string)[];
}

const ELEMENT_OF: Readonly<Record<Datatype, ElementType>> = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  BF16: 'bfloat16',
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
};

/**
 * The model.onnx of a version that another server runs: its inputs and outputs, and one node that represents that
 * server. The rest of the platform reads a version's interface from its file, so such versions need no special
 * handling. The same interface gives the same bytes.
 *
 * @throws INVALID_ARGUMENT when the server declares no inputs or outputs, or an unknown type.
 */
export function remoteInterfaceFile(
  inputs: readonly RemoteTensor[],
  outputs: readonly RemoteTensor[],
): Uint8Array {
  if (inputs.length === 0 || outputs.length === 0)
    throw unsound(
      'the server declares no inputs or no outputs of the model; declare them in its configuration (MLServer: model-settings.json)',
    );
  const graph = new GraphBuilder();
  for (const tensor of inputs) graph.input(tensor.name, elementOf(tensor), shapeOf(tensor));
  graph.nodeOf(
    'Remote',
    inputs.map(({ name }) => name),
    outputs.length,
    {},
    { domain: REMOTE_DOMAIN, name: 'remote', outputs: outputs.map(({ name }) => name) },
  );
  for (const tensor of outputs) graph.output(tensor.name, elementOf(tensor), shapeOf(tensor));
  const opset = new Map([
    ['', 17],
    [REMOTE_DOMAIN, 1],
  ]);
  return encodeModel(graph.build('remote', { opset }));
}

function elementOf({ name, datatype }: RemoteTensor): ElementType {
  const element = Object.hasOwn(ELEMENT_OF, datatype) ? ELEMENT_OF[datatype as Datatype] : undefined;
  if (element === undefined) throw unsound(`the server's tensor ${name} has the unknown type ${datatype}`);
  return element;
}

/** The first free dimension is the batch dimension, which inputs and outputs share. */
function shapeOf({ shape }: RemoteTensor): (number | string | null)[] {
  return shape.map((size, axis) => (Number(size) >= 0 ? Number(size) : axis === 0 ? 'N' : null));
}
