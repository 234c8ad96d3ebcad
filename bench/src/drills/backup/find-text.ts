import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { openDuckDb, parquetSource } from '@hotloop/platform/duckdb/duckdb.ts';
import { findKeys } from '@hotloop/platform/redis/delete-keys.ts';
import type { RedisClient } from '@hotloop/platform/redis/redis.ts';

/** A place that contains the text, and how many bytes of it. */
export interface FoundText {
  readonly place: string;
  readonly bytes: number;
}

/**
 * Searches all files below a folder; compressed files (gzip, Parquet) are decompressed, others are searched byte by
 * byte.
 */
export async function findTextInFiles(text: string, folder: string, leaveOut: RegExp): Promise<FoundText[]> {
  const found: FoundText[] = [];
  await using database = await openDuckDb();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const place = relative(folder, path);
    if (!entry.isFile() || leaveOut.test(place)) continue;
    const bytes = await readFile(path).catch(() => Buffer.alloc(0));
    const plain = path.endsWith('.gz')
      ? gunzipSync(bytes)
      : path.endsWith('.parquet')
        ? Buffer.from(
            JSON.stringify(await database.query(`SELECT * FROM ${parquetSource([path])}`), (_, value) =>
              typeof value === 'bigint' ? String(value) : value,
            ),
          )
        : bytes;
    const times = plain.toString('latin1').split(text).length - 1;
    if (times > 0) found.push({ place, bytes: times * text.length });
  }
  return found;
}

/** Searches the names and values of all keys, of every type, as dumped by Redis. */
export async function findTextInRedis(text: string, redis: RedisClient): Promise<FoundText[]> {
  const found: FoundText[] = [];
  for await (const keys of findKeys(redis, '*'))
    for (const key of keys) {
      const value = await readValue(redis, key);
      const times = key.split(text).length - 1 + value.split(text).length - 1;
      if (times > 0) found.push({ place: `redis ${key}`, bytes: times * text.length });
    }
  return found;
}

async function readValue(redis: RedisClient, key: string): Promise<string> {
  switch (await redis.type(key)) {
    case 'string':
      return (await redis.get(key)) ?? '';
    case 'zset':
      return (await redis.zrange(key, '0', '-1')).join('\n');
    case 'set':
      return (await redis.smembers(key)).join('\n');
    case 'hash':
      return JSON.stringify(await redis.hgetall(key));
    case 'list':
      return (await redis.lrange(key, 0, -1)).join('\n');
    default:
      return '';
  }
}
