import * as ort from 'onnxruntime-node';
import { expect } from 'vitest';
import { compileDecisionPlan } from '../decision/decision-plan.ts';
import { compileFeaturePlan } from '../features/feature-plan.ts';
import type { FusedFeed, FusedRow } from '../fused/fused-feeds.ts';
import type { Manifest } from '../manifest/manifest.ts';
import type { Tensor } from '../tensor.ts';
import { record } from './manifests.ts';

const NOW_MS = Date.UTC(2026, 0, 15);

export interface Answered {
  readonly label: string;
  readonly score: number;
  readonly accepted: boolean;
}

/** What a fused file answers. */
export async function runFused(
  onnx: Uint8Array,
  feeds: readonly FusedFeed[],
  distinctTexts = false,
): Promise<Answered[]> {
  const session = await ort.InferenceSession.create(onnx);
  try {
    const { score, label, accepted } = await session.run(tensorsOf(feeds, distinctTexts));
    return Array.from(score!.data as Float64Array, (value, row) => ({
      score: value,
      label: (label?.data as unknown as string[] | undefined)?.[row] ?? '',
      accepted: Boolean(accepted!.data[row]),
    }));
  } finally {
    await session.release();
  }
}

/** With `distinctTexts` each text once, and an input of rows beside it. */
function tensorsOf(feeds: readonly FusedFeed[], distinctTexts: boolean): Record<string, ort.Tensor> {
  const tensors: Record<string, ort.Tensor> = {};
  for (const { name, type, dims, data } of feeds) {
    if (type !== 'string' || !distinctTexts) {
      tensors[name] = new ort.Tensor(type as 'float64', data as Float64Array, dims);
      continue;
    }
    const texts = [...new Set(data as string[])];
    const at = Int32Array.from(data as string[], (text) => texts.indexOf(text));
    tensors[name] = new ort.Tensor('string', texts, [texts.length, 1]);
    tensors[`${name} (row)`] = new ort.Tensor('int32', at, [at.length]);
  }
  return tensors;
}

/** The answers of the plan, the bare network and the decision, one request at a time, as the preprocessor computes them. */
export async function runParts(
  manifest: Manifest,
  onnx: Uint8Array,
  rows: readonly FusedRow[],
): Promise<Answered[]> {
  const plan = compileFeaturePlan(manifest);
  const decide = compileDecisionPlan(manifest);
  const session = await ort.InferenceSession.create(onnx);
  const answers: Answered[] = [];
  for (const row of rows) {
    const request = record(
      Object.fromEntries(
        Object.entries(row).flatMap(([name, value]) =>
          value === undefined || value === null ? [] : [[name.slice('request.'.length), value as number]],
        ),
      ),
    );
    try {
      const { features, columns, tensors } = plan.run(
        { request, entities: record({}), candidates: [] },
        [],
        NOW_MS,
      );
      const feeds =
        tensors.length === 0
          ? {
              [session.inputNames[0]!]: new ort.Tensor('float32', new Float32Array(features.slice().buffer), [
                1,
                columns,
              ]),
            }
          : Object.fromEntries(tensors.map((tensor) => [tensor.name, runtimeTensor(tensor)]));
      const output = Object.values(await session.run(feeds))[0]!;
      const bytes = new Uint8Array((output.data as Float32Array).buffer.slice(0));
      const decision = decide.decide({
        predictionId: '',
        outputs: [{ name: 'y', datatype: 'FP32', shape: output.dims, contents: bytes }],
        candidates: [],
        request,
        entities: record({}),
        excluded: [],
      });
      answers.push({ label: decision.label, score: decision.score, accepted: true });
    } catch {
      answers.push({ label: '', score: Number.NaN, accepted: false });
    }
  }
  await session.release();
  return answers;
}

/** Scores to 1e-6, labels and refusals exactly. */
export function expectEqual(fused: readonly Answered[], parts: readonly Answered[]): void {
  expect(fused.map(({ accepted, label }) => ({ accepted, label }))).toEqual(
    parts.map(({ accepted, label }) => ({ accepted, label })),
  );
  for (const [row, { score }] of parts.entries())
    if (!Number.isNaN(score))
      expect(Math.abs(fused[row]!.score - score), `row ${row}`).toBeLessThanOrEqual(1e-6);
}

function runtimeTensor({ datatype, shape, contents }: Tensor): ort.Tensor {
  const bytes = contents.slice().buffer;
  switch (datatype) {
    case 'INT64':
      return new ort.Tensor('int64', new BigInt64Array(bytes), shape);
    case 'FP32':
      return new ort.Tensor('float32', new Float32Array(bytes), shape);
    case 'BYTES':
      return new ort.Tensor('string', [Buffer.from(bytes, 4).toString()], shape);
    default:
      throw new RangeError(`${datatype} is not used in these tests`);
  }
}
