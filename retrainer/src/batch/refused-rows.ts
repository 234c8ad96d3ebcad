import { appendFile, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import type { Attributes, AttributeValue } from '@hotloop/model/value.ts';
import { sqlName } from '@hotloop/platform/duckdb/duckdb.ts';
import type { SqlConnection } from '@hotloop/platform/duckdb/sql-database.ts';
import { toHotloopError } from '@hotloop/proto/errors.ts';
import type { VersionScorer } from '../scoring/version-scorer.ts';
import { columnOfInput } from './source-columns.ts';
import { UNREADABLE } from './text-source.ts';

/** Rows of a part that are told one by one; all are counted. */
const MOST_TOLD = 1_000;

const fileOf = (work: string, part: number) => join(work, `refused-${part}.jsonl`);

/**
 * Writes which rows of a part were refused and why, in the words of the front door: `{"row": 99, "reason": "..."}`, the first
 * thousand. `refused` is a query's text of the rows with the model's columns and {@link UNREADABLE}.
 */
export async function writeRefused(
  connection: SqlConnection,
  scorer: VersionScorer,
  refused: string,
  given: ReadonlySet<string>,
  where: { readonly work: string; readonly part: number; readonly token: number },
): Promise<void> {
  const inputs = scorer.inputs.map((input) => ({ input, column: columnOfInput(input) }));
  const columns = inputs.filter(({ column }) => given.has(column)).map(({ column }) => sqlName(column));
  const rows = await connection.rows(
    `SELECT ${['"row"', sqlName(UNREADABLE), ...columns].join(', ')} FROM (${refused}) ORDER BY "row" LIMIT ${MOST_TOLD}`,
  );
  const plan = compileFeaturePlan(scorer.manifest);
  const told = rows.map((row) => {
    const unreadable = row[UNREADABLE];
    if (typeof unreadable === 'string') return { row: Number(row.row), reason: unreadable };
    const request = Object.create(null) as Record<string, AttributeValue>;
    for (const { input, column } of inputs) {
      const value = row[column];
      if (value === null || value === undefined || !input.name.startsWith('request.')) continue;
      request[input.name.slice('request.'.length)] =
        typeof value === 'boolean' || typeof value === 'string' ? value : Number(value);
    }
    const nothing = Object.create(null) as Attributes;
    let reason = 'the model takes no such row';
    try {
      plan.run({ request, entities: nothing as never, candidates: [] }, null, 0);
    } catch (error) {
      reason = toHotloopError(error).message;
    }
    return { row: Number(row.row), reason };
  });
  await writeRefusals(told, where);
}

/** The same, of reasons that are known. */
export async function writeRefusals(
  refusals: readonly { readonly row: number; readonly reason: string }[],
  where: { readonly work: string; readonly part: number; readonly token: number },
): Promise<void> {
  const inOrder = refusals.toSorted((a, b) => a.row - b.row);
  const lines = inOrder.slice(0, MOST_TOLD).map((refusal) => `${JSON.stringify(refusal)}\n`);
  const path = fileOf(where.work, where.part);
  const temporary = `${path}.${where.token}.tmp`;
  await writeFile(temporary, lines.join(''));
  await rename(temporary, path);
}

/** All parts' refused rows in one file, in order. False when there are none. */
export async function gatherRefused(work: string, parts: number, to: string): Promise<boolean> {
  await rm(to, { force: true });
  let isAny = false;
  for (let part = 0; part < parts; part++) {
    const text = await readFile(fileOf(work, part)).catch(() => undefined);
    if (text === undefined) continue;
    await appendFile(to, text);
    isAny = true;
  }
  return isAny;
}
