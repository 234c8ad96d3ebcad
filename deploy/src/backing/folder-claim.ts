import { createHash, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { BackingServiceError } from './backing-service-error.ts';
import { processIdentity } from './process-identity.ts';

const OWNER_FILE = 'owner.json';
const ATTEMPTS = 20;
const RETRY_MS = 10;

/**
 * Makes this process the only owner of `dir` until disposed of. The claim of a dead process is taken over. Throws
 * ALREADY_RUNNING, naming the owner, when a living process holds it.
 */
export async function claimFolder(dir: string): Promise<AsyncDisposable> {
  await mkdir(dir, { recursive: true });
  const file = join(dir, OWNER_FILE);
  const token = randomUUID();
  const mine = JSON.stringify({ pid: process.pid, identity: await processIdentity(process.pid), token });
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const owner = await claimFile(file, mine);
    if (owner === 'mine') return { [Symbol.asyncDispose]: () => release(file, mine) };
    if (owner !== 'changing') throw alreadyRunning(dir, owner);
    await setTimeout(RETRY_MS);
  }
  throw new BackingServiceError(
    'ALREADY_RUNNING',
    `another start keeps claiming ${dir}: try again in a moment`,
  );
}

/** Whether a living process owns `dir`. */
export async function isFolderClaimed(dir: string): Promise<boolean> {
  const claim = await readText(join(dir, OWNER_FILE));
  return claim !== undefined && (await livingOwner(claim)) !== undefined;
}

/**
 * Creates a file atomically: a hard link appears with its complete content or not at all, unlike a file that is
 * opened and then written.
 */
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

/**
 * Claims `file` once. Returns 'mine', the id of the living process that has it, or 'changing' while another process
 * takes it over.
 *
 * A dead owner's claim may only be replaced by the owner of a second claim, named after the dead one's content. No
 * other process changes the file as long as it has that content, so no other claim can come between reading and
 * replacing it. The second claim is taken over from a dead owner in the same way.
 */
async function claimFile(file: string, mine: string): Promise<'mine' | 'changing' | number> {
  if (await createWhole(file, mine)) return 'mine';
  const theirs = await readText(file);
  if (theirs === undefined) return 'changing';
  const owner = await livingOwner(theirs);
  if (owner !== undefined) return owner;
  const right = `${file}.${createHash('sha256').update(theirs).digest('hex').slice(0, 16)}`;
  if ((await claimFile(right, mine)) !== 'mine') return 'changing';
  try {
    if ((await readText(file)) !== theirs) return 'changing';
    await replaceWhole(file, mine);
    return 'mine';
  } finally {
    await release(right, mine);
  }
}

async function replaceWhole(file: string, content: string): Promise<void> {
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, content, { mode: 0o600 });
  await rename(draft, file);
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
