import { realpath } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { parseLocation } from './location.ts';

/** Which files of its machine a worker reads and writes: any, or those below one folder; 'none' where nobody said. */
export type AllowedFiles = 'any' | 'none' | { readonly below: string };

/**
 * Throws PERMISSION_DENIED for a source or sink that a worker may not touch. Links are followed first, so that none leads out of
 * the folder. Buckets and databases have their own rights.
 */
export async function checkAllowed(text: string, allowed: AllowedFiles): Promise<void> {
  const location = parseLocation(text);
  if (allowed === 'any' || (location.kind !== 'file' && location.kind !== 'folder')) return;
  if (allowed === 'none')
    throw new HotloopError(
      'PERMISSION_DENIED',
      'this worker may use no files: set HOTLOOP_BATCH_FILES to the folder of sources and sinks',
      { reason: 'file_not_allowed' },
    );
  const root = await realPathOf(allowed.below);
  const path = await realPathOf(location.path);
  if (path === root || path.startsWith(root.endsWith(sep) ? root : root + sep)) return;
  throw new HotloopError(
    'PERMISSION_DENIED',
    `${location.path} is outside the folder that workers may use (HOTLOOP_BATCH_FILES)`,
    { reason: 'file_not_allowed' },
  );
}

/** Of what is not there yet: the real path of the nearest folder that is, and the rest. */
async function realPathOf(path: string): Promise<string> {
  const absolute = resolve(path);
  const found = await realpath(absolute).catch(() => undefined);
  if (found !== undefined) return found;
  const parent = dirname(absolute);
  if (parent === absolute) return absolute;
  return resolve(await realPathOf(parent), absolute.slice(parent.length).replace(/^[/\\]+/, ''));
}
