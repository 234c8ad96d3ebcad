import { HotloopError } from '@hotloop/platform/errors.ts';
import { resolveVersion } from '@hotloop/platform/registry/resolve-version.ts';
import type { RegistryReader, VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { ELEMENT_BYTES, elementCount } from '../runner/tensor-layout.ts';
import { type Fleet, notServed } from '../slots/fleet.ts';
import type { Slot } from '../slots/slot.ts';
import type { SlotState } from '../slots/slot-table.ts';
import { configOf, metadataOf, statisticsOf } from './model-views.ts';
import type { OipTensor } from './oip-request.ts';
import { checkShape, invalid, quoted } from './tensor-checks.ts';

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

/** Everything of the protocol but inference, for both gRPC and REST. Names and versions as a client gives them. */
export class OipModels {
  readonly #registry: RegistryReader;
  readonly #fleet: Fleet;

  constructor(registry: RegistryReader, fleet: Fleet) {
    this.#registry = registry;
    this.#fleet = fleet;
  }

  /** False while it is not loaded. Throws NOT_FOUND for a model or version that is not registered. */
  isReady(name: string, version: string): boolean {
    const record = this.#resolve(name, version);
    const slot = this.#fleet.find(record.model, record.version);
    return slot?.state === 'ready';
  }

  /** Throws NOT_FOUND, or UNAVAILABLE while the version is not loaded. */
  metadata(name: string, version: string) {
    const slot = this.#serving(this.#resolve(name, version));
    const { model } = slot.record;
    const versions = version === '' ? this.#readyVersions(model) : [slot.record.version];
    return metadataOf(slot, versions);
  }

  config(name: string, version: string) {
    return configOf(this.#serving(this.#resolve(name, version)));
  }

  /** Of one version, of all loaded versions of a model, or of all that is loaded. */
  statistics(name: string, version: string) {
    if (name !== '' && version !== '') return [statisticsOf(this.#serving(this.#resolve(name, version)))];
    if (name !== '') this.#known(name);
    const slots = [...this.#fleet.slots()].filter(
      (slot) => slot.model && (name === '' || slot.record.model === name),
    );
    return slots.map(statisticsOf);
  }

  index(onlyReady: boolean): IndexEntry[] {
    const entries: IndexEntry[] = [];
    for (const model of this.#registry.current().models.values())
      for (const record of model.versions.values()) {
        const slot = this.#fleet.find(record.model, record.version);
        const state = slot ? INDEX_STATE[slot.state] : 'UNAVAILABLE';
        if (onlyReady && state !== 'READY') continue;
        const reason = slot?.detail || (slot ? '' : 'not loaded');
        entries.push({
          name: record.model,
          version: String(record.version),
          state,
          reason: state === 'READY' ? '' : reason,
        });
      }
    return entries;
  }

  /** Loads a version and keeps it. Resolves when it is ready; rejects with why it cannot be. */
  async load(name: string, version: string): Promise<void> {
    const record = this.#resolve(name, version);
    await this.#fleet.keep(record, LOAD_TIMEOUT_MS);
  }

  /**
   * Lets a version go that was loaded by name. Throws FAILED_PRECONDITION for one that the registry wants here: it is
   * replaced by promoting another.
   */
  unload(name: string, version: string): void {
    const model = this.#known(name);
    const versions =
      version === ''
        ? [...this.#fleet.slots()].filter((slot) => slot.record.model === name).map((slot) => slot.record)
        : [this.#resolve(name, version)];
    const held = versions.find((record) =>
      [model.liveVersion, model.previousVersion, model.targetVersion].includes(record.version),
    );
    if (held && (version !== '' || versions.length === 1))
      throw new HotloopError(
        'FAILED_PRECONDITION',
        `${name} version ${held.version} is in use; promote another version instead`,
        { reason: 'version_in_use' },
      );
    for (const record of versions) if (record !== held) this.#fleet.release(record);
  }

  /**
   * The model's one input with nothing but its bytes: at most one dimension is free, and follows from them; a single text
   * needs no length. Throws INVALID_ARGUMENT where that does not make a tensor.
   */
  rawInput(name: string, version: string, bytes: Buffer): OipTensor {
    const slot = this.#serving(this.#resolve(name, version));
    const [input, ...others] = slot.model?.inputs ?? [];
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

  #known(name: string) {
    const model = this.#registry.current().models.get(name);
    if (!model) resolveVersion(this.#registry.current(), name, '');
    return model as NonNullable<typeof model>;
  }

  #resolve(name: string, version: string): VersionRecord {
    return resolveVersion(this.#registry.current(), name, version).record;
  }

  #serving(record: VersionRecord): Slot {
    const slot = this.#fleet.find(record.model, record.version);
    if (!slot?.model) throw notServed(record.model, record.version, slot);
    return slot;
  }

  #readyVersions(name: string): number[] {
    const slots = [...this.#fleet.slots()].filter(
      (slot) => slot.record.model === name && slot.state === 'ready',
    );
    return slots.map((slot) => slot.record.version).sort((a, b) => a - b);
  }
}
