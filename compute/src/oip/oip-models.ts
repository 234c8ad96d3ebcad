import { resolveVersion } from '@hotloop/platform/registry/resolve-version.ts';
import type { ModelRecord, RegistryReader, VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { quoted } from '@hotloop/proto/quoted.ts';
import { ELEMENT_BYTES, elementCount } from '../runner/tensor-layout.ts';
import type { Fleet } from '../slots/fleet.ts';
import type { KnownVersion } from '../slots/known-versions.ts';
import type { SlotState } from '../slots/slot-table.ts';
import { configOf, metadataOf, statisticsOf } from './model-views.ts';
import type { OipTensor } from './oip-request.ts';
import { checkShape, invalid } from './tensor-checks.ts';

const LOAD_TIMEOUT_MS = 120_000;

export interface IndexEntry {
  readonly name: string;
  readonly version: string;
  readonly state: string;
  readonly reason: string;
}

const INDEX_STATE: Readonly<Record<SlotState, string>> = {
  cold: 'LOADING',
  loading: 'LOADING',
  warming: 'LOADING',
  ready: 'READY',
  draining: 'UNLOADING',
  gone: 'UNAVAILABLE',
  failed: 'UNAVAILABLE',
};

/**
 * All operations of the protocol except inference, for both gRPC and REST. Names and versions are as the client sent
 * them.
 */
export class OipModels {
  readonly #registry: RegistryReader;
  readonly #fleet: Fleet;

  constructor(registry: RegistryReader, fleet: Fleet) {
    this.#registry = registry;
    this.#fleet = fleet;
  }

  /**
   * True when a request to it would be answered, also while it is unloaded, because the request loads it. Throws
   * NOT_FOUND for a model or version that is not registered.
   */
  isReady(name: string, version: string): boolean {
    return this.#fleet.isServed(this.#resolve(name, version));
  }

  /**
   * Loads a version that was never loaded here. Rejects NOT_FOUND, and with the errors of loading, such as
   * UNAVAILABLE.
   */
  async metadata(name: string, version: string, timeoutMs: number) {
    const known = await this.#describe(name, version, timeoutMs);
    const { record } = known;
    return metadataOf(known, version === '' ? this.#servedVersions(record.model) : [record.version]);
  }

  /** Loads and rejects as `metadata` does. */
  async config(name: string, version: string, timeoutMs: number) {
    return configOf(await this.#describe(name, version, timeoutMs));
  }

  /**
   * Statistics of one version, which is loaded as for `metadata`; without a version, of all versions of the model
   * that were loaded; without a name, of all loaded versions.
   */
  async statistics(name: string, version: string, timeoutMs: number) {
    if (name !== '' && version !== '')
      return [this.#statisticsOf(await this.#describe(name, version, timeoutMs))];
    const models = name === '' ? this.#registry.current().models.values() : [this.#registered(name)];
    return [...models].flatMap((model) =>
      [...model.versions.values()].flatMap((record) => {
        const known = this.#fleet.known(record);
        const isHeld = this.#fleet.find(record.model, record.version) !== undefined;
        return known && (isHeld || this.#fleet.isServed(record)) ? [this.#statisticsOf(known)] : [];
      }),
    );
  }

  index(onlyReady: boolean): IndexEntry[] {
    const entries: IndexEntry[] = [];
    for (const model of this.#registry.current().models.values())
      for (const record of model.versions.values()) {
        const slot = this.#fleet.find(record.model, record.version);
        const state = slot ? INDEX_STATE[slot.state] : 'UNAVAILABLE';
        if (onlyReady && state !== 'READY') continue;
        const reason = slot?.detail || (slot ? '' : this.#whyMissing(record));
        entries.push({
          name: record.model,
          version: String(record.version),
          state,
          reason: state === 'READY' ? '' : reason,
        });
      }
    return entries;
  }

  /**
   * Loads a version and keeps it loaded; waits at most two minutes. Resolves when it is ready; rejects with the
   * reason when it cannot be. `parameters` are the names of the parameters sent: UNIMPLEMENTED
   * `unsupported_parameter` if they carry a model or a configuration.
   */
  async load(name: string, version: string, parameters: readonly string[], timeoutMs: number): Promise<void> {
    for (const parameter of parameters) refuseContent(parameter);
    const record = this.#resolve(name, version);
    await this.#fleet.keep(record, Math.min(timeoutMs, LOAD_TIMEOUT_MS));
  }

  /**
   * Unloads versions that were loaded by name: one, or all of a model. Throws FAILED_PRECONDITION `version_in_use`,
   * and unloads nothing, when one of them has a role in the registry: such a version is replaced by promoting
   * another.
   */
  unload(name: string, version: string): void {
    const model = this.#registered(name);
    const records = version === '' ? [...model.versions.values()] : [this.#resolve(name, version)];
    const inUse = records.flatMap((record) => {
      const role = roleOf(model, record.version);
      return role === undefined ? [] : [`${record.version} (${role})`];
    });
    if (inUse.length > 0)
      throw new HotloopError(
        'FAILED_PRECONDITION',
        `${name} is in use: version ${inUse.join(', version ')}; a version with a role goes when another is promoted in its place` +
          (version === '' ? '; one without is unloaded by its number' : ''),
        { reason: 'version_in_use' },
      );
    for (const record of records) this.#fleet.release(record);
  }

  /**
   * A tensor for the model's single input from raw bytes. At most one dimension may be free; its size follows from
   * the number of bytes. A single text needs no length prefix. Rejects INVALID_ARGUMENT when the bytes do not make a
   * tensor; loads and rejects as `metadata` does.
   */
  async rawInput(name: string, version: string, bytes: Buffer, timeoutMs: number): Promise<OipTensor> {
    const { model } = await this.#describe(name, version, timeoutMs);
    const [input, ...others] = model.inputs;
    if (!input || others.length > 0) throw invalid('a raw request needs a model with exactly one input');
    const free = input.shape.filter((dimension) => dimension === -1).length;
    if (free > 1)
      throw invalid(`input ${quoted(input.name)} has more than one free dimension; send its shape`);
    if (input.datatype === 'BYTES') {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      const shape = input.shape.map(() => 1);
      return { name: input.name, datatype: 'BYTES', shape, contents: Buffer.concat([length, bytes]) };
    }
    const fixed = elementCount(input.shape.map((dimension) => (dimension === -1 ? 1 : dimension)));
    const size = bytes.length / (fixed * ELEMENT_BYTES[input.datatype]);
    const shape = input.shape.map((dimension) => (dimension === -1 ? size : dimension));
    checkShape(shape, input.name);
    return { name: input.name, datatype: input.datatype, shape, contents: bytes };
  }

  #registered(name: string): ModelRecord {
    const model = this.#registry.current().models.get(name);
    // Throws NOT_FOUND for a model that is not registered, as the other operations do.
    if (!model) resolveVersion(this.#registry.current(), name, '');
    return model as ModelRecord;
  }

  #resolve(name: string, version: string): VersionRecord {
    return resolveVersion(this.#registry.current(), name, version).record;
  }

  async #describe(name: string, version: string, timeoutMs: number): Promise<KnownVersion> {
    return this.#fleet.describe(this.#resolve(name, version), Math.min(timeoutMs, LOAD_TIMEOUT_MS));
  }

  #statisticsOf(known: KnownVersion) {
    const { model, version } = known.record;
    return statisticsOf(known, this.#fleet.find(model, version)?.memoryBytes() ?? 0);
  }

  #whyMissing(record: VersionRecord): string {
    return this.#fleet.isServed(record) ? 'unloaded; a request loads it again' : 'not loaded';
  }

  #servedVersions(name: string): number[] {
    const records = [...this.#registered(name).versions.values()].filter((record) =>
      this.#fleet.isServed(record),
    );
    return records.map((record) => record.version).sort((a, b) => a - b);
  }
}

function roleOf(model: ModelRecord, version: number): string | undefined {
  if (version === model.liveVersion) return 'live';
  if (version === model.targetVersion) return 'being promoted';
  return version === model.previousVersion ? 'previous' : undefined;
}

/**
 * Rejects a model or configuration sent with a load request: ignoring it would load something else than was asked
 * for.
 */
function refuseContent(parameter: string): void {
  if (parameter !== 'config' && !parameter.startsWith('file:')) return;
  throw new HotloopError(
    'UNIMPLEMENTED',
    `parameter ${quoted(parameter)} is not served: versions are immutable here; push a model and its model.yaml with \`hotloop model push\``,
    { reason: 'unsupported_parameter' },
  );
}
