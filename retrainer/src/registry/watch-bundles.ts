import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import { toHotloopError } from '@hotloop/proto/errors.ts';
import { type PromotionOptions, requestPromotion } from '../rollouts/request-rollout.ts';
import { type PushDependencies, type PushLimits, pushModel } from './push-model.ts';

/** A folder below the watched prefix: model.yaml, model.onnx or both. */
interface Landed {
  readonly folder: string;
  readonly files: ReadonlySet<string>;
  /** Sizes and times of its files. If they are unchanged since the last pass, writing has ended. */
  readonly state: string;
}

export interface WatchOptions {
  readonly pollMs: number;
  readonly limits: PushLimits;
  readonly promotion: Omit<PromotionOptions, 'pollMs'>;
}

/** The result for a folder; written into it as `hotloop.json`, for its author. */
export interface Receipt {
  readonly state: string;
  readonly model?: string;
  readonly version?: number;
  /** Set if a rollout of the version was started. */
  readonly rollout?: string;
  readonly error?: string;
}

const ACTOR = 'watched prefix';
const RECEIPT = 'hotloop.json';
const FILES = new Set(['model.yaml', 'model.onnx']);

/**
 * Makes one pass over the prefix: each folder whose files are unchanged since the previous pass is verified and registered like a
 * push, and rolled out unless its manifest says `rollout: {promote: manual}`. A bundle that is already registered is not rolled out
 * again. A refusal is written into the folder's hotloop.json, and the folder is tried again when a file changes. Returns the
 * receipts that it wrote.
 */
export async function takeLanded(
  objects: ObjectStore,
  seen: Map<string, string>,
  dependencies: PushDependencies,
  { limits, promotion }: Pick<WatchOptions, 'limits' | 'promotion'>,
): Promise<Receipt[]> {
  const receipts: Receipt[] = [];
  const landed = await readLanded(objects);
  for (const one of landed) {
    const isStill = seen.get(one.folder) === one.state;
    seen.set(one.folder, one.state);
    if (!isStill || (await isDone(objects, one))) continue;
    const receipt = await take(objects, one, dependencies, limits, promotion);
    // If the store was unavailable, it is tried again; other errors are written into the receipt.
    if (receipt === null) continue;
    await objects.put(`${one.folder}${RECEIPT}`, Buffer.from(`${JSON.stringify(receipt, null, 2)}\n`));
    receipts.push(receipt);
  }
  return receipts;
}

async function take(
  objects: ObjectStore,
  { folder, files, state }: Landed,
  dependencies: PushDependencies,
  limits: PushLimits,
  promotion: WatchOptions['promotion'],
): Promise<Receipt | null> {
  try {
    const manifestYaml = files.has('model.yaml')
      ? Buffer.from(await objects.get(`${folder}model.yaml`)).toString('utf8')
      : '';
    const onnx = files.has('model.onnx') ? await objects.get(`${folder}model.onnx`) : new Uint8Array(0);
    const header = {
      manifestYaml,
      // A model.onnx without model.yaml gets the name of its folder.
      name: manifestYaml === '' ? (folder.split('/').at(-2) ?? '') : '',
      onnxSha256: onnx.length === 0 ? '' : createHash('sha256').update(onnx).digest('hex'),
      onnxBytes: onnx.length,
      note: `from ${folder}`.slice(0, 500),
    };
    const chunks = async function* () {
      yield onnx;
    };
    const { model, version, created } = await pushModel(header, chunks(), ACTOR, dependencies, limits);
    const wantsRollout =
      created && (manifestYaml === '' || parseManifest(manifestYaml).rollout.promote === 'automatic');
    if (!wantsRollout) return { state, model, version };
    const input = { model, version, expectedGeneration: 0, actor: ACTOR, reason: `landed in ${folder}` };
    const requested = await requestPromotion(input, dependencies, promotion);
    const rollout = requested.kind === 'rollout' ? { rollout: requested.rollout.rolloutId } : {};
    return { state, model, version, ...rollout };
  } catch (error) {
    const known = toHotloopError(error);
    return known.code === 'UNAVAILABLE' ? null : { state, error: known.message };
  }
}

async function readLanded(objects: ObjectStore): Promise<Landed[]> {
  const folders = new Map<string, { files: Set<string>; state: string }>();
  for await (const { key, bytes, modifiedMs } of objects.list('')) {
    const slash = key.lastIndexOf('/');
    const [folder, file] = [key.slice(0, slash + 1), key.slice(slash + 1)];
    if (folder === '' || !FILES.has(file)) continue;
    const known = folders.get(folder) ?? { files: new Set<string>(), state: '' };
    known.files.add(file);
    known.state += `${file} ${bytes} ${modifiedMs}\n`;
    folders.set(folder, known);
  }
  return [...folders].map(([folder, { files, state }]) => ({ folder, files, state }));
}

async function isDone(objects: ObjectStore, { folder, state }: Landed): Promise<boolean> {
  try {
    const text = Buffer.from(await objects.get(`${folder}${RECEIPT}`)).toString('utf8');
    return (JSON.parse(text) as Partial<Receipt>).state === state;
  } catch (error) {
    if (error instanceof SyntaxError || toHotloopError(error).code === 'NOT_FOUND') return false;
    throw error;
  }
}

/** Repeats the pass until disposal. */
export function startWatching(
  objects: ObjectStore,
  dependencies: PushDependencies,
  options: WatchOptions,
  log: Log,
): AsyncDisposable {
  const stop = new AbortController();
  const seen = new Map<string, string>();
  let isAway = false;
  const running = (async () => {
    while (!stop.signal.aborted) {
      try {
        for (const receipt of await takeLanded(objects, seen, dependencies, options))
          if (receipt.error === undefined) log.info({ ...receipt }, 'a bundle landed and was registered');
          else log.warn({ ...receipt }, 'a bundle that landed was refused');
        isAway = false;
      } catch (error) {
        if (!isAway) log.warn({ error }, 'the watched prefix cannot be read; trying again');
        isAway = true;
      }
      await sleep(options.pollMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}
