import type { Dimension, OnnxAttribute, OnnxModel, OnnxNode, ValueSpec } from './model.ts';
import type { ElementType, OnnxTensor } from './tensor.ts';

/** Attributes as they are easiest to write; a bare number would not say whether it is an int or a float. */
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

/** @returns a tensor attribute, as `Constant` takes it. */
export function tensor(value: OnnxTensor): OnnxAttribute {
  return { kind: 'tensor', value };
}

/** What a model file says about itself. */
export interface ModelHeader {
  readonly irVersion?: number;
  /** The standard operator set's version, or versions by domain. */
  readonly opset?: number | ReadonlyMap<string, number>;
  readonly producer?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The names one node writes to: given ones, or how many to invent. */
export interface NodeNaming {
  readonly name?: string;
  readonly outputs?: readonly string[];
  readonly domain?: string;
}

/**
 * Writes a graph node by node. Every method returns the name of the value it made, to be passed on as an input.
 * Names are invented in order, so the same calls give the same graph.
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
   * @param prefix starts every invented name.
   * @param taken names that invented ones must avoid.
   */
  constructor(prefix = '', taken: Iterable<string> = []) {
    this.#prefix = prefix;
    this.#taken = new Set(taken);
  }

  /** @returns the nodes written so far. */
  get nodes(): readonly OnnxNode[] {
    return this.#nodes;
  }

  /** @returns a name that nothing in the graph has yet. */
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

  /** Makes a value that a node produces an output of the graph. */
  output(name: string, elementType: ElementType, shape: readonly Dimension[] | null): void {
    this.#outputs.push({ name, elementType, shape });
  }

  /** Gives a value that a node written here produces another name, wherever it stands. */
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

  /** Takes an initializer of another graph, whose name is reserved already. */
  adoptInitializer(name: string, value: OnnxTensor): void {
    this.#initializers.set(name, value);
  }

  /** Writes an initializer under an invented name. @returns that name. */
  constant(stem: string, value: OnnxTensor): string {
    const name = this.uniqueName(stem);
    this.#initializers.set(name, value);
    return name;
  }

  /** Writes a node with one output. @returns that output's name. */
  node(
    operator: string,
    inputs: readonly string[],
    attributes: Attributes = {},
    naming: NodeNaming = {},
  ): string {
    return this.nodeOf(operator, inputs, 1, attributes, naming)[0]!;
  }

  /** Writes a node with `count` outputs. @returns their names. */
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
   * Asks a node that was written before for an output it left out.
   *
   * @param first the name of one of the node's outputs. @param position which output is asked for.
   * @returns that output's name, invented where the node did not have it.
   */
  outputOf(first: string, position: number): string {
    const index = this.#nodes.findIndex((node) => node.outputs.includes(first));
    const node = this.#nodes[index];
    if (!node) throw new RangeError(`no node of the graph being built gives '${first}'`);
    const present = node.outputs[position];
    if (present) return present;
    const name = this.uniqueName(node.operator);
    const outputs = Array.from({ length: Math.max(node.outputs.length, position + 1) }, (_, i) =>
      i === position ? name : (node.outputs[i] ?? ''),
    );
    this.#nodes[index] = { ...node, outputs };
    return name;
  }

  /** Takes a node of another graph as it is; its names are reserved already. */
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
