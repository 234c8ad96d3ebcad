import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';

/** The result of a check. */
export interface Finding {
  readonly check: string;
  readonly ok: boolean;
  /** The finding. */
  readonly says: string;
  /** The remedy; empty if all is well. */
  readonly remedy: string;
}

/** The resources that checks examine. */
export interface Patient {
  readonly pool: Pool;
  readonly store: ObjectStore;
  /** Folder whose disk is checked; undefined if the store is elsewhere. */
  readonly folder: string | undefined;
  /** Opens a connection to each Redis; throws if it cannot be used for its role. */
  readonly redis: Readonly<Record<'cache' | 'queue', () => Promise<void>>>;
  /** The topics of Kafka; undefined if no broker is set. */
  readonly topics?: (() => Promise<readonly string[]>) | undefined;
  /** File of the TLS certificate; undefined if connections are not encrypted. */
  readonly certificate?: string | undefined;
}

/** One check. An error that it throws is a finding too. */
export type Check = (patient: Patient) => Promise<Omit<Finding, 'check'>>;
export type Checks = Readonly<Record<string, Check>>;

export const well = (says: string) => ({ ok: true, says, remedy: '' });
export const ill = (says: string, remedy: string) => ({ ok: false, says, remedy });
