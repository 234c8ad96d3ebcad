import type { SqlConnection, SqlDatabase } from '@hotloop/platform/duckdb/sql-database.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { RegistryReader, VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { KeptScorer } from '../scoring/kept-scorer.ts';
import type { BatchClaim } from './batch-run.ts';
import type { OutsideAddresses } from './read-source.ts';
import type { FrontDoor } from './rows/front-door-answers.ts';

export interface PartDependencies extends OutsideAddresses {
  readonly pool: Pool;
  readonly registry: RegistryReader;
  readonly bundles: BundleStore;
  /** Versions as one file; not to be disposed by a part. */
  readonly scorers: KeptScorer;
  /** Holds the archive of events, for features as of a time. */
  readonly objects: ObjectStore;
  /** Answers what only it can: history of now, and predictions that are logged. */
  readonly frontDoor?: FrontDoor;
}

/** What the work on one part has at hand. */
export interface PartContext {
  readonly claim: BatchClaim;
  readonly dependencies: PartDependencies;
  readonly database: SqlDatabase;
  readonly connection: SqlConnection;
  /** The run's own folder. */
  readonly work: string;
  readonly signal: AbortSignal;
}

/** The version that a run predicts with. Throws NOT_FOUND. */
export async function versionOf({ claim: { run }, dependencies }: PartContext): Promise<VersionRecord> {
  const { registry } = dependencies;
  const find = () => registry.current().models.get(run.model)?.versions.get(run.version);
  if (!find()) await registry.refresh();
  const record = find();
  if (!record) throw new HotloopError('NOT_FOUND', `model ${run.model} has no version ${run.version}`);
  return record;
}
