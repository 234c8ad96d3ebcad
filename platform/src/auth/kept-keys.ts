import { z } from '../config.ts';
import type { SnapshotFile } from '../registry/snapshot-file.ts';
import type { ApiKeyRecord, ApiKeyStore } from './api-key-store.ts';
import { ROLES } from './authorization.ts';
import type { Project } from './project-store.ts';

const keptSchema = z.array(
  z.object({
    id: z.string(),
    digest: z.string(),
    subject: z.string(),
    roles: z.array(z.enum(ROLES)),
    models: z.array(z.string()).optional(),
    perSecond: z.number().optional(),
    expiresAt: z.coerce.date().optional(),
    createdAt: z.coerce.date(),
    revoked: z.boolean(),
    project: z.string().optional(),
    limits: z
      .object({ name: z.string(), perSecond: z.number().optional(), maxModels: z.number().optional() })
      .optional(),
  }),
);

/**
 * Wraps the key store so that the last known keys are read from disk while Postgres cannot be reached. Only digests
 * are stored there, never keys.
 */
export function keptKeys(store: Pick<ApiKeyStore, 'list'>, file: SnapshotFile): Pick<ApiKeyStore, 'list'> {
  let last = '';
  return {
    async list() {
      try {
        const records = await store.list();
        const text = JSON.stringify(records);
        if (text !== last) file.write(records);
        last = text;
        return records;
      } catch (error) {
        const kept = keptSchema.safeParse(await file.read());
        if (!kept.success) throw error;
        return kept.data.map(recordOf);
      }
    },
  };
}

function recordOf({
  models,
  perSecond,
  expiresAt,
  project,
  limits,
  ...record
}: z.output<typeof keptSchema>[number]): ApiKeyRecord {
  return {
    ...record,
    ...(models === undefined ? {} : { models }),
    ...(perSecond === undefined ? {} : { perSecond }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(project === undefined ? {} : { project }),
    // Without its project a key could access every model.
    ...(limits === undefined ? {} : { limits: limitsOf(limits) }),
  };
}

function limitsOf({
  name,
  perSecond,
  maxModels,
}: NonNullable<z.output<typeof keptSchema>[number]['limits']>): Project {
  return {
    name,
    ...(perSecond === undefined ? {} : { perSecond }),
    ...(maxModels === undefined ? {} : { maxModels }),
  };
}
