import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { claimFolder, isFolderClaimed } from './folder-claim.ts';
import { processIdentity } from './process-identity.ts';

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'hotloop-claim-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Leaves a dead process's claim of the folder, and a second process's right to take over each of `taken`. */
async function writeDeadClaims(folder: string, taken: readonly string[]): Promise<void> {
  const claim = JSON.stringify({ pid: 2 ** 22 + 1, identity: 'gone', token: 'first' });
  await writeFile(join(folder, 'owner.json'), claim);
  for (const file of taken) {
    const right = `${file}.${createHash('sha256').update(claim).digest('hex').slice(0, 16)}`;
    await writeFile(
      join(folder, right),
      JSON.stringify({ pid: 2 ** 22 + 1, identity: 'gone', token: 'second' }),
    );
  }
}

describe('a claimed folder', () => {
  it('refuses a second owner, naming the first and the remedy', async () => {
    await using folder = await temporaryFolder();
    await using _claim = await claimFolder(folder.path);
    await expect(claimFolder(folder.path)).rejects.toMatchObject({
      code: 'ALREADY_RUNNING',
      message: expect.stringContaining(`process ${process.pid}`),
    });
    expect(await isFolderClaimed(folder.path)).toBe(true);
  });

  it('can be claimed again after its release, and leaves no file in it', async () => {
    await using folder = await temporaryFolder();
    {
      await using _claim = await claimFolder(folder.path);
    }
    expect(await isFolderClaimed(folder.path)).toBe(false);
    expect(await readdir(folder.path)).toEqual([]);
    await using _again = await claimFolder(folder.path);
  });

  it.each([
    ['no such process', { pid: 2 ** 22 + 1, identity: 'gone', token: 't' }],
    ['a later process with the same number', { pid: process.pid, identity: 'another start', token: 't' }],
  ])('is taken over from a dead owner: %s', async (_name, owner) => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'owner.json'), JSON.stringify(owner));
    await using _claim = await claimFolder(folder.path);
    expect(await isFolderClaimed(folder.path)).toBe(true);
  });

  it('is taken over when the claim is unreadable', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'owner.json'), '{"pid":');
    await using _claim = await claimFolder(folder.path);
    expect(await isFolderClaimed(folder.path)).toBe(true);
  });

  it.each([
    ['a dead claim', []],
    ['a dead claim that a dead process was taking over', ['owner.json']],
  ])('has one owner each time when many ask at once over %s', async (_name, takers) => {
    for (let round = 0; round < 10; round += 1) {
      await using folder = await temporaryFolder();
      await writeDeadClaims(folder.path, takers);
      // Each starts one step after the previous one, so that some read a claim that others are about to replace.
      const claims = await Promise.allSettled(
        Array.from({ length: 20 }, async (_, steps) => {
          for (let step = 0; step < steps; step += 1) await stat(folder.path);
          return claimFolder(folder.path);
        }),
      );
      const won = claims.filter((claim) => claim.status === 'fulfilled');
      expect(won).toHaveLength(1);
      await won[0]?.value[Symbol.asyncDispose]();
      expect(await readdir(folder.path)).toEqual([]);
    }
  });
});

describe('the identity of a process', () => {
  it('is constant while the process lives, and absent without one', async () => {
    const identity = await processIdentity(process.pid);
    expect(identity).toBeTypeOf('string');
    expect(await processIdentity(process.pid)).toBe(identity);
    expect(await processIdentity(2 ** 22 + 1)).toBeUndefined();
  });
});
