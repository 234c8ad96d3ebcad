import { readFile, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { PredictionIds } from '@hotloop/proto/prediction-id.ts';
import { type FusedPredictor, loadFusedPredictor } from './fused-predictor.ts';

/** A loaded fused file, which is reloaded when it changes at its source. */
export interface FusedSource {
  /**
   * The newest loaded version. Checks for a change first, at most once in `everyMs`; a version that cannot be loaded
   * is skipped.
   */
  current(nowMs: number): Promise<FusedPredictor>;
  /** Checks for a change now. Rejects when the file cannot be read or is not a fused file; the previous one is kept. */
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
  /** Changes with the contents. */
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
    const { size, mtimeMs } = await stat(address).catch((error: unknown) => {
      throw isMissing(error) ? missing(address) : error;
    });
    return { mark: `${size} ${mtimeMs}`, read: () => readFile(address) };
  }
  // The SDK is loaded only when it is used, because it would double the time of a cold start.
  const { openObjectStore } = await import('@hotloop/platform/object-store/open-object-store.ts');
  const store = openObjectStore(dirname(address));
  const key = basename(address);
  for await (const object of store.list(key))
    if (object.key === key)
      return { mark: `${object.bytes} ${object.modifiedMs}`, read: () => store.get(key) };
  throw missing(address);
}

function missing(address: string): Error {
  return new Error(
    `there is no fused file at ${address}: make one with "hotloop model export MODEL --fused", or name another one with HOTLOOP_FUSED`,
  );
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
