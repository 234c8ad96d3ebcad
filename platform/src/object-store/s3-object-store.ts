import { createReadStream, createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { checkedKey, notFound, storeAway } from './object-key.ts';
import type { ObjectStore } from './object-store.ts';

export interface S3Options {
  readonly bucket: string;
  /** Prepended to every key, without leading and trailing slashes; may be empty. */
  readonly prefix: string;
  /** For services other than Amazon's, such as MinIO. Default: AWS_ENDPOINT_URL, else Amazon's. */
  readonly endpoint?: string;
  /** Default: the SDK's own search (AWS_REGION, profile), else us-east-1. */
  readonly region?: string;
  /** Default: the SDK's own search (environment, profile, role of the machine). */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/**
 * Objects in a bucket. Disposal ends its connections. Every request is tried up to three times and has a time limit.
 */
export function s3ObjectStore(options: S3Options): ObjectStore & Disposable {
  const found = new S3Client({}).config.region;
  const client = new S3Client({
    region: options.region ?? (() => found().catch(() => 'us-east-1')),
    maxAttempts: 3,
    requestHandler: { connectionTimeout: 3000, requestTimeout: 60_000 },
    // The bucket in the path: in the name of the host it needs DNS that a server of one's own seldom has (`bucket.s3`).
    forcePathStyle: true,
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
  });
  const Bucket = options.bucket;
  const before = options.prefix === '' ? '' : `${options.prefix}/`;
  const keyOf = (key: string) => `${before}${checkedKey(key)}`;
  const read = async (key: string): Promise<Readable> => {
    const Key = keyOf(key);
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key })).catch(failed(key));
    if (!Body) throw notFound(key, undefined);
    return Body as Readable;
  };
  return {
    async put(key, bytes) {
      const Key = keyOf(key);
      await client.send(new PutObjectCommand({ Bucket, Key, Body: bytes })).catch(failed(key));
    },
    async putFile(key, path) {
      const Key = keyOf(key);
      const upload = new Upload({ client, params: { Bucket, Key, Body: createReadStream(path) } });
      await upload.done().catch(failed(key));
    },
    async get(key) {
      const body = await read(key);
      try {
        return Buffer.concat(await body.toArray());
      } catch (cause) {
        throw storeAway(cause);
      }
    },
    async getFile(key, path) {
      const body = await read(key);
      await pipeline(body, createWriteStream(path)).catch((cause: unknown) => {
        throw storeAway(cause);
      });
    },
    async *list(prefix) {
      let token: string | undefined;
      do {
        const page = await client
          .send(new ListObjectsV2Command({ Bucket, Prefix: `${before}${prefix}`, ContinuationToken: token }))
          .catch(failed(prefix));
        for (const { Key = '', Size = 0, LastModified } of page.Contents ?? [])
          yield { key: Key.slice(before.length), bytes: Size, modifiedMs: LastModified?.getTime() ?? 0 };
        token = page.NextContinuationToken;
      } while (token !== undefined);
    },
    async remove(key) {
      await client.send(new DeleteObjectCommand({ Bucket, Key: keyOf(key) })).catch(failed(key));
    },
    [Symbol.dispose]: () => client.destroy(),
  };
}

function failed(key: string): (cause: unknown) => never {
  return (cause) => {
    const name = cause instanceof Error ? cause.name : '';
    if (name === 'NoSuchKey' || name === 'NotFound') throw notFound(key, cause);
    if (name === 'AccessDenied' || name === 'InvalidAccessKeyId' || name === 'SignatureDoesNotMatch')
      throw new HotloopError('PERMISSION_DENIED', 'the store rejects these credentials', { cause });
    throw storeAway(cause);
  };
}
