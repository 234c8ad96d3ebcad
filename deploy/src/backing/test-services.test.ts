import { mkdir, mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { claimFolder } from './folder-claim.ts';
import { removeDeadRuns } from './test-services.ts';

describe('folders of test runs', () => {
  it('are removed when their run has ended, and stay while it runs or may be starting', async () => {
    const runs = await mkdtemp(join(tmpdir(), 'hotloop-runs-'));
    await using stack = new AsyncDisposableStack();
    stack.defer(() => rm(runs, { recursive: true, force: true }));
    for (const name of ['dead', 'alive', 'young']) await mkdir(join(runs, name));
    stack.use(await claimFolder(join(runs, 'alive')));
    const longAgo = new Date(Date.now() - 3_600_000);
    for (const name of ['dead', 'alive']) await utimes(join(runs, name), longAgo, longAgo);
    await removeDeadRuns(runs);
    expect((await readdir(runs)).sort()).toEqual(['alive', 'young']);
  });
});
