import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { int } from '@hotloop/model/onnx/graph-builder.ts';
import { decodeModel, encodeModel } from '@hotloop/model/onnx/model.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { trainingSettings } from '@hotloop/model/training/training-settings.ts';
import { initialModel } from '@hotloop/retrainer/training/initial-model.ts';
import { trainInProcess } from '@hotloop/retrainer/training/trainer-process.ts';
import { greyPng } from './png.ts';

export const SCANS_TOPIC = 'scans';
export const SCANS_FILED_TOPIC = 'scans-filed';

/** Pixels of a scan's side, and of the side that the model sees. */
const SCAN = 128;
const SEEN = 32;
/** The code that is printed on each department's form: cells of a side, and pixels of a cell. */
const CODE = 6;
const CELL = 14;
const SHIFT = 8;
const LEARNED_OF_EACH = 80;
const TIMEOUT_MS = 120_000;

/**
 * model.yaml of the router of scans: the other half of the post, sent on to the same departments as letters. It learns
 * from scans that a department returns with the right one.
 */
export function scanManifest(desks: readonly string[]): string {
  return `# Which department does a scanned form belong to? Scans come from a topic of their own, as base64 of a PNG or JPEG file.
name: scans
task: multiclass
features:
  - name: scan
    from: request.scan
    input: pixels
    transform: [{image: {width: ${SEEN}, height: ${SEEN}, channels: 1, fit: stretch, mean: [0.5], std: [0.5]}}]
decision: {labels: ${JSON.stringify(desks)}}
kafka: {requests: ${SCANS_TOPIC}, replies_by_label: "desk.{label}"}
outcome:
  from: kafka:${SCANS_FILED_TOPIC}
  join: [letter]
  label: "event.desk"
  window: 1h
training:
  optimizer: {adam: {learning_rate: 0.002}}
  epochs: 20
  batch: 16
  holdout: 0.2
  gate: {metric: accuracy, at_least: 0.0, min_examples: 30}
rollout: {mode: at_once, promote: automatic}
`;
}

/**
 * A scanned form of a department, drawn: its code in black cells, somewhat shifted, lines of writing, and the noise of a
 * scanner. A new edition of a form has another code. The same random numbers give the same scan.
 */
export function drawScan(
  desk: number,
  random: SeededRandom,
  edition = 1,
): { readonly png: Buffer; readonly pixels: Uint8Array } {
  const code = codeOf(desk, edition);
  const [left, top] = [SHIFT + shift(random), SHIFT + shift(random)];
  const ink = 20 + random.uniform() * 70;
  const paper = 200 + random.uniform() * 40;
  const writing = Array.from({ length: 3 }, () => 0.3 + random.uniform() * 0.6);
  const pixels = new Uint8Array(SCAN * SCAN);
  for (let y = 0; y < SCAN; y++)
    for (let x = 0; x < SCAN; x++) {
      const [column, row] = [Math.floor((x - left) / CELL), Math.floor((y - top) / CELL)];
      const isCode =
        column >= 0 && column < CODE && row >= 0 && row < CODE && code[row * CODE + column] === true;
      const line = Math.floor((y - 104) / 8);
      const isWriting =
        y >= 104 && (y - 104) % 8 < 3 && x < SCAN * (writing[line] ?? 0) && random.uniform() < 0.6;
      pixels[y * SCAN + x] = Math.max(
        0,
        Math.min(255, (isCode || isWriting ? ink : paper) + random.normal() * 12),
      );
    }
  return { png: greyPng(pixels, SCAN), pixels };
}

/** Version 1, learned from drawn scans: one hidden layer over the pixels that the feature plan makes of a file. */
export async function firstScanVersion(desks: readonly string[], signal: AbortSignal): Promise<Uint8Array> {
  const random = new SeededRandom(11);
  const rows = desks.length * LEARNED_OF_EACH;
  const columns = SEEN * SEEN;
  const features = new Float32Array(rows * columns);
  const labels = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    labels[row] = row % desks.length;
    features.set(seenPixels(drawScan(row % desks.length, random).pixels), row * columns);
  }
  const { modelBytes } = await trainInProcess(
    {
      modelBytes: initialModel({
        ...{ features: columns, task: 'multiclass', classes: desks.length, hidden: [48], seed: 1 },
      }),
      dataset: { rows, columns, features, labels, weights: new Float32Array(rows).fill(1) },
      settings: { ...trainingSettings(parseManifest(scanManifest(desks))), epochs: 15, batch: 256 },
    },
    { timeoutMs: TIMEOUT_MS, signal },
  );
  return withPixels(modelBytes);
}

/** The network of flat rows, behind the input that an image fills: float32[N, 1, height, width]. */
function withPixels(flatNetwork: Uint8Array): Uint8Array {
  const model = decodeModel(flatNetwork);
  const flatten = {
    ...{ name: 'flatten', operator: 'Flatten', domain: '', inputs: ['pixels'] },
    ...{ outputs: [model.graph.inputs[0]?.name ?? ''], attributes: new Map([['axis', int(1)]]) },
  };
  const pixels = { name: 'pixels', elementType: 'float32' as const, shape: ['N', 1, SEEN, SEEN] };
  return encodeModel({
    ...model,
    graph: { ...model.graph, inputs: [pixels], nodes: [flatten, ...model.graph.nodes] },
  });
}

/** As the image transform of the manifest: the mean of each square, from -1 (black) to 1 (white). */
function seenPixels(pixels: Uint8Array): Float32Array {
  const side = SCAN / SEEN;
  return Float32Array.from({ length: SEEN * SEEN }, (_, index) => {
    const [x, y] = [(index % SEEN) * side, Math.floor(index / SEEN) * side];
    let sum = 0;
    for (let cell = 0; cell < side * side; cell++)
      sum += pixels[(y + Math.floor(cell / side)) * SCAN + x + (cell % side)] as number;
    return (sum / (side * side) / 255 - 0.5) / 0.5;
  });
}

function codeOf(desk: number, edition: number): boolean[] {
  const random = new SeededRandom(1000 * edition + desk);
  return Array.from({ length: CODE * CODE }, () => random.uniform() < 0.5);
}

function shift(random: SeededRandom): number {
  return Math.round((random.uniform() - 0.5) * SHIFT);
}
