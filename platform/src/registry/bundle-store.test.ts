import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { directoryObjectStore } from '../object-store/directory-object-store.ts';
import { type BundleStore, bundleDigest, directoryBundleStore } from './bundle-store.ts';
import { memoryBundleStore } from './memory-bundle-store.ts';
import { objectBundleStore } from './object-bundle-store.ts';

interface Subject extends AsyncDisposable {
  readonly store: BundleStore;
  /** Flips a bit of the stored model. */
  corrupt(digest: string): Promise<void>;
}

async function directorySubject(): Promise<Subject & { readonly root: string }> {
  const root = await mkdtemp(join(tmpdir(), 'hotloop-store-'));
  return {
    root,
    store: directoryBundleStore(root),
    async corrupt(digest) {
      const path = join(root, digest, 'model.onnx');
      const bytes = await readFile(path);
      bytes[0] = (bytes[0] ?? 0) ^ 1;
      await writeFile(path, bytes);
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

async function objectSubject(): Promise<Subject> {
  const directory = await directorySubject();
  return { ...directory, store: objectBundleStore(directoryObjectStore(directory.root)) };
}

async function memorySubject(): Promise<Subject> {
  const store = memoryBundleStore();
  return {
    store,
    corrupt: async (digest) => store.corrupt(digest),
    [Symbol.asyncDispose]: async () => {},
  };
}

const bundle = { manifestYaml: 'name: shoes\n', onnx: new Uint8Array([8, 1, 2, 3]) };

describe.each([
  ['a directory', directorySubject],
  ['an object store', objectSubject],
  ['memory', memorySubject],
])('a bundle store in %s', (_, open) => {
  it('returns what was stored, under the digest of both files', async () => {
    await using subject = await open();
    const digest = await subject.store.put(bundle);
    expect(digest).toBe(bundleDigest(bundle));
    const found = await subject.store.get(digest);
    expect(found.manifestYaml).toBe(bundle.manifestYaml);
    expect(Buffer.from(found.onnx).equals(Buffer.from(bundle.onnx))).toBe(true);
  });

  it('stores the same bundle once, also with concurrent callers', async () => {
    await using subject = await open();
    const digests = await Promise.all(Array.from({ length: 8 }, () => subject.store.put(bundle)));
    expect(new Set(digests).size).toBe(1);
    expect((await subject.store.get(digests[0] ?? '')).manifestYaml).toBe(bundle.manifestYaml);
  });

  it('distinguishes bundles that differ in either file', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.uint8Array(), fc.string(), fc.uint8Array(), async (a, x, b, y) => {
        const same = a === b && Buffer.from(x).equals(Buffer.from(y));
        const first = bundleDigest({ manifestYaml: a, onnx: x });
        const second = bundleDigest({ manifestYaml: b, onnx: y });
        expect(first === second).toBe(same);
      }),
    );
  });

  it('does not return a bundle of which one bit has changed', async () => {
    await using subject = await open();
    const digest = await subject.store.put(bundle);
    await subject.corrupt(digest);
    await expect(subject.store.get(digest)).rejects.toMatchObject({
      code: 'DATA_LOSS',
      reason: 'digest_mismatch',
    });
  });

  it('throws NOT_FOUND for an unknown digest, INVALID_ARGUMENT for a malformed one', async () => {
    await using subject = await open();
    await expect(subject.store.get('0'.repeat(64))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    for (const evil of ['', '../../etc', `${'0'.repeat(63)}/`, '0'.repeat(65), `/${'0'.repeat(64)}`])
      await expect(subject.store.get(evil)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('a bundle store in a directory', () => {
  it('leaves no partial files next to the bundles', async () => {
    await using subject = await directorySubject();
    const digests = await Promise.all([subject.store.put(bundle), subject.store.put(bundle)]);
    expect(await readdir(subject.root)).toEqual([digests[0]]);
  });

  it('throws UNAVAILABLE, naming no path, for an existing bundle that cannot be read', async () => {
    await using subject = await directorySubject();
    const digest = 'a'.repeat(64);
    await mkdir(join(subject.root, digest, 'model.onnx'), { recursive: true });
    await writeFile(join(subject.root, digest, 'model.yaml'), 'name: m');
    await expect(subject.store.get(digest)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.not.stringContaining(subject.root),
    });
  });

  it('reports that the store cannot be written when its folder is read-only, naming no path', async () => {
    await using subject = await directorySubject();
    const file = join(subject.root, 'a-file');
    await writeFile(file, '');
    await expect(directoryBundleStore(file).put(bundle)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: expect.not.stringContaining(subject.root),
    });
  });
});
