import type { HotloopClient } from '@hotloop/client';
import type { FaultProxy } from '../../load/fault-proxy.ts';
import type { Cluster } from '../../stand/cluster.ts';
import type { PlantedBug } from '../../stand/source-tree.ts';
import type { Stores } from '../../stand/stores.ts';

/** A test of the suite; `name` is part of its full name. */
export interface NamedTest {
  readonly file: string;
  readonly name: string;
  /** Where the title is written, when another file writes it; for the test that checks it. */
  readonly titledIn?: string;
}

export interface TestOutcome {
  readonly passed: number;
  readonly failed: number;
  readonly messages: readonly string[];
}

/**
 * Services under load, in which faults are injected. Cells leave it as they found it: everything up, nothing frozen.
 */
export interface Scene {
  readonly stores: Stores;
  readonly cluster: Cluster;
  readonly client: HotloopClient;
  /** Proxies between the preprocessors and each compute node, in order. */
  readonly toCompute: readonly FaultProxy[];
  /** Shifts the wall clock of all services, in milliseconds. */
  setClock(shiftMs: number): void;
  /** The ids of these that are not in the log once it was shipped, within a time limit. */
  notLogged(ids: readonly string[]): Promise<readonly string[]>;
  /** How long a store is down. */
  readonly outageMs: number;
  readonly say: (line: string) => void;
  /** Records a figure that the drill reports in addition to the count of cells. */
  readonly record: (key: 'recovery_ms' | 'answered', value: number) => void;
}

/** Problems, one line each; empty when the cell passes. */
export type Problems = readonly string[];

interface AnyCell {
  /** The row of the failure matrix. */
  readonly id: number;
  readonly fault: string;
  readonly holds: string;
  /** A change of the product that this cell must detect. */
  readonly bug: PlantedBug;
}

/** A cell shown by tests of the suite: all of them pass, and at least one fails with the bug. */
export interface TestCell extends AnyCell {
  readonly tests: readonly NamedTest[];
}

/** A cell shown on running services: `run` finds nothing, and a problem with the bug. */
export interface LiveCell extends AnyCell {
  /** It waits most of the time and does not measure time, so tests may run concurrently. */
  readonly patient?: boolean;
  run(scene: Scene): Promise<Problems>;
}

export type FailureCell = TestCell | LiveCell;

export function isLive(cell: FailureCell): cell is LiveCell {
  return 'run' in cell;
}
