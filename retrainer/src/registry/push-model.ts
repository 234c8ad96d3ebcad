import { createHash } from 'node:crypto';
import { checkManifestFits } from '@hotloop/model/manifest/check-model.ts';
import { completeManifest, type SharedFeatures } from '@hotloop/model/manifest/complete-manifest.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { misleadingFeatures } from '@hotloop/model/manifest/misleading-features.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { replaceGolden } from '@hotloop/model/manifest/replace-golden.ts';
import { NAME_PATTERN } from '@hotloop/model/manifest/schema-parts.ts';
import { dropZipMap } from '@hotloop/model/onnx/drop-zip-map.ts';
import { inspectModel } from '@hotloop/model/onnx/inspect.ts';
import { ownDomains, remoteInterfaceFile } from '@hotloop/model/onnx/remote-interface.ts';
import { labelRule } from '@hotloop/model/outcome/label-rule.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import { openRemoteModel } from '@hotloop/platform/grpc/remote-model.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { type BundleStore, sha256 } from '@hotloop/platform/registry/bundle-store.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { checkPipeline } from './check-pipeline.ts';
import { checkTrainable } from './check-trainable.ts';
import { currentSharedFeatures } from './shared-features.ts';
import { type RegisteredVersion, registerVersion } from './version-store.ts';
import { type KeptWeights, type Weights, weightsWithoutFile } from './weights-without-file.ts';

const MAX_NOTE = 2_000;
const REMOTE_TIMEOUT_MS = 10_000;

export interface PushHeader {
  /** model.yaml as written; empty for a bare tensor model. */
  readonly manifestYaml: string;
  readonly name: string;
  readonly onnxSha256: string;
  readonly onnxBytes: number;
  readonly note: string;
  /** Without a file: start untrained even if the model has been trained. */
  readonly untrained?: boolean;
}

export interface PushLimits {
  readonly maxOnnxBytes: number;
  /** Throws if the caller may not push this model. */
  readonly permit?: (manifest: Manifest) => Promise<void>;
}

export interface PushDependencies {
  readonly pool: Pool;
  readonly bundles: BundleStore;
  readonly clock: Clock;
}

export interface PushedModel extends RegisteredVersion {
  readonly model: string;
  /** The version whose weights were kept, if no file came and they fit. */
  readonly weightsFrom?: number;
  /** Columns that these weights do not know, such as `month = Apr`; they have weight 0 until a retraining. */
  readonly newColumns?: readonly string[];
}

/**
 * Validates an upload and registers it as the model's next version. The file is neither stored nor loaded before its
 * bytes match the declared digest, the ONNX file is valid and the manifest fits it. Throws INVALID_ARGUMENT
 * naming the field and the reason, RESOURCE_EXHAUSTED for more bytes than allowed.
 */
export async function pushModel(
  header: PushHeader,
  chunks: AsyncIterable<Uint8Array>,
  actor: string,
  { pool, bundles, clock }: PushDependencies,
  limits: PushLimits,
): Promise<PushedModel> {
  const { manifest, manifestYaml } = manifestOf(header, await currentSharedFeatures(pool));
  await limits.permit?.(manifest);
  await checkPipeline(pool, bundles, manifest);
  if (header.note.length > MAX_NOTE)
    throw new HotloopError('INVALID_ARGUMENT', `note is longer than ${MAX_NOTE} characters`);
  const { onnx, from }: Weights = manifest.runtime.remote
    ? { onnx: await remoteInterface(header, manifest), from: null }
    : comesWithoutFile(header, manifest)
      ? await weightsWithoutFile(manifest, header.untrained ?? false, { pool, bundles })
      : { onnx: withoutZipMap(await receive(header, chunks, limits)), from: null };
  const description = inspectModel(onnx, {
    maxBytes: limits.maxOnnxBytes,
    domains: ownDomains(manifest),
  });
  checkManifestFits(manifest, description);
  refuseMisleading(manifest, description.operators);
  if (manifest.task !== 'tensor') labelRule(manifest);
  checkTrainable(manifest, onnx, description);
  const bundleSha256 = await bundles.put({ manifestYaml: withGoldenOf(from, manifest, manifestYaml), onnx });
  const registered = await registerVersion(pool, {
    model: manifest.name,
    bundleSha256,
    onnxSha256: sha256(onnx),
    manifest,
    note: header.note || (from === null ? '' : noteOf(from)),
    trained: null,
    actor,
    at: clock.now(),
  });
  return {
    ...registered,
    model: manifest.name,
    ...(from === null ? {} : { weightsFrom: from.version }),
    ...(from === null || from.newColumns.length === 0 ? {} : { newColumns: from.newColumns }),
  };
}

function noteOf({ version, newColumns }: KeptWeights): string {
  const added = newColumns.length === 0 ? '' : `, with weight 0 for ${newColumns.join(', ')}`;
  return `edited model.yaml, weights of version ${version}${added}`.slice(0, MAX_NOTE);
}

/** Golden outputs belong to the weights: a pushed model.yaml without any takes over those of the weights that it keeps. */
function withGoldenOf(from: Weights['from'], manifest: Manifest, manifestYaml: string): string {
  const examples = from?.golden ?? [];
  return manifest.golden || examples.length === 0 ? manifestYaml : replaceGolden(manifestYaml, examples);
}

function comesWithoutFile(header: PushHeader, manifest: Manifest): boolean {
  return manifest.task !== 'tensor' && header.onnxBytes === 0 && header.onnxSha256 === '';
}

/** Asks the server that runs the model for its inputs and outputs. Throws the server's error, or UNAVAILABLE if it cannot be reached. */
async function remoteInterface(header: PushHeader, { name, runtime }: Manifest): Promise<Uint8Array> {
  if (header.onnxBytes > 0)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      'runtime.remote: another server runs this model, so it has no model.onnx; remove one of the two',
      { reason: 'invalid_manifest' },
    );
  const { remote: url = '', model = name, model_version: version = '' } = runtime;
  using remote = openRemoteModel({ url, model, version });
  const { inputs, outputs } = await remote.metadata(REMOTE_TIMEOUT_MS);
  return remoteInterfaceFile(inputs, outputs);
}

/** Replaces outputs that are sequences of maps by the matrix that they were made from, because a decision reads a matrix. */
function withoutZipMap(onnx: Uint8Array): Uint8Array {
  return dropZipMap(onnx)?.onnx ?? onnx;
}

function refuseMisleading(manifest: Manifest, operators: Readonly<Record<string, number>>): void {
  const problems = misleadingFeatures(manifest, operators);
  if (problems.length > 0)
    throw new HotloopError('INVALID_ARGUMENT', `model.yaml: ${problems.join('; ')}`, {
      reason: 'misleading_feature',
    });
}

function manifestOf(
  header: PushHeader,
  shared: SharedFeatures | undefined,
): { manifest: Manifest; manifestYaml: string } {
  if (header.manifestYaml.trim() !== '') {
    const manifestYaml = completeManifest(header.manifestYaml, shared);
    const manifest = parseManifest(manifestYaml);
    if (header.name !== '' && header.name !== manifest.name)
      throw new HotloopError(
        'INVALID_ARGUMENT',
        `name: ${JSON.stringify(header.name.slice(0, 80))} was given, but model.yaml says ${manifest.name}`,
        { reason: 'invalid_manifest' },
      );
    return { manifest, manifestYaml };
  }
  if (!NAME_PATTERN.test(header.name))
    throw new HotloopError(
      'INVALID_ARGUMENT',
      'name: a model without model.yaml needs a name of lower-case letters, digits, - or _, at most 63',
      { reason: 'invalid_manifest' },
    );
  const manifestYaml = `name: ${JSON.stringify(header.name)}\ntask: tensor\n`;
  return { manifest: parseManifest(manifestYaml), manifestYaml };
}

async function receive(
  header: PushHeader,
  chunks: AsyncIterable<Uint8Array>,
  { maxOnnxBytes }: PushLimits,
): Promise<Uint8Array> {
  if (!/^[0-9a-f]{64}$/.test(header.onnxSha256))
    throw new HotloopError('INVALID_ARGUMENT', 'onnx_sha256: must be 64 lower-case hexadecimal digits');
  if (header.onnxBytes === 0) throw new HotloopError('INVALID_ARGUMENT', 'onnx_bytes: the file is empty');
  if (header.onnxBytes > maxOnnxBytes)
    throw new HotloopError(
      'RESOURCE_EXHAUSTED',
      `onnx_bytes: ${header.onnxBytes} bytes are more than the limit of ${maxOnnxBytes}`,
      { reason: 'model_too_large' },
    );
  const digest = createHash('sha256');
  const parts: Uint8Array[] = [];
  let received = 0;
  for await (const chunk of chunks) {
    received += chunk.length;
    if (received > header.onnxBytes)
      throw new HotloopError(
        'INVALID_ARGUMENT',
        `onnx_bytes: more than the declared ${header.onnxBytes} bytes came`,
      );
    digest.update(chunk);
    parts.push(chunk);
  }
  if (received !== header.onnxBytes)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `onnx_bytes: ${received} bytes came of the declared ${header.onnxBytes}; send the file again`,
    );
  if (digest.digest('hex') !== header.onnxSha256)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      'onnx_sha256: the bytes that came do not match the declared digest; send the file again',
      { reason: 'digest_mismatch' },
    );
  return Buffer.concat(parts, received);
}
