import { MISSING_NAN } from '@hotloop/model/features/feature-schema.ts';
import { checkManifestFits } from '@hotloop/model/manifest/check-model.ts';
import { columnDifference, columnKeys, describeDifference } from '@hotloop/model/manifest/column-keys.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { initialNetwork } from '@hotloop/model/onnx/initial-networks.ts';
import { inspectModel } from '@hotloop/model/onnx/inspect.ts';
import { widenInput } from '@hotloop/model/onnx/widen-input.ts';
import { featureNetwork } from '@hotloop/model/training/feature-network.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { type Bundle, type BundleStore, sha256 } from '@hotloop/platform/registry/bundle-store.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { initialModel } from '../training/initial-model.ts';
import { findLiveOrNewest } from './version-store.ts';

export interface Weights {
  readonly onnx: Uint8Array;
  /** The trained version with these weights; null if they are new. */
  readonly from: KeptWeights | null;
}

export interface KeptWeights {
  readonly version: number;
  /** Its golden examples, if they still fit. */
  readonly golden: NonNullable<Manifest['golden']>['examples'];
  /** Columns that the weights do not know, such as `month = Apr`; they have weight 0 until a retraining. */
  readonly newColumns: readonly string[];
}

/**
 * The weights of a version that is pushed as model.yaml alone: those of the live version (or of the newest, if none is live)
 * if it has been trained and the new manifest has the same columns, labels and task, or more columns and a network that can
 * be widened; otherwise the untrained network that the manifest declares. Throws FAILED_PRECONDITION (weights_do_not_fit) if trained weights would be lost, unless
 * `untrained` is set.
 */
export async function weightsWithoutFile(
  manifest: Manifest,
  untrained: boolean,
  stores: { readonly pool: Pool; readonly bundles: BundleStore },
): Promise<Weights> {
  const current = untrained ? null : await findLiveOrNewest(stores.pool, manifest.name);
  if (current === null) return { onnx: untrainedNetwork(manifest), from: null };
  const bundle = await stores.bundles.get(current.bundleSha256);
  const before = parseManifest(bundle.manifestYaml);
  if (before.runtime.remote !== undefined || isUntrained(before, bundle))
    return { onnx: untrainedNetwork(manifest), from: null };
  const widened = widenedFor(before, manifest, bundle);
  const onnx = widened?.onnx ?? bundle.onnx;
  const misfit = misfitOf(before, manifest, onnx, widened !== null);
  if (misfit !== null)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `the trained weights of version ${current.version} do not fit this model.yaml (${misfit}). ` +
        `Push a model.onnx that fits, undo the change, or push with --untrained to begin with an untrained network`,
      { reason: 'weights_do_not_fit' },
    );
  const golden = widened === null ? (before.golden?.examples ?? []) : [];
  return { onnx, from: { version: current.version, golden, newColumns: widened?.newColumns ?? [] } };
}

/** The network for rows with added or moved columns; null if no column was added or moved, or it cannot be widened. */
function widenedFor(
  before: Manifest,
  after: Manifest,
  { onnx }: Bundle,
): { readonly onnx: Uint8Array; readonly newColumns: readonly string[] } | null {
  if (before.task !== after.task) return null;
  const difference = columnDifference(before, after);
  if (difference === null || difference.removed.length > 0 || difference.changed.length > 0) return null;
  const [old, wanted] = [columnsOf(before), columnsOf(after)];
  if (!old.isMatrix || !wanted.isMatrix) return null;
  const known = new Map(columnKeys(before).map(({ key }, index) => [key, index]));
  const from = columnKeys(after).map(({ key }) => known.get(key) ?? null);
  const wider = widenInput(onnx, { width: old.width, from });
  return wider && { onnx: wider, newColumns: difference.added };
}

function misfitOf(before: Manifest, after: Manifest, onnx: Uint8Array, isWidened: boolean): string | null {
  if (before.task !== after.task) return `task was ${before.task} and is ${after.task}`;
  const difference = isWidened ? null : columnDifference(before, after);
  if (difference !== null) return `features: ${describeDifference(difference)}`;
  const labels = (manifest: Manifest) => JSON.stringify(manifest.decision.labels ?? []);
  if (after.task === 'multiclass' && labels(before) !== labels(after)) return 'decision.labels have changed';
  try {
    checkManifestFits(after, inspectModel(onnx));
    return null;
  } catch (error) {
    return error instanceof HotloopError ? error.message : String(error);
  }
}

/** Whether the weights are still the initial ones of the manifest, so that replacing them loses nothing. */
function isUntrained(manifest: Manifest, bundle: Bundle): boolean {
  if (manifest.task === 'tensor' || manifest.golden?.examples.length || featureWithNaN(manifest))
    return false;
  return sha256(untrainedNetwork(manifest)) === sha256(bundle.onnx);
}

/** The initial network of a model without a file. Its answers are random until it has been trained. */
export function untrainedNetwork(manifest: Manifest): Uint8Array {
  const { task, decision, training, golden } = manifest;
  if (task === 'tensor' || task === 'multilabel')
    throw new HotloopError('INVALID_ARGUMENT', `onnx_bytes: task ${task} needs a model.onnx`);
  const layout = columnsOf(manifest);
  if (golden && golden.examples.length > 0)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      'golden.examples: an untrained network gives no outputs that are known; push model.onnx, or leave them out',
      { reason: 'invalid_manifest' },
    );
  const nan = featureWithNaN(manifest);
  if (nan)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `feature ${nan.name}: missing is .nan, and a network answers NaN to NaN; declare a number, or push a model.onnx that takes NaN`,
      { reason: 'invalid_manifest' },
    );
  const network = training?.network;
  const kind = network?.kind ?? 'perceptron';
  if (!layout.isMatrix || kind === 'two-tower') return featureNetwork(manifest);
  if (kind === 'wide-and-deep' || kind === 'factorization-machine') {
    if (task === 'multiclass')
      throw new HotloopError(
        'INVALID_ARGUMENT',
        `training.network: ${kind} has one output, not one a class`,
        {
          reason: 'invalid_manifest',
        },
      );
    return initialNetwork({
      ...{ kind, inputs: layout.width, userInputs: 1, hidden: network?.hidden ?? [] },
      ...{ activation: network?.activation ?? 'relu', factors: network?.factors ?? 1 },
      head: task === 'regression' ? 'none' : 'sigmoid',
      seed: training?.seed ?? 1,
    });
  }
  return initialModel({
    features: layout.width,
    task,
    ...(task === 'multiclass' ? { classes: decision.labels?.length ?? 0 } : {}),
    ...(network === undefined ? {} : { hidden: network.hidden, activation: network.activation }),
    ...(kind === 'logistic' ? { hidden: [] } : {}),
    seed: training?.seed ?? 1,
  });
}

function featureWithNaN({ features }: Manifest): Manifest['features'][number] | undefined {
  return features.find(({ missing }) => missing === MISSING_NAN);
}
