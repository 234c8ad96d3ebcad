import { HotloopError } from '@hotloop/proto/errors.ts';
import type { ObjectStore } from '../object-store/object-store.ts';
import { openObjectStore } from '../object-store/open-object-store.ts';
import { type BundleStore, bundleDigest, directoryBundleStore } from './bundle-store.ts';

const DIGEST = /^[0-9a-f]{64}$/;

/**
 * Bundles in an object store, as DIGEST/model.onnx and DIGEST/model.yaml, the layout of the directory store. The
 * remains of an interrupted put count as absent, and are garbage.
 */
export function objectBundleStore(objects: ObjectStore): BundleStore {
  return {
    async put(bundle) {
      const digest = bundleDigest(bundle);
      // The manifest is written last, and again for an existing bundle: its modification time marks the bundle as in
      // use.
      if (!(await has(objects, `${digest}/model.onnx`)))
        await objects.put(`${digest}/model.onnx`, bundle.onnx);
      await objects.put(`${digest}/model.yaml`, Buffer.from(bundle.manifestYaml));
      return digest;
    },
    async get(bundleSha256) {
      if (!DIGEST.test(bundleSha256)) throw new HotloopError('INVALID_ARGUMENT', 'not a bundle digest');
      const name = `bundle ${bundleSha256.slice(0, 12)}`;
      const read = (file: string) =>
        objects.get(`${bundleSha256}/${file}`).catch((cause: unknown) => {
          if (cause instanceof HotloopError && cause.code === 'NOT_FOUND')
            throw new HotloopError('NOT_FOUND', `${name} is not in the model store`, { cause });
          throw cause;
        });
      const [onnx, manifest] = await Promise.all([read('model.onnx'), read('model.yaml')]);
      const bundle = { onnx, manifestYaml: Buffer.from(manifest).toString('utf8') };
      if (bundleDigest(bundle) !== bundleSha256)
        throw new HotloopError('DATA_LOSS', `${name} does not match its digest; it was not loaded`, {
          reason: 'digest_mismatch',
        });
      return bundle;
    },
  };
}

/** The model store at HOTLOOP_STORE: a folder, or `s3://BUCKET[/PREFIX]`. Disposal ends its connections. */
export function openBundleStore(address: string): BundleStore & Disposable {
  if (!address.includes('://'))
    return { ...directoryBundleStore(address), [Symbol.dispose]: () => undefined };
  const objects = openObjectStore(address);
  return { ...objectBundleStore(objects), [Symbol.dispose]: () => objects[Symbol.dispose]() };
}

async function has(objects: ObjectStore, key: string): Promise<boolean> {
  for await (const object of objects.list(key)) if (object.key === key) return true;
  return false;
}
