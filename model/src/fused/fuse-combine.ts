import { type ExpressionNode, parseExpression } from '../expression.ts';
import type { CompiledFeature } from '../features/compile-feature.ts';
import { COMBINE_VARIABLES } from '../manifest/manifest-problems.ts';
import type { GraphBuilder } from '../onnx/graph-builder.ts';
import { int } from '../onnx/graph-builder.ts';
import { elementTypeCode, float64Tensor } from '../onnx/tensor.ts';
import { anyOf, isOneOf } from './fuse-checks.ts';
import type { FeatureWriter } from './fuse-features.ts';
import { ABSENT_TEXT, NotFusable, numberConstant } from './fused-column.ts';
import type { FusedInput } from './fused-input.ts';

type Kind = 'number' | 'text' | 'flag';

/**
 * A value of the expression: float64, text or bool [N, 1] or [1, 1], and the rows for which it is defined; undefined:
 * all.
 */
interface Value {
  readonly kind: Kind;
  readonly name: string;
  readonly ok: string | undefined;
  /** For literals: the value itself. Integers divide as in CEL. */
  readonly literal?: { readonly value: number | string | boolean; readonly whole: boolean };
}

const FIELDS: Readonly<Record<string, string>> = { request: 'request', item: 'item', entities: 'entity' };
const FUNCTIONS: Readonly<Record<string, string>> = {
  ...{ abs: 'Abs', sqrt: 'Sqrt', log: 'Log', exp: 'Exp', floor: 'Floor', ceil: 'Ceil' },
  ...{ min: 'Min', max: 'Max' },
};
const ARITHMETIC: Readonly<Record<string, string>> = { '+': 'Add', '-': 'Sub', '*': 'Mul', '/': 'Div' };
const COMPARISONS: Readonly<Record<string, string>> = {
  ...{ '<': 'Less', '<=': 'LessOrEqual', '>': 'Greater', '>=': 'GreaterOrEqual' },
};

/**
 * Converts `decision.combine` to operators: numbers, comparisons, conditions, and comparisons of texts with literals.
 * Fields of the request and the item that no feature reads become inputs. Throws NotFusable that names what has no
 * operators.
 *
 * @returns the final score, and bool[N, 1] of the rows for which it is defined; undefined: all.
 */
export function fuseCombine(
  graph: GraphBuilder,
  writer: FeatureWriter,
  features: readonly CompiledFeature[],
  text: string,
  score: string,
): { readonly score: string; readonly ok: string | undefined } {
  const tree = parseExpression(text, COMBINE_VARIABLES);
  const combined = new CombineWriter(graph, writer, features, score, tree).write(tree, 'number');
  if (combined.kind !== 'number') throw new NotFusable('the result of combine is not a number');
  return { score: combined.name, ok: combined.ok };
}

class CombineWriter {
  readonly #graph: GraphBuilder;
  readonly #writer: FeatureWriter;
  readonly #features: readonly CompiledFeature[];
  readonly #score: string;
  readonly #mayBeAbsent: ReadonlySet<string>;

  constructor(
    graph: GraphBuilder,
    writer: FeatureWriter,
    features: readonly CompiledFeature[],
    score: string,
    tree: ExpressionNode,
  ) {
    this.#graph = graph;
    this.#writer = writer;
    this.#features = features;
    this.#score = score;
    this.#mayBeAbsent = testedFields(tree);
  }

  /** @param wanted the type that is assumed for a field that no feature reads. */
  write(node: ExpressionNode, wanted: Kind): Value {
    const { op } = node;
    const operands = node.args as readonly ExpressionNode[];
    const field = fieldOf(node);
    if (field !== undefined) return this.#field(field, wanted);
    switch (op) {
      case 'id':
        return { kind: 'number', name: this.#score, ok: undefined };
      case 'value':
        return this.#literal(node.args);
      case '?:':
        return this.#condition(operands, wanted);
      case '&&':
      case '||':
        return this.#logic(op, operands);
      case '!_': {
        const { name, ok } = this.#flag(node.args as ExpressionNode);
        return { kind: 'flag', name: this.#graph.node('Not', [name]), ok };
      }
      case '-_': {
        const value = this.#number(node.args as ExpressionNode);
        if (value.literal !== undefined)
          return this.#literalNumber(-Number(value.literal.value), value.literal.whole);
        return { kind: 'number', name: this.#graph.node('Neg', [value.name]), ok: value.ok };
      }
      case '==':
      case '!=':
      case 'in':
        return this.#equality(op, operands);
      case 'call':
        return this.#call(node.args as readonly [string, readonly ExpressionNode[]]);
      default:
        if (ARITHMETIC[op] !== undefined) return this.#arithmetic(op, operands);
        if (COMPARISONS[op] !== undefined) {
          const [a, b] = operands.map((operand) => this.#number(operand)) as [Value, Value];
          const name = this.#graph.node(COMPARISONS[op], [a.name, b.name]);
          return { kind: 'flag', name, ok: this.#both(a.ok, b.ok) };
        }
        throw new NotFusable(`${op} has no operators`);
    }
  }

  #field(path: string, wanted: Kind): Value {
    const graph = this.#graph;
    const feature = this.#features.find(({ from }) => from === path);
    const kind = path.startsWith('entity.')
      ? 'text'
      : ((feature?.encoder.type as Kind | undefined) ?? wanted);
    const known = this.#writer.inputs.find(({ name }) => name === path);
    const input = known ?? { name: path, width: 1, ...this.#inputOf(path, kind) };
    const name = known === undefined ? this.#writer.declare(input) : path;
    if (kind === 'text') {
      const text = this.#writer.textOfRows(name);
      return { kind, name: text, ok: graph.node('Not', [isOneOf(graph, text, [ABSENT_TEXT])]) };
    }
    if (kind === 'number') return { kind, name, ok: graph.node('Not', [graph.node('IsNaN', [name])]) };
    if (kind !== 'flag') throw new NotFusable(`${path} is neither a number, a text nor a flag`);
    if (input.type === 'bool') return { kind, name, ok: undefined };
    const number = graph.node('Cast', [name], { to: int(elementTypeCode('float64')) });
    const zero = numberConstant(graph, 0);
    return {
      kind,
      name: graph.node('Greater', [number, zero]),
      ok: graph.node('GreaterOrEqual', [number, zero]),
    };
  }

  #inputOf(path: string, kind: Kind): Pick<FusedInput, 'type' | 'absent'> {
    const mayBeAbsent = this.#mayBeAbsent.has(path);
    if (kind === 'text') return { type: 'string', ...(mayBeAbsent ? { absent: 'U+001A' } : {}) };
    if (kind === 'flag') return mayBeAbsent ? { type: 'int8', absent: '-1' } : { type: 'bool' };
    return { type: 'float64', ...(mayBeAbsent ? { absent: 'NaN' } : {}) };
  }

  #literal(value: unknown): Value {
    if (typeof value === 'bigint') return this.#literalNumber(Number(value), true);
    if (typeof value === 'number') return this.#literalNumber(value, false);
    if (typeof value === 'string')
      return { kind: 'text', name: '', ok: undefined, literal: { value, whole: false } };
    if (typeof value !== 'boolean') throw new NotFusable(`${String(value)} has no operators`);
    const name = this.#graph.node('Cast', [numberConstant(this.#graph, Number(value))], {
      to: int(elementTypeCode('bool')),
    });
    return { kind: 'flag', name, ok: undefined, literal: { value, whole: false } };
  }

  /** Adds its constant only when it is first used: a list of literals becomes a constant of its own. */
  #literalNumber(value: number, whole: boolean): Value {
    const graph = this.#graph;
    let name: string | undefined;
    return {
      kind: 'number',
      get name() {
        name ??= numberConstant(graph, value);
        return name;
      },
      ok: undefined,
      literal: { value, whole },
    };
  }

  /** Where(condition, a, b) for flags, for which the runtime has no operator. */
  #choose(condition: string, a: string, b: string): string {
    const graph = this.#graph;
    const otherwise = graph.node('And', [graph.node('Not', [condition]), b]);
    return graph.node('Or', [graph.node('And', [condition, a]), otherwise]);
  }

  #condition([test, yes, no]: readonly ExpressionNode[], wanted: Kind): Value {
    const graph = this.#graph;
    const condition = this.#flag(test as ExpressionNode);
    const [a, b] = [this.write(yes as ExpressionNode, wanted), this.write(no as ExpressionNode, wanted)];
    if (a.kind !== b.kind || a.kind === 'text')
      throw new NotFusable('a condition with results of different types has no operators');
    const name =
      a.kind === 'flag'
        ? this.#choose(condition.name, a.name, b.name)
        : graph.node('Where', [condition.name, a.name, b.name]);
    if (a.ok === undefined && b.ok === undefined) return { kind: a.kind, name, ok: condition.ok };
    const always = this.#literal(true).name;
    const ok = this.#choose(condition.name, a.ok ?? always, b.ok ?? always);
    return { kind: a.kind, name, ok: this.#both(condition.ok, ok) };
  }

  /** One operand that decides is enough, even if the other is undefined. */
  #logic(op: '&&' | '||', operands: readonly ExpressionNode[]): Value {
    const graph = this.#graph;
    const [a, b] = operands.map((operand) => this.#flag(operand)) as [Value, Value];
    const name = graph.node(op === '&&' ? 'And' : 'Or', [a.name, b.name]);
    if (a.ok === undefined && b.ok === undefined) return { kind: 'flag', name, ok: undefined };
    const decides = (side: Value) => {
      const decided = op === '&&' ? graph.node('Not', [side.name]) : side.name;
      return side.ok === undefined ? decided : graph.node('And', [side.ok, decided]);
    };
    const either = graph.node('Or', [decides(a), decides(b)]);
    return { kind: 'flag', name, ok: graph.node('Or', [either, this.#both(a.ok, b.ok) as string]) };
  }

  #equality(op: '==' | '!=' | 'in', [left, right]: readonly ExpressionNode[]): Value {
    const others = op === 'in' ? (right as ExpressionNode) : undefined;
    if (others !== undefined && others.op !== 'list') throw new NotFusable('in needs a list of literals');
    const listed =
      others === undefined ? [right as ExpressionNode] : (others.args as readonly ExpressionNode[]);
    const first = listed[0];
    const kind = first?.op === 'value' ? this.#literal(first.args).kind : 'number';
    const a = this.write(left as ExpressionNode, kind);
    const values = listed.map((each) => this.write(each, a.kind));
    const graph = this.#graph;
    let name: string;
    if (values.length === 0) throw new NotFusable('in needs a list of literals');
    if (a.kind === 'text') {
      const texts = values.map(({ literal }) => {
        if (literal === undefined) throw new NotFusable('texts can be compared with literals only');
        return String(literal.value);
      });
      if (a.literal !== undefined) throw new NotFusable('texts can be compared with literals only');
      name = isOneOf(graph, a.name, texts);
    } else if (values.length === 1 || values.some(({ literal }) => literal === undefined)) {
      const same = values.map((value) => {
        if (value.kind !== a.kind) throw new NotFusable(`a ${a.kind} and a ${value.kind} are never equal`);
        return graph.node('Equal', [a.name, value.name]);
      });
      name = same.reduce((all, one) => graph.node('Or', [all, one]));
    } else {
      const list = float64Tensor(
        values.map(({ literal }) => Number(literal?.value)),
        [1, values.length],
      );
      name = anyOf(graph, graph.node('Equal', [a.name, graph.constant('list', list)]), values.length);
    }
    const ok = values.reduce((all, value) => this.#both(all, value.ok), a.ok);
    return { kind: 'flag', name: op === '!=' ? graph.node('Not', [name]) : name, ok };
  }

  #arithmetic(op: string, operands: readonly ExpressionNode[]): Value {
    const [a, b] = operands.map((operand) => this.#number(operand)) as [Value, Value];
    if (a.literal?.whole && b.literal?.whole)
      return this.#wholeArithmetic(op, Number(a.literal.value), Number(b.literal.value));
    const name = this.#graph.node(ARITHMETIC[op] as string, [a.name, b.name]);
    return { kind: 'number', name, ok: this.#both(a.ok, b.ok) };
  }

  #wholeArithmetic(op: string, a: number, b: number): Value {
    if (op === '/' && b === 0) throw new NotFusable('a whole number divided by 0 has no value');
    const value = op === '+' ? a + b : op === '-' ? a - b : op === '*' ? a * b : Math.trunc(a / b);
    return this.#literalNumber(value, true);
  }

  #call([name, given]: readonly [string, readonly ExpressionNode[]]): Value {
    if (name === 'has') {
      const field = this.write(given[0] as ExpressionNode, 'number');
      return { kind: 'flag', name: field.ok ?? this.#literal(true).name, ok: undefined };
    }
    const operator = FUNCTIONS[name];
    if (operator === undefined) throw new NotFusable(`${name}() has no operators`);
    const values = given.map((node) => this.#number(node));
    const ok = values.reduce<string | undefined>((all, value) => this.#both(all, value.ok), undefined);
    return {
      kind: 'number',
      name: this.#graph.node(
        operator,
        values.map((value) => value.name),
      ),
      ok,
    };
  }

  #number(node: ExpressionNode): Value {
    const value = this.write(node, 'number');
    if (value.kind !== 'number')
      throw new NotFusable(`a ${value.kind} where a number is needed has no operators`);
    return value;
  }

  #flag(node: ExpressionNode): Value {
    const value = this.write(node, 'flag');
    if (value.kind !== 'flag')
      throw new NotFusable(`a ${value.kind} where a condition is needed has no operators`);
    return value;
  }

  #both(a: string | undefined, b: string | undefined): string | undefined {
    return a === undefined || b === undefined ? (a ?? b) : this.#graph.node('And', [a, b]);
  }
}

/** `request.price` for `request.price` or `request["price"]`; undefined for anything else. */
function fieldOf({ op, args }: ExpressionNode): string | undefined {
  if (op !== '.' && op !== '[]') return undefined;
  const [record, key] = args as readonly [ExpressionNode, string | ExpressionNode];
  const name = typeof key === 'string' ? key : key.op === 'value' ? key.args : undefined;
  const root = record.op === 'id' ? FIELDS[String(record.args)] : undefined;
  if (root === undefined || typeof name !== 'string')
    throw new NotFusable('a field of a field has no operators');
  return `${root}.${name}`;
}

/** Fields that are tested with has() in the expression. */
function testedFields(node: ExpressionNode): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (each: unknown): void => {
    if (Array.isArray(each)) for (const one of each) visit(one);
    if (typeof each !== 'object' || each === null || !('op' in each)) return;
    const { op, args } = each as ExpressionNode;
    if (op === 'call' && Array.isArray(args) && args[0] === 'has') {
      const field = fieldOf((args[1] as readonly ExpressionNode[])[0] as ExpressionNode);
      if (field !== undefined) found.add(field);
    }
    visit(args);
  };
  visit(node);
  return found;
}
