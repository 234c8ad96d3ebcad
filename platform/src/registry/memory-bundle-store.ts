import { HotloopError } from '@hotloop/proto/errors.ts';
import { type Bundle, type BundleStore, bundleDigest } from './bundle-store.ts';

/** A bundle store in memory, for tests. `corrupt` flips a stored byte, as a failing disk would. */
export interface MemoryBundleStore extends BundleStore {
  corrupt(bundleSha256: string): void;
}

export function memoryBundleStore(): MemoryBundleStore {
  const bundles = new Map<string, Bundle>();
  return {
    async put(bundle) {
      const digest = bundleDigest(bundle);
      if (!bundles.has(digest)) bundles.set(digest, { ...bundle, onnx: bundle.onnx.slice() });
      return digest;
    },
    async get(bundleSha256) {
      if (!/^[0-9a-f]{64}$/.test(bundleSha256))
        throw new HotloopError('INVALID_ARGUMENT', 'not a bundle digest');
      const bundle = bundles.get(bundleSha256);
      const short = bundleSha256.slice(0, 12);
      if (!bundle) throw new HotloopError('NOT_FOUND', `bundle ${short} is not in the model store`);
      if (bundleDigest(bundle) !== bundleSha256)
        throw new HotloopError('DATA_LOSS', `bundle ${short} does not match its digest; it was not loaded`, {
          reason: 'digest_mismatch',
        });
      return { ...bundle, onnx: bundle.onnx.slice() };
    },
    corrupt(bundleSha256) {
      const bundle = bundles.get(bundleSha256);
      if (bundle) bundle.onnx[0] = (bundle.onnx[0] ?? 0) ^ 1;
    },
  };
}
