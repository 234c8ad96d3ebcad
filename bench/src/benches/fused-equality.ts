import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { letterManifest } from '@hotloop/example-documents/letters.ts';
import { movieManifest } from '@hotloop/example-movies/movie-model.ts';
import { compileDecisionPlan } from '@hotloop/model/decision/decision-plan.ts';
import { eventList } from '@hotloop/model/features/event-list.ts';
import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import type { Feature } from '@hotloop/model/features/feature-schema.ts';
import { fuseModel } from '@hotloop/model/fused/fuse-model.ts';
import { type FusedFeed, type FusedRow, fusedFeeds } from '@hotloop/model/fused/fused-feeds.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { record } from '@hotloop/model/testing/manifests.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import * as ort from 'onnxruntime-node';
import { pythonWith } from '../peers/python-peer.ts';

const CHUNK = 500;
const NOW_MS = Date.UTC(2026, 0, 15);
const LARGE = { maxBuffer: 64 * 1024 * 1024 };
const WORDS = [
  'my',
  'card',
  'was',
  'stolen',
  'Überweisung',
  'of',
  '12',
  'euros',
  'please',
  'help',
  '🙂',
  'top-up',
];

/**
 * Runs every example model on random requests, histories and reference rows: plan, network and decision one request
 * at a time, compared with its fused file in Node and (if Python has onnxruntime) in Python. Inputs of the file that
 * are read outside get the values that the plan read. @returns the largest difference of a score; infinite if only
 * one side rejects a row.
 */
export async function fusedEquality(rows: number, say: (line: string) => void): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-fused-'));
  const python = await pythonWith({ onnxruntime: 'onnxruntime', numpy: 'numpy' }, say);
  try {
    let worst = 0;
    for (const manifest of await exampleManifests()) {
      const found = await differenceOf(manifest, rows, join(folder, manifest.name), python);
      const outside = found.outside === 0 ? '' : `, ${found.outside} inputs are read outside the file`;
      const own =
        found.operators.length === 0 ? '' : `, operators of the runtime: ${found.operators.join(', ')}`;
      say(
        `${manifest.name}: ${rows} rows, ${found.answered} answered, Node ${found.node}, Python ${found.python ?? 'skipped'}${outside}${own}`,
      );
      worst = Math.max(worst, found.node, found.python ?? 0);
    }
    return worst;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function exampleManifests(): Promise<Manifest[]> {
  const read = (path: string) => readFile(new URL(`../../../examples/${path}`, import.meta.url), 'utf8');
  const texts = [
    await read('shoppers/model.yaml'),
    await read('storefront/model.yaml'),
    movieManifest(),
    letterManifest(['accounts', 'cards', 'transfers']),
  ];
  return texts.map((text) => parseManifest(text));
}

async function differenceOf(manifest: Manifest, rows: number, folder: string, python: string | undefined) {
  await mkdir(folder, { recursive: true });
  const outputs = manifest.task === 'multiclass' ? (manifest.decision.labels?.length ?? 1) : 1;
  const head = outputs > 1 ? 'softmax' : 'sigmoid';
  const inputs = columnsOf(manifest).width;
  const onnx = perceptron({ inputs, hidden: [16], outputs, activation: 'tanh', head, seed: 3 });
  const fused = fuseModel(manifest, onnx, { version: 1, bundleSha256: '' });
  const session = await ort.InferenceSession.create(fused.onnx);
  const expected: (number | null)[] = [];
  const inNode: (number | null)[] = [];
  const parts = await partsOf(manifest, onnx);
  for (let from = 0; from < rows; from += CHUNK) {
    const given: FusedRow[] = [];
    for (let row = from; row < Math.min(rows, from + CHUNK); row++) {
      const answer = await parts.answer(row);
      expected.push(answer.score);
      given.push(answer.row);
    }
    const feeds = fusedFeeds(fused.inputs, given);
    await leaveFeeds(feeds, folder, from / CHUNK);
    const tensors = feeds.map(({ name, type, dims, data }) => [
      name,
      new ort.Tensor(type as 'float64', data as Float64Array, dims),
    ]);
    const { score } = await session.run(Object.fromEntries(tensors));
    inNode.push(...Array.from(score?.data as Float64Array, (value) => (Number.isNaN(value) ? null : value)));
  }
  await session.release();
  await parts.release();
  let inPython: number | undefined;
  if (python !== undefined) {
    await writeFile(join(folder, 'fused.onnx'), fused.onnx);
    const script = fileURLToPath(new URL('../peers/fused_feeds.py', import.meta.url));
    const { stdout } = await promisify(execFile)(python, [script, join(folder, 'fused.onnx'), folder], LARGE);
    inPython = largest(expected, JSON.parse(stdout) as (number | null)[]);
  }
  return {
    node: largest(expected, inNode),
    python: inPython,
    answered: expected.filter((score) => score !== null).length,
    outside: fused.inputs.filter(({ why }) => why !== undefined).length,
    operators: fused.runtimeOperators,
  };
}

async function leaveFeeds(feeds: readonly FusedFeed[], folder: string, chunk: number): Promise<void> {
  const described = [];
  for (const [index, { name, type, dims, data }] of feeds.entries()) {
    if (Array.isArray(data)) {
      described.push({ name, type, dims, texts: data });
      continue;
    }
    const file = `chunk-${chunk}-${index}.bin`;
    await writeFile(join(folder, file), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    described.push({ name, type, dims, file });
  }
  await writeFile(join(folder, `chunk-${chunk}.json`), JSON.stringify(described));
}

/** Plan, network and decision of one version, one row at a time; null if they reject the row. */
async function partsOf(manifest: Manifest, onnx: Uint8Array) {
  const plan = compileFeaturePlan(manifest);
  const decision = compileDecisionPlan(manifest);
  const session = await ort.InferenceSession.create(onnx);
  const ranking = manifest.task === 'ranking';
  return {
    release: () => session.release(),
    async answer(row: number): Promise<{ score: number | null; row: FusedRow }> {
      const draw = drawer(row);
      const request = fieldsOf(manifest, 'request.', draw);
      const attributes = fieldsOf(manifest, 'item.', draw);
      const candidates = ranking ? [{ id: 'a', attributes }] : [];
      const input = { request, entities: record({ user: 'u', item: 'a' }), candidates };
      const history = plan.reads(input, NOW_MS).map(({ sinceMs }) =>
        eventList(
          Array.from({ length: Math.floor(draw() * 4) }, (_, index) => {
            const atMs = Math.max(sinceMs, NOW_MS - (index + 1) * 1000);
            return { id: String(index), atMs, fields: eventFields(manifest, draw) };
          }),
        ),
      );
      const references = plan
        .references(input)
        .map(() => (draw() < 0.2 ? undefined : { fields: eventFields(manifest, draw), atMs: NOW_MS }));
      const given: Record<string, AttributeValue | null> = {};
      for (const [prefix, fields] of [
        ['request', request],
        ['item', attributes],
      ] as const)
        for (const [name, value] of Object.entries(fields)) given[`${prefix}.${name}`] = value;
      try {
        const explained = plan.explain(input, history, NOW_MS, references);
        for (const [index, { raw, columns, source }] of explained.entries()) {
          if (/^(history|reference)\./.test(source))
            given[source] = (raw.length === 1 ? raw[0] : [...raw]) as AttributeValue;
          const { name } = manifest.features[index] as Feature;
          given[`feature.${name}`] = columns.map(
            ({ value }) => value ?? Number.NaN,
          ) as unknown as AttributeValue;
        }
        const made = plan.run(input, history, NOW_MS, references);
        const matrix = new ort.Tensor('float32', new Float32Array(made.features.slice().buffer), [
          1,
          made.columns,
        ]);
        const output = Object.values(await session.run({ input: matrix }))[0] as ort.Tensor;
        const contents = new Uint8Array((output.data as Float32Array).slice().buffer);
        const { score } = decision.decide({
          outputs: [{ name: 'y', datatype: 'FP32', shape: output.dims, contents }],
          ...{ predictionId: '', candidates, request, entities: record({}), excluded: [] },
        });
        return { score, row: given };
      } catch {
        return { score: null, row: given };
      }
    },
  };
}

/** Random numbers in [0, 1) that depend only on the row. */
function drawer(row: number): () => number {
  let state = Math.imul(row + 1, 0x9e3779b1) >>> 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) >>> 0;
    state ^= state >>> 12;
    return (state >>> 0) / 2 ** 32;
  };
}

/**
 * Values for the fields that features read: categories if one_hot lists some, otherwise numbers within the range;
 * some are absent.
 */
function fieldsOf(manifest: Manifest, prefix: string, draw: () => number): Record<string, AttributeValue> {
  const found = manifest.features
    .filter(({ from }) => from.startsWith(prefix))
    .flatMap((feature) => {
      const isAbsent = feature.missing !== undefined && draw() < 0.1;
      return isAbsent ? [] : [[feature.from.slice(prefix.length), drawnValue(feature, draw)] as const];
    });
  return record(Object.fromEntries(found));
}

function drawnValue(
  { transform: [first], range = [-10, 200], type }: Feature,
  draw: () => number,
): AttributeValue {
  if (type === 'flag') return draw() < 0.5;
  if (typeof first === 'object' && 'one_hot' in first && typeof first.one_hot[0] === 'string')
    return first.one_hot[Math.floor(draw() * (first.one_hot.length + 1))] ?? 'none of them';
  if (typeof first === 'object' && 'text' in first)
    return Array.from(
      { length: 1 + Math.floor(draw() * 8) },
      () => WORDS[Math.floor(draw() * WORDS.length)],
    ).join(' ');
  return range[0] + draw() * 1.02 * (range[1] - range[0]);
}

/** All fields that features of history and reference tables read. */
function eventFields(manifest: Manifest, draw: () => number): Record<string, AttributeValue> {
  const found = manifest.features.flatMap((feature) => {
    const field = /\((\w+)\)$|\.last\(\d+\)\.(\w+)$|^reference\.\w+\.(\w+)$/.exec(feature.from);
    const name = field?.[1] ?? field?.[2] ?? field?.[3];
    return name === undefined ? [] : [[name, drawnValue(feature, draw)] as const];
  });
  return record(Object.fromEntries(found));
}

/** Infinite if only one of the two rejects a row. */
function largest(expected: readonly (number | null)[], given: readonly (number | null)[]): number {
  if (expected.length !== given.length) return Number.POSITIVE_INFINITY;
  return expected.reduce<number>((worst, score, row) => {
    const other = given[row] ?? null;
    if (score === null || other === null) return score === other ? worst : Number.POSITIVE_INFINITY;
    return Math.max(worst, Math.abs(score - other));
  }, 0);
}
