import { intAttribute, intsAttribute } from '../node-attributes.ts';
import { axesOf, integersOf, isConstant, type RowRule, rest, without } from './row-rule.ts';
import { MIXED, normalAxis, type Rows, type RowValue, rows, rowsOfRank, type Size } from './row-value.ts';

export const flatten: RowRule = ({ node, inputs: [first] }) => {
  if (first?.kind !== 'rows' || first.axis !== 0) return MIXED;
  const axis = normalAxis(intAttribute(node, 'axis', 1), first.dims.length);
  return axis === 1 ? rows(0, [null, product(first.dims.slice(1))]) : MIXED;
};

function product(dims: readonly (number | null)[]): number | null {
  let total = 1;
  for (const dim of dims) {
    if (dim === null) return null;
    total *= dim;
  }
  return total;
}

export const reshape: RowRule = ({ node, inputs: [first, shape] }) => {
  if (first?.kind !== 'rows' || first.axis !== 0 || intAttribute(node, 'allowzero', 0) !== 0) return MIXED;
  const elements: readonly Size[] | undefined =
    shape?.kind === 'sizes' ? shape.elements : shape?.kind === 'constant' ? shape.integers : undefined;
  const [leading, ...others] = elements ?? [];
  if (leading === undefined || others.includes('rows')) return MIXED;
  const dims = others.map((size, at) =>
    size === 0 ? (first.dims[at + 1] ?? null) : size === -1 ? null : size,
  );
  if (dims.some((dim) => dim === 'rows')) return MIXED;
  const known = dims as (number | null)[];
  // 0 copies the number of rows. -1 is that number only if a row keeps its number of elements.
  if (leading === 0 || leading === 'rows') return rows(0, [null, ...known]);
  const before = product(first.dims.slice(1));
  return leading === -1 && before !== null && before === product(known) ? rows(0, [null, ...known]) : MIXED;
};

export const transpose: RowRule = ({ node, inputs: [first] }) => {
  if (first?.kind !== 'rows') return MIXED;
  const order = intsAttribute(node, 'perm') ?? first.dims.map((_, at) => first.dims.length - 1 - at);
  return rows(
    order.indexOf(first.axis),
    order.map((from) => first.dims[from] ?? null),
  );
};

export const concat: RowRule = ({ node, inputs }) => {
  const axisOf = (rank: number) => normalAxis(intAttribute(node, 'axis', 0), rank);
  const sizes = inputs.map(sizesOf);
  if (inputs.some((value) => value?.kind === 'sizes') && sizes.every((one) => one !== undefined))
    return { kind: 'sizes', elements: sizes.flat() as Size[], isScalar: false };
  const [first] = inputs;
  if (first?.kind !== 'rows') return MIXED;
  const axis = axisOf(first.dims.length);
  const isSame = (value: RowValue | undefined) =>
    value?.kind === 'rows' && value.axis === first.axis && value.dims.length === first.dims.length;
  if (axis === first.axis || !inputs.every(isSame)) return MIXED;
  const parts = inputs.map((value) => (value as Rows).dims[axis] ?? null);
  const total = parts.includes(null) ? null : (parts as number[]).reduce((sum, one) => sum + one, 0);
  return rows(
    first.axis,
    first.dims.map((dim, at) => (at === axis ? total : dim)),
  );
};

/** A value as a vector of dimensions, if it is one. */
function sizesOf(value: RowValue | undefined): readonly Size[] | undefined {
  if (value?.kind === 'sizes') return value.elements;
  return integersOf(value);
}

export const split: RowRule = (input) => {
  const [first] = input.inputs;
  if (first?.kind !== 'rows' || !rest(input.inputs).every(isConstant)) return MIXED;
  const axis = normalAxis(intAttribute(input.node, 'axis', 0), first.dims.length);
  return axis === first.axis
    ? MIXED
    : rows(
        first.axis,
        first.dims.map((dim, at) => (at === axis ? null : dim)),
      );
};

export const slice: RowRule = (input) => {
  const [first, starts, ends] = input.inputs;
  if (first?.kind === 'sizes') {
    const [from] = integersOf(starts) ?? intsAttribute(input.node, 'starts') ?? [];
    const [to] = integersOf(ends) ?? intsAttribute(input.node, 'ends') ?? [];
    const step = integersOf(input.inputs[4])?.[0] ?? 1;
    if (from === undefined || to === undefined || step !== 1) return MIXED;
    return { kind: 'sizes', elements: first.elements.slice(from, to), isScalar: false };
  }
  if (first?.kind !== 'rows' || !rest(input.inputs).every(isConstant)) return MIXED;
  const axes = axesOf(input, 3);
  const count = (integersOf(starts) ?? intsAttribute(input.node, 'starts'))?.length;
  const touched = axes ?? (count === undefined ? undefined : Array.from({ length: count }, (_, at) => at));
  if (touched === undefined) return MIXED;
  const normal = touched.map((axis) => normalAxis(axis, first.dims.length));
  if (normal.includes(first.axis)) return MIXED;
  return rows(
    first.axis,
    first.dims.map((dim, at) => (normal.includes(at) ? null : dim)),
  );
};

export const gather: RowRule = ({ node, inputs: [data, indices] }) => {
  if (data?.kind === 'sizes') {
    const picked = integersOf(indices);
    if (picked === undefined || indices?.kind !== 'constant') return MIXED;
    const elements = picked.map((at) => data.elements[normalAxis(at, data.elements.length)] ?? null);
    return { kind: 'sizes', elements, isScalar: indices.dims?.length === 0 };
  }
  if (data?.kind === 'constant' && indices?.kind === 'rows' && data.dims !== null) {
    const axis = normalAxis(intAttribute(node, 'axis', 0), data.dims.length);
    return rows(axis + indices.axis, [
      ...data.dims.slice(0, axis),
      ...indices.dims,
      ...data.dims.slice(axis + 1),
    ]);
  }
  if (data?.kind === 'rows' && indices?.kind === 'constant' && indices.dims !== null) {
    const axis = normalAxis(intAttribute(node, 'axis', 0), data.dims.length);
    if (axis === data.axis) return MIXED;
    const moved = axis < data.axis ? indices.dims.length - 1 : 0;
    return rows(data.axis + moved, [
      ...data.dims.slice(0, axis),
      ...indices.dims,
      ...data.dims.slice(axis + 1),
    ]);
  }
  return MIXED;
};

export const gatherElements: RowRule = ({ node, inputs: [data, indices] }) => {
  if (data?.kind !== 'rows' || indices?.kind !== 'rows' || data.axis !== indices.axis) return MIXED;
  return normalAxis(intAttribute(node, 'axis', 0), data.dims.length) === data.axis ? MIXED : indices;
};

export const unsqueeze: RowRule = (input) => {
  const [first] = input.inputs;
  const axes = axesOf(input, 1);
  if (axes === undefined) return MIXED;
  if (first?.kind === 'sizes' && first.isScalar) return { ...first, isScalar: false };
  if (first?.kind !== 'rows') return MIXED;
  const rank = first.dims.length + axes.length;
  const added = new Set(axes.map((axis) => normalAxis(axis, rank)));
  const dims: (number | null)[] = [];
  let axis = -1;
  for (let at = 0, from = 0; at < rank; at++) {
    if (added.has(at)) dims.push(1);
    else {
      if (from === first.axis) axis = at;
      dims.push(first.dims[from++] ?? null);
    }
  }
  return rows(axis, dims);
};

export const squeeze: RowRule = (input) => {
  const [first] = input.inputs;
  const axes = axesOf(input, 1);
  if (first?.kind === 'sizes' && first.elements.length === 1) return { ...first, isScalar: true };
  // Without axes, a batch of one row would lose its row dimension.
  return first?.kind === 'rows' && axes !== undefined ? without(first, axes, false) : MIXED;
};

export const expand: RowRule = ({ inputs: [first, shape] }) => {
  const sizes = sizesOf(shape);
  if (sizes === undefined) return MIXED;
  const at = sizes.indexOf('rows');
  if (first?.kind === 'constant') {
    const shift = sizes.length - (first.dims?.length ?? Number.POSITIVE_INFINITY);
    const own = first.dims?.[at - shift];
    const isSpread = at >= 0 && shift >= 0 && sizes.lastIndexOf('rows') === at && (at < shift || own === 1);
    return isSpread ? rowsOfRank(at, sizes.length) : MIXED;
  }
  if (first?.kind !== 'rows' || sizes.length > first.dims.length) return MIXED;
  const size = sizes[first.axis - (first.dims.length - sizes.length)];
  const others = sizes.filter((one) => one === 'rows').length - (size === 'rows' ? 1 : 0);
  return others === 0 && (size === 'rows' || size === 1 || size === undefined)
    ? rowsOfRank(first.axis, first.dims.length)
    : MIXED;
};

export const constantOfShape: RowRule = ({ inputs: [shape] }) => {
  const sizes = sizesOf(shape) ?? [];
  const at = sizes.indexOf('rows');
  return at >= 0 && sizes.lastIndexOf('rows') === at ? rowsOfRank(at, sizes.length) : MIXED;
};

export const shape: RowRule = ({ node, inputs: [first] }) => {
  if (first?.kind !== 'rows' || node.attributes.has('start') || node.attributes.has('end')) return MIXED;
  const elements = first.dims.map((dim, at): Size => (at === first.axis ? 'rows' : dim));
  return { kind: 'sizes', elements, isScalar: false };
};

export const tile: RowRule = ({ inputs: [first, repeats] }) => {
  const times = integersOf(repeats);
  return first?.kind === 'rows' && times?.[first.axis] === 1
    ? rowsOfRank(first.axis, first.dims.length)
    : MIXED;
};

export const pad: RowRule = (input) => {
  const [first, pads] = input.inputs;
  const amounts = intsAttribute(input.node, 'pads') ?? integersOf(pads);
  if (first?.kind !== 'rows' || amounts?.length !== first.dims.length * 2) return MIXED;
  const isKept = amounts[first.axis] === 0 && amounts[first.axis + first.dims.length] === 0;
  return isKept ? rowsOfRank(first.axis, first.dims.length) : MIXED;
};
