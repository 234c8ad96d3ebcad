import { int, ints } from '@hotloop/model/onnx/graph-builder.ts';
import type { OperatorCase, RandomGraph } from './random-graph.ts';
import {
  type ReferenceWindow,
  referenceAveragePool,
  referenceConv,
  referenceConvTranspose,
} from './reference-operators.ts';

interface RandomWindow extends ReferenceWindow {
  readonly spatial: readonly number[];
  readonly kernel: readonly number[];
  /** The places of the window. */
  readonly places: readonly number[];
}

function randomWindow(g: RandomGraph, group: number, maxPad: (kernel: number) => number): RandomWindow {
  const axes = Array.from({ length: g.pick([1, 2]) }, (_, i) => i);
  const kernel = axes.map(() => 1 + g.random.integer(3));
  const dilations = axes.map(() => g.pick([1, 1, 2]));
  const strides = axes.map(() => g.pick([1, 2, 3]));
  const pads = [...axes, ...axes].map((axis) => g.random.integer(maxPad(kernel[axis]!) + 1));
  const spatial = axes.map((axis) => dilations[axis]! * (kernel[axis]! - 1) + 1 + g.random.integer(4));
  const places = axes.map((axis) => {
    const padded = spatial[axis]! + pads[axis]! + pads[axis + axes.length]!;
    return Math.floor((padded - dilations[axis]! * (kernel[axis]! - 1) - 1) / strides[axis]!) + 1;
  });
  return { kernel, dilations, strides, pads, spatial, places, group };
}

const attributesOf = ({ strides, dilations, pads, kernel, group }: RandomWindow) => ({
  strides: ints(strides),
  dilations: ints(dilations),
  pads: ints(pads),
  kernel_shape: ints(kernel),
  ...(group === 1 ? {} : { group: int(group) }),
});

const group = (g: RandomGraph) => g.pick([1, 1, 2, 3]);

/** Cases of the operators that move a window over space. */
export const windowCases = {
  Conv: (g) => {
    const window = randomWindow(g, group(g), () => 2);
    const [n, inner, outer] = [1 + g.random.integer(2), 1 + g.random.integer(2), 1 + g.random.integer(2)];
    const x = [n, window.group * inner, ...window.spatial];
    const w = [window.group * outer, inner, ...window.kernel];
    const inputs = [g.hidden(g.weight(x), x), g.weight(w)];
    if (g.chance()) inputs.push(g.weight([window.group * outer]));
    const dims = [n, window.group * outer, ...window.places];
    return {
      value: g.graph.node('Conv', inputs, attributesOf(window)),
      dims,
      reference: ([xs, ws, bs]) =>
        referenceConv({ data: xs!, dims: x }, { data: ws!, dims: w }, bs, dims, window),
    };
  },
  ConvTranspose: (g) => {
    const window = randomWindow(g, group(g), (kernel) => (kernel > 1 ? 1 : 0));
    const [n, inner, outer] = [1 + g.random.integer(2), 1 + g.random.integer(2), 1 + g.random.integer(2)];
    const x = [n, window.group * inner, ...window.places];
    const w = [window.group * inner, outer, ...window.kernel];
    const axes = window.kernel.length;
    const rest = window.spatial.map((size, axis) => {
      const covered =
        window.strides[axis]! * (window.places[axis]! - 1) +
        window.dilations[axis]! * (window.kernel[axis]! - 1) +
        1;
      return size - (covered - window.pads[axis]! - window.pads[axis + axes]!);
    });
    const inputs = [g.hidden(g.weight(x), x), g.weight(w)];
    if (g.chance()) inputs.push(g.weight([window.group * outer]));
    const dims = [n, window.group * outer, ...window.spatial];
    return {
      value: g.graph.node('ConvTranspose', inputs, { ...attributesOf(window), output_padding: ints(rest) }),
      dims,
      reference: ([xs, ws, bs]) =>
        referenceConvTranspose({ data: xs!, dims: x }, { data: ws!, dims: w }, bs, dims, window),
    };
  },
  MaxPool: (g) => {
    const window = randomWindow(g, 1, () => 0);
    const x = [g.size(), g.size(), ...window.spatial];
    const value = g.graph.node('MaxPool', [g.hidden(g.weight(x), x)], attributesOf(window));
    return { value, dims: [x[0]!, x[1]!, ...window.places] };
  },
  AveragePool: (g) => {
    const drawn = randomWindow(g, 1, (kernel) => (kernel > 1 ? 1 : 0));
    const axes = drawn.kernel.length;
    const places = drawn.spatial.map((size, axis) => {
      const padded = size + drawn.pads[axis]! + drawn.pads[axis + axes]!;
      return Math.floor((padded - drawn.kernel[axis]!) / drawn.strides[axis]!) + 1;
    });
    const window = { ...drawn, dilations: drawn.kernel.map(() => 1), places };
    const x = [g.size(), g.size(), ...window.spatial];
    const includePad = g.chance();
    const { dilations: _dilations, ...attributes } = attributesOf(window);
    const dims = [x[0]!, x[1]!, ...places];
    return {
      value: g.graph.node('AveragePool', [g.hidden(g.weight(x), x)], {
        ...attributes,
        count_include_pad: int(includePad ? 1 : 0),
      }),
      dims,
      reference: ([xs]) =>
        referenceAveragePool({ data: xs!, dims: x }, window.kernel, dims, window, includePad),
    };
  },
  GlobalAveragePool: (g) => {
    const x = [g.size(), g.size(), g.size(), g.size()];
    const area = x[2]! * x[3]!;
    const dims = [x[0]!, x[1]!, 1, 1];
    return {
      value: g.graph.node('GlobalAveragePool', [g.hidden(g.weight(x), x)]),
      dims,
      reference: ([xs]) =>
        Float64Array.from(
          { length: x[0]! * x[1]! },
          (_, i) => xs!.subarray(i * area, (i + 1) * area).reduce((a, b) => a + b, 0) / area,
        ),
    };
  },
} as const satisfies Readonly<Record<string, OperatorCase>>;
