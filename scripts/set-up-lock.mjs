import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 200;
const GIVE_UP_MS = 15 * 60_000;

/**
 * Lets one set-up at a time change the installation. Waits for a living one, saying so once; takes over from a dead one.
 *
 * @param {string} file
 * @param {(line: string) => void} say
 * @param {() => void} throwIfInterrupted called at every turn of the wait
 * @returns {Promise<() => void>} gives the lock back
 */
export async function takeSetUpLock(file, say, throwIfInterrupted) {
  mkdirSync(dirname(file), { recursive: true });
  const mine = JSON.stringify({ pid: process.pid, started: startOf(process.pid), token: randomUUID() });
  const giveUpAt = performance.now() + GIVE_UP_MS;
  let said = false;
  while (!createWhole(file, mine)) {
    throwIfInterrupted();
    const theirs = readOr(file, undefined);
    if (theirs === undefined) continue;
    const owner = livingOwner(theirs);
    if (owner === undefined) {
      moveAside(file, theirs);
      continue;
    }
    if (performance.now() > giveUpAt)
      throw new Error(`the set-up of process ${owner} does not end; stop it and try again`);
    if (!said) say(`another set-up is at work here (process ${owner}): waiting for it`);
    said = true;
    await delay(POLL_MS);
  }
  return () => {
    if (readOr(file, undefined) === mine) rmSync(file, { force: true });
  };
}

/** A hard link appears with its whole content or not at all. */
function createWhole(file, content) {
  const draft = `${file}.${randomUUID()}`;
  writeFileSync(draft, content);
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Removes a dead owner's lock; when a living one slipped in between, gives it back. */
function moveAside(file, stale) {
  const aside = `${file}.${randomUUID()}`;
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  const moved = readOr(aside, stale);
  if (moved !== stale) createWhole(file, moved);
  rmSync(aside, { force: true });
}

function livingOwner(content) {
  try {
    const { pid, started } = JSON.parse(content);
    process.kill(pid, 0);
    return startOf(pid) === started ? pid : undefined;
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else.
    return error.code === 'EPERM' ? JSON.parse(content).pid : undefined;
  }
}

/** Start time in ticks since boot, where the system tells: a number used again is then not taken for its first owner. */
function startOf(pid) {
  const stat = readOr(`/proc/${pid}/stat`, '');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function readOr(file, otherwise) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return otherwise;
  }
}
