import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';

/** What a check found. */
export interface Finding {
  readonly check: string;
  readonly ok: boolean;
  /** What was found. */
  readonly says: string;
  /** What to do; empty when all is well. */
  readonly remedy: string;
}

/** What is examined. */
export interface Patient {
  readonly pool: Pool;
  readonly store: ObjectStore;
  /** Folder whose disk is looked at; undefined when the store is elsewhere. */
  readonly folder: string | undefined;
  /** Opens a connection to each Redis; throws when it cannot be used for its role. */
  readonly redis: Readonly<Record<'cache' | 'queue', () => Promise<void>>>;
  /** The topics of Kafka; undefined where no broker is set. */
  readonly topics?: (() => Promise<readonly string[]>) | undefined;
  /** File of the TLS certificate; undefined where connections are not encrypted. */
  readonly certificate?: string | undefined;
}

/** One look at one thing. May throw, which is a finding too. */
export type Check = (patient: Patient) => Promise<Omit<Finding, 'check'>>;
export type Checks = Readonly<Record<string, Check>>;

export const well = (says: string) => ({ ok: true, says, remedy: '' });
export const ill = (says: string, remedy: string) => ({ ok: false, says, remedy });
