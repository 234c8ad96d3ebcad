import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { keyPart } from './object-key.ts';
import type { ObjectStore } from './object-store.ts';
import { openObjectStore } from './open-object-store.ts';
import { startFakeS3 } from './testing/start-fake-s3.ts';

interface Opened extends AsyncDisposable {
  readonly store: ObjectStore;
  readonly folder: string;
}

async function openFolder(): Promise<Opened> {
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-store-'));
  return {
    store: openObjectStore(join(folder, 'store')),
    folder,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

async function openBucket(): Promise<Opened> {
  const stack = new AsyncDisposableStack();
  const { folder } = stack.use(await openFolder());
  const { endpoint } = stack.use(await startFakeS3());
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const store = stack.use(openObjectStore('s3://bucket/some/prefix/', { endpoint, credentials }));
  return { store, folder, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/**
 * Also on another S3-compatible server where one is named, with a bucket of the name `hotloop-test` and any credentials that it accepts:
 * HOTLOOP_TEST_S3=http://KEY:SECRET@127.0.0.1:9000 (MinIO, Garage, versitygw, `moto_server`).
 */
const OTHER_S3 = process.env.HOTLOOP_TEST_S3;
if (OTHER_S3 === undefined) console.log('no other S3-compatible server is tried: HOTLOOP_TEST_S3 is not set');

async function openOtherBucket(): Promise<Opened> {
  const stack = new AsyncDisposableStack();
  const { folder } = stack.use(await openFolder());
  const { origin, username, password } = new URL(OTHER_S3 ?? '');
  const credentials = { accessKeyId: username, secretAccessKey: password };
  const address = `s3://hotloop-test/${randomUUID()}/`;
  const store = stack.use(openObjectStore(address, { endpoint: origin, credentials }));
  return { store, folder, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const STORES: readonly (readonly [string, () => Promise<Opened>])[] = [
  ['a folder', openFolder],
  ['a bucket', openBucket],
  ...(OTHER_S3 === undefined ? [] : [['a bucket of another server', openOtherBucket] as const]),
];

describe.each(STORES)('objects in %s', (_name, open) => {
  it('are read as they were stored, from memory and from files', async () => {
    await using opened = await open();
    const { store, folder } = opened;
    await store.put('a/b.bin', new Uint8Array([1, 2, 3]));
    await store.put('a/b.bin', new Uint8Array([4, 5]));
    expect([...(await store.get('a/b.bin'))]).toEqual([4, 5]);
    const path = join(folder, 'local');
    await writeFile(path, 'x'.repeat(100_000));
    await store.putFile('a/large', path);
    await store.getFile('a/large', `${path}-copy`);
    expect((await readFile(`${path}-copy`)).length).toBe(100_000);
  });

  it('are listed by prefix in the order of their keys, and removed', async () => {
    await using opened = await open();
    const { store } = opened;
    for (const key of ['e/a-b/1', 'e/a/2', 'e/a/1', 'e/b/1', 'f/1']) await store.put(key, Buffer.from(key));
    const keys = async (prefix: string) => {
      const found: string[] = [];
      for await (const { key, bytes } of store.list(prefix)) {
        expect(bytes).toBe(key.length);
        found.push(key);
      }
      return found;
    };
    expect(await keys('e/')).toEqual(['e/a-b/1', 'e/a/1', 'e/a/2', 'e/b/1']);
    expect(await keys('e/a/')).toEqual(['e/a/1', 'e/a/2']);
    expect(await keys('nothing/')).toEqual([]);
    await store.remove('e/a/1');
    await store.remove('e/a/1');
    expect(await keys('e/a/')).toEqual(['e/a/2']);
  });

  it('that do not exist are NOT_FOUND, and keys that leave the store are rejected', async () => {
    await using opened = await open();
    await expect(opened.store.get('a/none')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    for (const key of ['../x', 'a/../x', '/x', 'a//b', '.staging/x', '', 'a b'])
      await expect(opened.store.put(key, new Uint8Array())).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
  });
});

describe('addresses and keys', () => {
  it('of an unknown scheme are rejected', () => {
    expect(() => openObjectStore('ftp://host/x')).toThrow('s3://');
  });

  it('accept any text as a part', () => {
    expect([keyPart('view'), keyPart('a b/..'), keyPart('')]).toEqual(['view', 'a=20b=2f=2e=2e', '=']);
  });
});

it('uses the server that the environment names, with the bucket in the path', async () => {
  await using stack = new AsyncDisposableStack();
  const { endpoint } = stack.use(await startFakeS3());
  const given = {
    AWS_ENDPOINT_URL: endpoint.replace('127.0.0.1', 'localhost'),
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  };
  const before = { ...process.env };
  stack.defer(() => {
    process.env = before;
  });
  Object.assign(process.env, given);
  const store = stack.use(openObjectStore('s3://bucket/by-environment'));
  await store.put('a', Buffer.from('kept'));
  expect((await store.get('a')).toString()).toBe('kept');
  const direct = stack.use(
    openObjectStore('s3://bucket/by-environment', {
      endpoint,
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    }),
  );
  expect((await direct.get('a')).toString()).toBe('kept');
});
