import type { Dimension, OnnxAttribute, OnnxModel, OnnxNode, ValueSpec } from './model.ts';
import type { ElementType, OnnxTensor } from './tensor.ts';

/** Attributes of a node. Typed values, because a plain number would not say whether it is an int or a float. */
export type Attributes = Readonly<Record<string, OnnxAttribute>>;

/** @returns an integer attribute. */
export function int(value: number | bigint): OnnxAttribute {
  return { kind: 'int', value: BigInt(value) };
}

/** @returns an attribute of several integers. */
export function ints(values: readonly number[]): OnnxAttribute {
  return { kind: 'ints', value: values.map(BigInt) };
}

/** @returns a 32-bit float attribute. */
export function float(value: number): OnnxAttribute {
  return { kind: 'float', value };
}

/** @returns a tensor attribute, as used by `Constant`. */
export function tensor(value: OnnxTensor): OnnxAttribute {
  return { kind: 'tensor', value };
}

/** Header fields of a model file. */
export interface ModelHeader {
  readonly irVersion?: number;
  /** Version of the standard operator set, or versions by domain. */
  readonly opset?: number | ReadonlyMap<string, number>;
  readonly producer?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Names of a node's outputs: given ones, or how many to generate. */
export interface NodeNaming {
  readonly name?: string;
  readonly outputs?: readonly string[];
  readonly domain?: string;
}

/**
 * Builds a graph node by node. Every method returns the name of the value that it created, to be used as an input.
 * Names are generated in order, so the same calls give the same graph.
 */
export class GraphBuilder {
  readonly #prefix: string;
  readonly #taken: Set<string>;
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers = new Map<string, OnnxTensor>();
  readonly #inputs: ValueSpec[] = [];
  readonly #outputs: ValueSpec[] = [];
  #count = 0;

  /**
   * @param prefix of every generated name.
   * @param taken names that generated ones must avoid.
   */
  constructor(prefix = '', taken: Iterable<string> = []) {
    this.#prefix = prefix;
    this.#taken = new Set(taken);
  }

  /** @returns the nodes added so far. */
  get nodes(): readonly OnnxNode[] {
    return this.#nodes;
  }

  /** @returns a name that is not yet used in the graph. */
  uniqueName(stem: string): string {
    let name = `${this.#prefix}${stem}_${this.#count++}`;
    while (this.#taken.has(name)) name = `${this.#prefix}${stem}_${this.#count++}`;
    this.#taken.add(name);
    return name;
  }

  input(name: string, elementType: ElementType, shape: readonly Dimension[] | null): string {
    this.#claim(name);
    this.#inputs.push({ name, elementType, shape });
    return name;
  }

  /** Makes the value of a node an output of the graph. */
  output(name: string, elementType: ElementType, shape: readonly Dimension[] | null): void {
    this.#outputs.push({ name, elementType, shape });
  }

  /** Renames the value of a node added here, wherever it is used. */
  rename(value: string, name: string): void {
    this.#claim(name);
    const renamed = (names: readonly string[]) => names.map((each) => (each === value ? name : each));
    for (const [i, node] of this.#nodes.entries()) {
      if (!node.outputs.includes(value) && !node.inputs.includes(value)) continue;
      this.#nodes[i] = { ...node, inputs: renamed(node.inputs), outputs: renamed(node.outputs) };
    }
  }

  initializer(name: string, value: OnnxTensor): string {
    this.#claim(name);
    this.#initializers.set(name, value);
    return name;
  }

  /** Adds an initializer of another graph, whose name is already reserved. */
  adoptInitializer(name: string, value: OnnxTensor): void {
    this.#initializers.set(name, value);
  }

  /** Adds an initializer with a generated name. @returns that name. */
  constant(stem: string, value: OnnxTensor): string {
    const name = this.uniqueName(stem);
    this.#initializers.set(name, value);
    return name;
  }

  /** Adds a node with one output. @returns that output's name. */
  node(
    operator: string,
    inputs: readonly string[],
    attributes: Attributes = {},
    naming: NodeNaming = {},
  ): string {
    return this.nodeOf(operator, inputs, 1, attributes, naming)[0]!;
  }

  /** Adds a node with `count` outputs. @returns their names. */
  nodeOf(
    operator: string,
    inputs: readonly string[],
    count: number,
    attributes: Attributes = {},
    naming: NodeNaming = {},
  ): readonly string[] {
    for (const output of naming.outputs ?? []) this.#claim(output);
    const outputs = naming.outputs ?? Array.from({ length: count }, () => this.uniqueName(operator));
    this.#nodes.push({
      name: naming.name ?? outputs[0]!,
      operator,
      domain: naming.domain ?? '',
      inputs,
      outputs,
      attributes: new Map(Object.entries(attributes)),
    });
    return outputs;
  }

  /**
   * Returns an output of an existing node, which is added to the node if it was left out.
   *
   * @param first the name of one of the node's outputs. @param position the index of the requested output.
   * @returns that output's name, generated if the node did not have it.
   */
  outputOf(first: string, position: number): string {
    const index = this.#nodes.findIndex((node) => node.outputs.includes(first));
    const node = this.#nodes[index];
    if (!node) throw new RangeError(`no node of the graph has the output '${first}'`);
    const present = node.outputs[position];
    if (present) return present;
    const name = this.uniqueName(node.operator);
    const outputs = Array.from({ length: Math.max(node.outputs.length, position + 1) }, (_, i) =>
      i === position ? name : (node.outputs[i] ?? ''),
    );
    this.#nodes[index] = { ...node, outputs };
    return name;
  }

  /** Adds a node of another graph unchanged; its names are already reserved. */
  adopt(node: OnnxNode): void {
    this.#nodes.push(node);
  }

  build(graphName: string, header: ModelHeader = {}): OnnxModel {
    const opset = header.opset ?? 17;
    return {
      irVersion: header.irVersion ?? 8,
      producer: header.producer ?? 'hotloop',
      opsets: typeof opset === 'number' ? new Map([['', opset]]) : opset,
      metadata: new Map(Object.entries(header.metadata ?? {})),
      graph: {
        name: graphName,
        nodes: this.#nodes,
        initializers: this.#initializers,
        inputs: this.#inputs,
        outputs: this.#outputs,
      },
    };
  }

  #claim(name: string): void {
    if (this.#taken.has(name))
      throw new RangeError(`the name '${name}' is used twice in the graph being built`);
    this.#taken.add(name);
  }
}
