import type { Tensor } from '@hotloop/platform/ports/tensor.ts';
import type { LogPolicy } from './log-policy.ts';

const MAX_SPECIFICATIONS = 1024;

/** JSON of tensors' names, types and shapes, made once for each shape a version meets. */
export class TensorSpecifications {
  readonly #names: readonly { readonly name: string }[];
  readonly #texts = new Map<string, string>();

  /** What the model calls them, in its order. */
  constructor(names: readonly { readonly name: string }[]) {
    this.#names = names;
  }

  of(tensors: readonly Pick<Tensor, 'datatype' | 'shape'>[]): string {
    const key = tensors.map((tensor) => tensor.shape.join('x')).join(';');
    let text = this.#texts.get(key);
    if (text === undefined) {
      text = JSON.stringify(
        tensors.map(({ datatype, shape }, index) => ({
          name: this.#names[index]?.name ?? '',
          datatype,
          shape,
        })),
      );
      if (this.#texts.size < MAX_SPECIFICATIONS) this.#texts.set(key, text);
    }
    return text;
  }
}

/** The inputs as the log may keep them. Where features are hidden and nobody knows which is which, it keeps none. */
export function keptInputs(
  policy: LogPolicy,
  inputs: readonly Pick<Tensor, 'contents'>[],
  rows: number,
  columns: number,
): Uint8Array | null {
  const [first, ...others] = inputs;
  if (first && columns > 0) return policy.features(first.contents, rows, columns);
  if (policy.hidesFeatures) return null;
  return first && others.length === 0 ? first.contents : Buffer.concat(inputs.map((input) => input.contents));
}
