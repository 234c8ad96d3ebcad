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
 * Writes the accepted rows of a part to its file, complete or not at all, and ends the part. The others are refused: `tellRefused` is
 * called with their number when there are some.
 */
export async function writePart(
  { claim, dependencies, connection, work }: PartContext,
  accepted: string,
  tellRefused: (refused: number) => Promise<void>,
): Promise<void> {
  const { run } = claim;
  const format = sinkFormat(run);
  const path = join(await makePartsFolder(run, work), partName(claim.part, format));
  const temporary = `${path}.${claim.token}.tmp`;
  try {
    const [copied] = await connection.rows(
      `COPY (${accepted}) TO ${sqlText(temporary)} (${copyOptions(format)})`,
    );
    await checkUnchanged(run.plan?.fingerprints ?? []);
    const written = Number(copied?.Count ?? 0);
    const refused = claim.endRow - claim.firstRow - written;
    if (refused > 0) await tellRefused(refused);
    const sha256 = await digestOf(temporary);
    await rename(temporary, path);
    await endRows(dependencies.pool, claim, { accepted: written, refused, sha256 });
  } finally {
    await rm(temporary, { force: true });
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(path)) hash.update(bytes as Buffer);
  return hash.digest('hex');
}
