import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { SlotState } from '../slots/slot-table.ts';

/** State of one version on this node. */
export interface VersionReport {
  readonly model: string;
  readonly version: number;
  readonly state: SlotState;
  readonly memoryBytes: number;
  /** Why the version failed; empty otherwise. */
  readonly detail: string;
  /** The reason as a code, such as golden_mismatch; may be empty. */
  readonly reason: string;
}

/**
 * Reports which versions run here; a promotion waits for `ready`. Each report replaces the node's previous one.
 * Rejects when the store cannot be reached; the next heartbeat reports again.
 */
export interface NodeReport {
  write(versions: readonly VersionReport[]): Promise<void>;
  /** Removes the node: it no longer serves. */
  clear(): Promise<void>;
}

const WRITE = `
WITH seen AS (
  INSERT INTO node (node, seen_at) VALUES ($1, now())
  ON CONFLICT (node) DO UPDATE SET seen_at = EXCLUDED.seen_at
), reported AS (
  SELECT * FROM unnest($2::text[], $3::int[], $4::text[], $5::bigint[], $6::text[], $7::text[])
    AS r(model, version, state, memory_bytes, detail, reason)
), removed AS (
  DELETE FROM node_version v WHERE v.node = $1
    AND NOT EXISTS (SELECT 1 FROM reported r WHERE r.model = v.model AND r.version = v.version)
)
INSERT INTO node_version (node, model, version, state, memory_bytes, detail, reason, seen_at)
SELECT $1, model, version, state, memory_bytes, detail, reason, now() FROM reported
ON CONFLICT (node, model, version) DO UPDATE SET state = EXCLUDED.state, memory_bytes = EXCLUDED.memory_bytes,
  detail = EXCLUDED.detail, reason = EXCLUDED.reason, seen_at = EXCLUDED.seen_at`;

const CLEAR = 'WITH gone AS (DELETE FROM node_version WHERE node = $1) DELETE FROM node WHERE node = $1';

export function postgresNodeReport(pool: Pool, node: string): NodeReport {
  return {
    async write(versions) {
      await pool.query(WRITE, [
        node,
        versions.map((version) => version.model),
        versions.map((version) => version.version),
        versions.map((version) => version.state),
        versions.map((version) => Math.round(version.memoryBytes)),
        versions.map((version) => version.detail),
        versions.map((version) => version.reason),
      ]);
    },
    async clear() {
      await pool.query(CLEAR, [node]);
    },
  };
}

/** For tests: keeps the last report. */
export interface MemoryNodeReport extends NodeReport {
  readonly latest: readonly VersionReport[];
}

export function memoryNodeReport(): MemoryNodeReport {
  let latest: readonly VersionReport[] = [];
  return {
    get latest() {
      return latest;
    },
    async write(versions) {
      latest = versions;
    },
    async clear() {
      latest = [];
    },
  };
}
