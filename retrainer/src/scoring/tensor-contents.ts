import type { Datatype, Tensor } from '@hotloop/model/tensor.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { type Feeds, tensorOf } from './synchronous-session.ts';

type RuntimeTensor = Feeds[string];

/** The runtime's name of each datatype, with the array class of its values. */
const ARRAYS = {
  FP32: ['float32', Float32Array],
  FP64: ['float64', Float64Array],
  INT64: ['int64', BigInt64Array],
  INT32: ['int32', Int32Array],
  INT8: ['int8', Int8Array],
  UINT8: ['uint8', Uint8Array],
  BOOL: ['bool', Uint8Array],
} as const;

/** Converts a tensor of a port to one of the runtime. Throws UNIMPLEMENTED for a datatype that features never have. */
export function runtimeTensorOf({ datatype, shape, contents }: Tensor): RuntimeTensor {
  if (datatype === 'BYTES') return tensorOf('string', textsOf(contents), shape);
  const known = ARRAYS[datatype as keyof typeof ARRAYS];
  if (known === undefined) throw unknownType(datatype);
  const [type, ArrayOf] = known;
  return tensorOf(type, new ArrayOf(Uint8Array.from(contents).buffer), shape);
}

/** Converts a tensor of the runtime to one of a port. */
export function tensorOfRuntime(name: string, tensor: RuntimeTensor): Tensor {
  const shape = tensor.dims;
  if (tensor.type === 'string')
    return { name, datatype: 'BYTES', shape, contents: bytesOf(tensor.data as unknown as string[]) };
  const datatype = Object.entries(ARRAYS).find(([, [type]]) => type === tensor.type)?.[0] as
    | Datatype
    | undefined;
  if (datatype === undefined) throw unknownType(tensor.type);
  const { buffer, byteOffset, byteLength } = tensor.data as Float32Array;
  return { name, datatype, shape, contents: new Uint8Array(buffer, byteOffset, byteLength) };
}

function textsOf(contents: Uint8Array): string[] {
  const bytes = Buffer.from(contents.buffer, contents.byteOffset, contents.byteLength);
  const texts: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at);
    texts.push(bytes.toString('utf8', at + 4, end));
    at = end;
  }
  return texts;
}

function bytesOf(texts: readonly string[]): Uint8Array {
  return Buffer.concat(
    texts.flatMap((text) => {
      const bytes = Buffer.from(text);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}

function unknownType(type: string): HotloopError {
  return new HotloopError('UNIMPLEMENTED', `values of type ${type} cannot be computed in a batch`);
}
