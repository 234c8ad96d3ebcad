import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BackingServiceError } from './backing-service-error.ts';
import { processIdentity } from './process-identity.ts';

const OWNER_FILE = 'owner.json';
const ATTEMPTS = 5;

/**
 * Makes this process the only owner of `dir` until disposed. A claim left by a process that no longer lives is
 * taken over. Throws ALREADY_RUNNING, naming the owner, when a living process holds it.
 */
export async function claimFolder(dir: string): Promise<AsyncDisposable> {
  await mkdir(dir, { recursive: true });
  const file = join(dir, OWNER_FILE);
  const token = randomUUID();
  const mine = JSON.stringify({ pid: process.pid, identity: await processIdentity(process.pid), token });
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    if (await createWhole(file, mine)) return { [Symbol.asyncDispose]: () => release(file, mine) };
    const theirs = await readText(file);
    if (theirs === undefined) continue;
    const owner = await livingOwner(theirs);
    if (owner !== undefined) throw alreadyRunning(dir, owner);
    await removeStale(file, theirs);
  }
  throw new BackingServiceError(
    'ALREADY_RUNNING',
    `another start keeps taking ${dir}: try again in a moment`,
  );
}

/** Whether a living process owns `dir`. */
export async function isFolderClaimed(dir: string): Promise<boolean> {
  const claim = await readText(join(dir, OWNER_FILE));
  return claim !== undefined && (await livingOwner(claim)) !== undefined;
}

/** A hard link appears with its whole content or not at all, unlike a file opened and then written. */
async function createWhole(file: string, content: string): Promise<boolean> {
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, content, { mode: 0o600 });
  try {
    await link(draft, file);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** Moves the stale claim aside; when a fresh one slipped in between, gives it back. */
async function removeStale(file: string, stale: string): Promise<void> {
  const aside = `${file}.${randomUUID()}`;
  try {
    await rename(file, aside);
  } catch {
    return;
  }
  const moved = await readText(aside);
  if (moved !== undefined && moved !== stale) await createWhole(file, moved);
  await rm(aside, { force: true });
}

async function livingOwner(claim: string): Promise<number | undefined> {
  try {
    const value: unknown = JSON.parse(claim);
    if (typeof value !== 'object' || value === null || !('pid' in value) || !('identity' in value))
      return undefined;
    if (typeof value.pid !== 'number') return undefined;
    return (await processIdentity(value.pid)) === value.identity ? value.pid : undefined;
  } catch {
    return undefined;
  }
}

async function release(file: string, mine: string): Promise<void> {
  if ((await readText(file)) === mine) await rm(file, { force: true });
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    return undefined;
  }
}

function alreadyRunning(dir: string, owner: number): BackingServiceError {
  return new BackingServiceError(
    'ALREADY_RUNNING',
    `Hotloop already runs from this folder (process ${owner} holds ${dir}). Stop it with Ctrl-C in its terminal, or start from another folder.`,
  );
}
