import { readFile, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { PredictionIds } from '@hotloop/proto/prediction-id.ts';
import { type FusedPredictor, loadFusedPredictor } from './fused-predictor.ts';

/** A fused file somewhere, loaded, and loaded again when it changes there. */
export interface FusedSource {
  /** The newest one that was loaded. Looks for a change first, at most once in `everyMs`; one that cannot be loaded is left out. */
  current(nowMs: number): Promise<FusedPredictor>;
  /** Looks for a change at once. Rejects when it cannot be read or is no fused file; the one before stays. */
  reload(nowMs: number): Promise<FusedPredictor>;
}

export interface FusedSourceOptions {
  /** A file, or `s3://BUCKET/KEY`. */
  readonly address: string;
  readonly everyMs: number;
  readonly ids: PredictionIds;
  readonly onError: (error: unknown) => void;
}

interface Found {
  /** Another one means other contents. */
  readonly mark: string;
  read(): Promise<Uint8Array>;
}

/** Loads the file. Rejects when there is none. */
export async function openFusedSource(options: FusedSourceOptions, nowMs: number): Promise<FusedSource> {
  const { address, everyMs, ids, onError } = options;
  let mark = '';
  let predictor: FusedPredictor | undefined;
  let lookedMs = Number.NEGATIVE_INFINITY;
  async function reload(at: number): Promise<FusedPredictor> {
    lookedMs = at;
    const found = await find(address);
    if (predictor === undefined || found.mark !== mark) {
      predictor = await loadFusedPredictor(await found.read(), ids);
      mark = found.mark;
    }
    return predictor;
  }
  const first = await reload(nowMs);
  return {
    reload,
    async current(at) {
      if (at - lookedMs < everyMs) return predictor ?? first;
      return reload(at).catch((error: unknown) => {
        onError(error);
        return predictor ?? first;
      });
    },
  };
}

async function find(address: string): Promise<Found> {
  if (!address.startsWith('s3://')) {
    const { size, mtimeMs } = await stat(address);
    return { mark: `${size} ${mtimeMs}`, read: () => readFile(address) };
  }
  // The SDK is loaded only where it is used: it would double the time of a cold start.
  const { openObjectStore } = await import('@hotloop/platform/object-store/open-object-store.ts');
  const store = openObjectStore(dirname(address));
  const key = basename(address);
  for await (const object of store.list(key))
    if (object.key === key)
      return { mark: `${object.bytes} ${object.modifiedMs}`, read: () => store.get(key) };
  throw new Error(`${address} is not there`);
}
