import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDuckDb, parquetSource } from '../duckdb/duckdb.ts';
import { ParquetReader, ParquetWriter } from './parquet-file.ts';

const COLUMNS = [
  { name: 'id', type: 'text' },
  { name: 'at', type: 'timestamp' },
  { name: 'row', type: 'int32' },
  { name: 'month=Jan', type: 'float' },
] as const;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hotloop-parquet-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function write(path: string): Promise<{ sha256: string }> {
  await using writer = await ParquetWriter.create(path, COLUMNS);
  const at = Date.UTC(2026, 1, 3, 4, 5, 6, 789);
  await writer.writeGroup([
    ['a', 'ü', ''],
    Float64Array.of(at, 0, -1),
    Int32Array.of(1, -2, 3),
    Float32Array.of(0.5, 1, -0),
  ]);
  await writer.writeGroup([['z'], Float64Array.of(at), Int32Array.of(9), Float32Array.of(7)]);
  return await writer.finish({ model: 'm' });
}

describe('Parquet files', () => {
  it('are read by DuckDB as they were written, and have the same bytes each time', async () => {
    const [path, other] = [join(folder, 'one.parquet'), join(folder, 'two.parquet')];
    expect((await write(path)).sha256).toBe((await write(other)).sha256);
    await using database = await openDuckDb();
    const rows = await database.query(`SELECT * FROM ${parquetSource([path])}`);
    expect(rows).toEqual([
      { id: 'a', at: new Date(Date.UTC(2026, 1, 3, 4, 5, 6, 789)), row: 1, 'month=Jan': 0.5 },
      { id: 'ü', at: new Date(0), row: -2, 'month=Jan': 1 },
      { id: '', at: new Date(-1), row: 3, 'month=Jan': -0 },
      { id: 'z', at: new Date(Date.UTC(2026, 1, 3, 4, 5, 6, 789)), row: 9, 'month=Jan': 7 },
    ]);
  });

  it('are read here by column', async () => {
    const path = join(folder, 'three.parquet');
    await write(path);
    await using reader = await ParquetReader.open(path);
    expect(reader).toMatchObject({ columns: COLUMNS, rows: 4, groups: [3, 1], metadata: { model: 'm' } });
    expect(await reader.read(0, 0)).toEqual(['a', 'ü', '']);
    expect(await reader.read(0, 1)).toEqual(Float64Array.of(Date.UTC(2026, 1, 3, 4, 5, 6, 789), 0, -1));
    expect(await reader.read(1, 2)).toEqual(Int32Array.of(9));
    expect(await reader.read(0, 3)).toEqual(Float32Array.of(0.5, 1, -0));
  });

  it('that are damaged are rejected', async () => {
    const path = join(folder, 'bad.parquet');
    await writeFile(path, 'PAR1 nothing of the kind');
    await expect(ParquetReader.open(path)).rejects.toMatchObject({ code: 'DATA_LOSS' });
    await expect(ParquetReader.open(join(folder, 'none'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
