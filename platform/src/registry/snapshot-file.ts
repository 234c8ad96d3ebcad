import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { manifestSchema } from '@hotloop/model/manifest/manifest.ts';
import { z } from '../config.ts';
import type { Log } from '../log.ts';
import { sha256 } from './bundle-store.ts';
import type { ModelRecord, RegistrySnapshot } from './snapshot.ts';

/** One value on local disk that outlives the process: the last known state of something in Postgres. */
export interface SnapshotFile {
  /** Null when there is none, or when it is damaged (which is logged). */
  read(): Promise<unknown>;
  /**
   * Replaces the value atomically. Of the values that arrive during a write, only the newest is written next. Never
   * rejects: failures are logged.
   */
  write(content: unknown): void;
  /** Resolves when no write is in progress. */
  written(): Promise<void>;
}

const FORMAT = 1;

/** Opens the file. It is created at the first write, readable only by this user. */
export function snapshotFile(path: string, log: Log): SnapshotFile {
  let waiting: { readonly content: unknown } | undefined;
  let writing: Promise<void> | undefined;
  const writeAll = async () => {
    for (let next = waiting; next !== undefined; next = waiting) {
      waiting = undefined;
      try {
        await replace(path, next.content);
      } catch (error) {
        log.warn({ error, path }, 'the snapshot could not be saved on disk for the next start');
      }
    }
    writing = undefined;
  };
  return {
    async read() {
      let text: string;
      try {
        text = await readFile(path, 'utf8');
      } catch {
        return null;
      }
      try {
        const { format, digest, content } = JSON.parse(text) as Record<string, unknown>;
        if (format !== FORMAT || typeof content !== 'string' || digest !== sha256(content))
          throw new RangeError('it does not match its digest');
        return JSON.parse(content) as unknown;
      } catch (error) {
        log.error({ error, path }, 'a snapshot on disk is damaged and not used');
        return null;
      }
    },
    write(content) {
      waiting = { content };
      writing ??= writeAll();
    },
    written: async () => writing,
  };
}

/** Atomic, also when the machine loses power. */
async function replace(path: string, content: unknown): Promise<void> {
  const text = JSON.stringify(content);
  await mkdir(dirname(path), { recursive: true });
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(JSON.stringify({ format: FORMAT, digest: sha256(text), content: text }));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}

const rolloutSchema = z.object({
  rolloutId: z.string(),
  kind: z.enum(['load', 'shadow', 'split']),
  salt: z.string(),
  arms: z.array(z.object({ version: z.int(), share: z.number() })),
});

const modelSchema = z.object({
  name: z.string(),
  liveVersion: z.int().nullable(),
  previousVersion: z.int().nullable(),
  targetVersion: z.int().nullable(),
  generation: z.int(),
  rollouts: z.array(rolloutSchema).optional(),
  versions: z.array(
    z.object({
      model: z.string(),
      version: z.int(),
      bundleSha256: z.string(),
      onnxSha256: z.string(),
      manifest: manifestSchema,
      parentVersion: z.int().nullable(),
    }),
  ),
});

const keptSchema = z.object({ confirmedAt: z.number(), models: z.array(modelSchema) });

/** The registry in the form that is stored on disk. Pure. */
export function encodeRegistry({ models }: RegistrySnapshot, confirmedAt: number): unknown {
  return {
    confirmedAt,
    models: [...models.values()].map((model) => ({ ...model, versions: [...model.versions.values()] })),
  };
}

/** Null for a file of another release that this one cannot read. Pure. */
export function decodeRegistry(
  content: unknown,
): { readonly snapshot: RegistrySnapshot; readonly confirmedAt: number } | null {
  const parsed = keptSchema.safeParse(content);
  if (!parsed.success) return null;
  const models = parsed.data.models.map(({ rollouts, versions, ...model }): [string, ModelRecord] => [
    model.name,
    {
      ...model,
      versions: new Map(versions.map((version) => [version.version, version])),
      ...(rollouts === undefined ? {} : { rollouts }),
    },
  ]);
  return { snapshot: { models: new Map(models) }, confirmedAt: parsed.data.confirmedAt };
}
