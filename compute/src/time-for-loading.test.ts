import { silentLog } from '@hotloop/platform/log.ts';
import type { InferItem } from '@hotloop/platform/ports/inference.ts';
import { memoryRegistry } from '@hotloop/platform/registry/memory-registry.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { describe, expect, it } from 'vitest';
import { Infer, type InferAdapters, type Question } from './infer.ts';
import { OipInference } from './oip/oip-inference.ts';
import type { LoadedModel } from './runner/load-options.ts';
import type { Serving } from './slots/slot.ts';

const TIMEOUT_MS = 1_000;
const LOAD_MS = 300;
const NOW = Date.UTC(2026, 5, 1);
const tensor = (name: string, width: number) =>
  ({ name, datatype: 'FP32', shape: [-1, width], dimensionNames: [null, null] }) as const;
const MODEL: LoadedModel = { inputs: [tensor('input', 2)], outputs: [tensor('score', 1)] };
const IS_NEVER_OVER = () => false;

/** A clock that advances only while a version is loaded. */
function loading<Loaded extends object>(serving: Loaded, isCold: boolean) {
  let now = 0;
  const clock = { now: () => NOW, monotonic: () => now };
  const load = async () => {
    await null;
    now += LOAD_MS;
    return serving as Serving;
  };
  return { clock, acquire: () => (isCold ? load() : (serving as Serving)) };
}

describe.each([
  ['a version that must be loaded first', true, TIMEOUT_MS - LOAD_MS],
  ['a version that is ready', false, TIMEOUT_MS],
])('the time left for a run of %s', (_, isCold, leftMs) => {
  it('is the timeout of the caller minus the time to load, for tensors', async () => {
    const { clock, acquire } = loading({ model: MODEL }, isCold);
    const registry = memoryRegistry();
    const record = { model: 'm', version: 1 };
    const versions = new Map([[1, record]]);
    registry.set({
      name: 'm',
      liveVersion: 1,
      previousVersion: null,
      targetVersion: null,
      generation: 1,
      versions,
    } as never);
    registry.publish();
    const asked: Question[] = [];
    const infer = {
      async run(_: Serving, question: Question) {
        asked.push(question);
        return { outputs: [], queueUs: 0, runUs: 0 };
      },
    };
    const oip = new OipInference({
      registry,
      infer: infer as unknown as Infer,
      ids: randomPredictionIds(),
      clock,
      acquire,
    });
    const contents = new Uint8Array(8);
    const inputs = [{ name: 'input', datatype: 'FP32' as const, shape: [1, 2], contents }];
    const request = {
      model: 'm',
      version: '',
      id: '',
      inputs,
      outputs: [],
      priority: 0,
      timeoutMs: TIMEOUT_MS,
    };
    await oip.answer(request, '', IS_NEVER_OVER);
    expect(asked.map((question) => question.timeoutMs)).toEqual([leftMs]);
  });

  it('is the timeout of the caller minus the time to load, for feature rows', async () => {
    const deadlines: number[] = [];
    const batcher = {
      submit: (work: { submittedAt: number; deadlineAt: number }) =>
        deadlines.push(work.deadlineAt - work.submittedAt),
    };
    const { clock, acquire } = loading({ model: MODEL, batcher }, isCold);
    const adapters = {
      fleet: { acquire, use: () => undefined },
      journal: { full: () => false },
      quarantine: { check: () => undefined },
      clock,
      log: silentLog(),
    };
    const item: InferItem = {
      predictionId: randomPredictionIds().next(NOW),
      model: 'm',
      version: 1,
      variant: 'live',
      caller: '',
      entities: {},
      candidates: [],
      degraded: [],
      rows: 1,
      columns: 2,
      features: new Uint8Array(8),
      statuses: new Uint8Array(2),
      sampled: false,
      priority: 1,
      timeoutMs: TIMEOUT_MS,
    };
    void new Infer(adapters as unknown as InferAdapters, 'node').rows(item, IS_NEVER_OVER);
    await expect.poll(() => deadlines).toEqual([leftMs]);
  });
});
