import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { HotloopError } from '@hotloop/proto/errors.ts';

/** Both files of a model. Immutable: the digest covers both. */
export interface Bundle {
  readonly manifestYaml: string;
  readonly onnx: Uint8Array;
}

/**
 * Content-addressed bundles. `get` verifies every byte against the digest before it returns, and throws DATA_LOSS on
 * a mismatch.
 */
export interface BundleStore {
  /** Stores a bundle unless it exists; returns its digest. Atomic. */
  put(bundle: Bundle): Promise<string>;
  get(bundleSha256: string): Promise<Bundle>;
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Digest of a bundle: SHA-256 over one line per file, each with its name and its own SHA-256. */
export function bundleDigest(bundle: Bundle): string {
  return bundleDigestOf(bundle.manifestYaml, sha256(bundle.onnx));
}

/** The same, when the digest of the ONNX file is already known. */
export function bundleDigestOf(manifestYaml: string, onnxSha256: string): string {
  return sha256(`model.onnx ${onnxSha256}\nmodel.yaml ${sha256(manifestYaml)}\n`);
}

const DIGEST = /^[0-9a-f]{64}$/;

/** A bundle store in a folder that all services of one machine, or of one shared volume, can read. */
export function directoryBundleStore(root: string): BundleStore {
  return {
    async put(bundle) {
      const digest = bundleDigest(bundle);
      const folder = join(root, digest);
      if (await exists(join(folder, 'model.onnx'))) {
        // A new modification time marks it as in use: garbage collection skips recent files.
        const now = new Date();
        await utimes(join(folder, 'model.yaml'), now, now).catch(() => undefined);
        return digest;
      }
      const staging = join(root, `.staging-${randomUUID()}`);
      try {
        await mkdir(staging, { recursive: true });
        await writeDurably(join(staging, 'model.onnx'), bundle.onnx);
        await writeDurably(join(staging, 'model.yaml'), Buffer.from(bundle.manifestYaml));
        await rename(staging, folder).catch(async (error: unknown) => {
          // Another process stored the same bytes first; either copy will do.
          if (!(await exists(join(folder, 'model.onnx')))) throw error;
        });
        return digest;
      } catch (cause) {
        throw new HotloopError('RESOURCE_EXHAUSTED', 'the model store cannot be written', { cause });
      } finally {
        // A failed cleanup must not hide why the bundle was not stored.
        await rm(staging, { recursive: true, force: true }).catch(() => undefined);
      }
    },
    async get(bundleSha256) {
      if (!DIGEST.test(bundleSha256)) throw new HotloopError('INVALID_ARGUMENT', 'not a bundle digest');
      const folder = join(root, bundleSha256);
      const [onnx, manifest] = await Promise.all([
        readFile(join(folder, 'model.onnx')),
        readFile(join(folder, 'model.yaml')),
      ]).catch((cause: unknown) => {
        throw unread(bundleSha256, cause);
      });
      const bundle: Bundle = { manifestYaml: manifest.toString('utf8'), onnx };
      if (bundleDigest(bundle) !== bundleSha256)
        throw new HotloopError(
          'DATA_LOSS',
          `bundle ${bundleSha256.slice(0, 12)} does not match its digest; it was not loaded`,
          {
            reason: 'digest_mismatch',
          },
        );
      return bundle;
    },
  };
}

/** A missing file is final; other errors, such as an unmounted volume, may be temporary. */
function unread(bundleSha256: string, cause: unknown): HotloopError {
  const name = `bundle ${bundleSha256.slice(0, 12)}`;
  const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
  return isMissing
    ? new HotloopError('NOT_FOUND', `${name} is not in the model store`, { cause })
    : new HotloopError('UNAVAILABLE', `${name} cannot be read from the model store; try again`, { cause });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o644);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}
