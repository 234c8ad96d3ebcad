import type { Tensor } from '@hotloop/model/tensor.ts';
import type { LogPolicy } from './log-policy.ts';

const MAX_SPECIFICATIONS = 1024;

interface Named {
  readonly name: string;
}

/** A tensor whose index among the model's tensors is its position in the list, unless it has an explicit index. */
type Placed<Key extends keyof Tensor> = Pick<Tensor, Key> & { readonly index?: number | undefined };

/** What the log keeps of the inputs, or of the outputs, of one version. */
export class LoggedTensors {
  readonly #names: readonly string[];
  readonly #policy: LogPolicy;
  readonly #hidesAny: boolean;
  readonly #specifications = new Map<string, string>();

  /** @param tensors the model's tensors, with their names, in its order. */
  constructor(tensors: readonly Named[], policy: LogPolicy) {
    this.#names = tensors.map(({ name }) => name);
    this.#policy = policy;
    this.#hidesAny = this.#names.some((name) => policy.hides(name));
  }

  /** JSON of names, types and shapes, cached per shape. A tensor whose contents are not kept is marked as hidden. */
  specification(tensors: readonly Placed<'datatype' | 'shape'>[]): string {
    const key = tensors.map(({ index = '', shape }) => `${index}:${shape.join('x')}`).join(';');
    let text = this.#specifications.get(key);
    if (text === undefined) {
      text = JSON.stringify(
        tensors.map(({ datatype, shape, index }, position) => {
          const name = this.#nameOf(index ?? position);
          return { name, datatype, shape, ...(this.#policy.hides(name) ? { hidden: true } : {}) };
        }),
      );
      if (this.#specifications.size < MAX_SPECIFICATIONS) this.#specifications.set(key, text);
    }
    return text;
  }

  /** The contents that may be kept, in the model's order; null when there are none. */
  contents(tensors: readonly Placed<'contents'>[]): readonly Uint8Array[] | null {
    const kept = this.#hidesAny
      ? tensors.filter(({ index }, position) => !this.#policy.hides(this.#nameOf(index ?? position)))
      : tensors;
    return kept.length === 0 ? null : kept.map((tensor) => tensor.contents);
  }

  #nameOf(index: number): string {
    return this.#names[index] ?? '';
  }
}

/**
 * Inputs as the log keeps them: a table of feature rows, or the concatenated contents. When features are hidden,
 * inputs whose columns cannot be matched to features are not kept: inputs that are not a table, and rows of another
 * width than the manifest's, which a model with a free width accepts.
 */
export function keptInputs(
  logged: LoggedTensors,
  policy: LogPolicy,
  inputs: readonly Pick<Tensor, 'contents'>[],
  rows: number,
  columns: number,
): Uint8Array | null {
  const contents = logged.contents(inputs);
  if (contents === null) return null;
  const [first, ...others] = contents;
  if (policy.hidesFeatures && columns !== policy.width) return null;
  if (first && columns > 0) return policy.features(first, rows, columns);
  return first && others.length === 0 ? first : Buffer.concat(contents);
}
