// Operators that the runtime computes in float32 only, written out in float64 from their definitions in the ONNX
// specification: what their gradients are checked against. Slow and plain on purpose.

/** How a window moves: one entry per spatial axis; pads: begins, then ends. */
export interface ReferenceWindow {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
  readonly group: number;
}

/** Every index of a shape, in row-major order. */
function* indices(dims: readonly number[]): Generator<number[]> {
  const total = dims.reduce((a, b) => a * b, 1);
  for (let flat = 0; flat < total; flat++) {
    const index: number[] = [];
    let rest = flat;
    for (const dim of dims.toReversed()) {
      index.unshift(rest % dim);
      rest = Math.floor(rest / dim);
    }
    yield index;
  }
}

const offset = (index: readonly number[], dims: readonly number[]) =>
  index.reduce((sum, at, axis) => sum * dims[axis]! + at, 0);

const inside = (index: readonly number[], dims: readonly number[]) =>
  index.every((at, axis) => at >= 0 && at < dims[axis]!);

interface Values {
  readonly data: Float64Array;
  readonly dims: readonly number[];
}

/** Visits every pair of an element the window moves over and a place of the window. Calls with flat positions. */
function visitWindows(
  wide: readonly number[],
  narrow: readonly number[],
  kernel: readonly number[],
  { strides, dilations, pads }: Omit<ReferenceWindow, 'group'>,
  visit: (
    wideIndex: readonly number[],
    narrowIndex: readonly number[],
    kernelIndex: readonly number[],
  ) => void,
): void {
  for (const place of indices(narrow)) {
    for (const k of indices(kernel)) {
      const at = k.map((i, axis) => place[axis]! * strides[axis]! + i * dilations[axis]! - pads[axis]!);
      if (inside(at, wide)) visit(at, place, k);
    }
  }
}

/** Conv: y[n, o, p] = sum x[n, i, window] w[o, i, k] + b[o] */
export function referenceConv(
  x: Values,
  w: Values,
  b: Float64Array | undefined,
  outDims: readonly number[],
  window: ReferenceWindow,
): Float64Array {
  const y = new Float64Array(outDims.reduce((a, c) => a * c, 1));
  const [n, out] = [outDims[0]!, outDims[1]!];
  const inner = w.dims[1]!;
  for (let e = 0; e < n; e++) {
    for (let o = 0; o < out; o++) {
      const first = Math.floor(o / (out / window.group)) * inner;
      visitWindows(x.dims.slice(2), outDims.slice(2), w.dims.slice(2), window, (at, place, k) => {
        for (let i = 0; i < inner; i++) {
          const weight = w.data[offset([o, i, ...k], w.dims)]!;
          y[offset([e, o, ...place], outDims)]! += x.data[offset([e, first + i, ...at], x.dims)]! * weight;
        }
      });
      if (!b) continue;
      for (const place of indices(outDims.slice(2))) y[offset([e, o, ...place], outDims)]! += b[o]!;
    }
  }
  return y;
}

/** ConvTranspose: every x[n, i, p] adds x w[i, o, k] to its window of y, plus b[o] */
export function referenceConvTranspose(
  x: Values,
  w: Values,
  b: Float64Array | undefined,
  outDims: readonly number[],
  window: ReferenceWindow,
): Float64Array {
  const y = new Float64Array(outDims.reduce((a, c) => a * c, 1));
  const [n, channels, outer] = [x.dims[0]!, x.dims[1]!, w.dims[1]!];
  for (let e = 0; e < n; e++) {
    for (let i = 0; i < channels; i++) {
      const first = Math.floor(i / (channels / window.group)) * outer;
      visitWindows(outDims.slice(2), x.dims.slice(2), w.dims.slice(2), window, (at, place, k) => {
        for (let o = 0; o < outer; o++) {
          const weight = w.data[offset([i, o, ...k], w.dims)]!;
          y[offset([e, first + o, ...at], outDims)]! += x.data[offset([e, i, ...place], x.dims)]! * weight;
        }
      });
    }
  }
  if (b) for (const index of indices(outDims)) y[offset(index, outDims)]! += b[index[1]!]!;
  return y;
}

/** AveragePool: the mean of each window, over its own elements or, with `includePad`, over all its places. */
export function referenceAveragePool(
  x: Values,
  kernel: readonly number[],
  outDims: readonly number[],
  window: Omit<ReferenceWindow, 'group'>,
  includePad: boolean,
): Float64Array {
  const y = new Float64Array(outDims.reduce((a, c) => a * c, 1));
  const area = kernel.reduce((a, c) => a * c, 1);
  const count = new Float64Array(y.length);
  for (const [e, c] of indices(outDims.slice(0, 2))) {
    visitWindows(x.dims.slice(2), outDims.slice(2), kernel, window, (at, place) => {
      const to = offset([e!, c!, ...place], outDims);
      y[to]! += x.data[offset([e!, c!, ...at], x.dims)]!;
      count[to]!++;
    });
  }
  return y.map((sum, i) => sum / (includePad ? area : count[i]!));
}

/** erf by its power series; for |x| below 3. */
export function referenceErf(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; n < 80; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** Gelu, exact or with tanh. */
export function referenceGelu(x: number, approximate: boolean): number {
  if (!approximate) return 0.5 * x * (1 + referenceErf(x / Math.SQRT2));
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}
