import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import { endRows } from './batch-store.ts';
import type { PartContext } from './part-context.ts';
import { checkUnchanged } from './read-source.ts';
import { copyOptions, makePartsFolder, partName, sinkFormat } from './sink.ts';

/**
 * Writes the rows of a query to the part's file, complete or not at all, and ends the part. `refused` is called between the two,
 * with how many rows are accepted known by the caller.
 */
export async function writePart(
  { claim, dependencies, connection, work }: PartContext,
  select: string,
  counts: { readonly accepted: number; readonly refused: number },
  refused: () => Promise<void>,
): Promise<void> {
  const { run } = claim;
  const format = sinkFormat(run);
  const path = join(await makePartsFolder(run, work), partName(claim.part, format));
  const temporary = `${path}.${claim.token}.tmp`;
  try {
    await connection.run(`COPY (${select}) TO ${sqlText(temporary)} (${copyOptions(format)})`);
    await checkUnchanged(run.plan?.fingerprints ?? []);
    if (counts.refused > 0) await refused();
    const sha256 = await digestOf(temporary);
    await rename(temporary, path);
    await endRows(dependencies.pool, claim, { ...counts, sha256 });
  } finally {
    await rm(temporary, { force: true });
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(path)) hash.update(bytes as Buffer);
  return hash.digest('hex');
}
