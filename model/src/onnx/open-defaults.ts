import type { OnnxGraph, ValueSpec } from './model.ts';
import { decodeModel } from './model.ts';
import { elementCount, type OnnxTensor } from './tensor.ts';
import { decodeMessage, encodeMessage } from './wire.ts';

/** A default with more elements than this is a weight that an exporter listed among the inputs. */
export const MOST_DEFAULT_ELEMENTS = 4096;
/** A model with more defaults than this was exported with all its weights as inputs. */
export const MOST_DEFAULTS = 16;
/** Before this IR version every initializer had to be listed as an input, so the listing had no meaning. */
const FIRST_IR_VERSION_WITH_DEFAULTS = 4;

/** An input that a request may omit; the value of its initializer is used then. */
export interface DefaultInput {
  readonly spec: ValueSpec;
  readonly value: OnnxTensor;
}

/** A model file whose defaults are inputs. */
export interface OpenedDefaults {
  readonly onnx: Uint8Array;
  /** In the order of the file's inputs. */
  readonly defaults: readonly DefaultInput[];
  /** Inputs with an initializer that stays a constant, because it is too large or one of too many. */
  readonly fixed: readonly string[];
}

/**
 * Converts initializers that are also graph inputs into plain inputs. ONNX lets a request override them, but the
 * binding of ONNX Runtime ignores a value that is passed for an initializer. The caller passes `defaults` when a
 * request does not provide them. Only for small defaults: see the limits above. A file without such inputs is
 * returned unchanged.
 *
 * @throws a coded error (INVALID_ARGUMENT) for a file that cannot be decoded.
 */
export function openDefaults(onnx: Uint8Array): OpenedDefaults {
  const { graph, irVersion } = decodeModel(onnx);
  const candidates = inputsWithInitializer(graph);
  if (candidates.length === 0) return { onnx, defaults: [], fixed: [] };
  const defaults =
    irVersion >= FIRST_IR_VERSION_WITH_DEFAULTS && candidates.length <= MOST_DEFAULTS
      ? candidates.filter(canBeFed)
      : [];
  const open = new Set(defaults.map(({ spec }) => spec.name));
  const fixed = candidates.flatMap(({ spec }) => (open.has(spec.name) ? [] : [spec.name]));
  if (defaults.length === 0) return { onnx, defaults, fixed };
  const message = decodeMessage(onnx);
  if (message.graph)
    message.graph.initializer = message.graph.initializer.filter(({ name }) => !open.has(name));
  return { onnx: encodeMessage(message), defaults, fixed };
}

function inputsWithInitializer(graph: OnnxGraph): DefaultInput[] {
  return graph.inputs.flatMap((spec) => {
    const value = graph.initializers.get(spec.name);
    return value === undefined ? [] : [{ spec, value }];
  });
}

/** The runtime's binding has no tensors of bfloat16, of 8-bit or 4-bit floats, or of complex numbers. */
function canBeFed({ value }: DefaultInput): boolean {
  return (
    elementCount(value.dims) <= MOST_DEFAULT_ELEMENTS &&
    !/^(bfloat16|float8|float4|complex|u?int4)/.test(value.elementType)
  );
}
