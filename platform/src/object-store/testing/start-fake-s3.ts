import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * The part of S3's HTTP interface that our use of the SDK needs, in memory; signatures are not checked. Pages have
 * two objects.
 */
export async function startFakeS3(): Promise<AsyncDisposable & { readonly endpoint: string }> {
  const objects = new Map<string, { body: Buffer; modified: Date }>();
  const server = createServer((request, response) => {
    void serve(objects, request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function serve(
  objects: Map<string, { body: Buffer; modified: Date }>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '', 'http://s3');
  const key = decodeURIComponent(url.pathname.split('/').slice(2).join('/'));
  if (request.method === 'PUT') {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const encoded = request.headers['content-encoding']?.includes('aws-chunked') === true;
    const body = Buffer.concat(chunks);
    objects.set(key, { body: encoded ? withoutChunks(body) : body, modified: new Date() });
    response.writeHead(200, { etag: '"1"' }).end();
  } else if (request.method === 'DELETE') {
    objects.delete(key);
    response.writeHead(204).end();
  } else if (url.searchParams.get('list-type') === '2') {
    response.writeHead(200, { 'content-type': 'application/xml' }).end(listing(objects, url.searchParams));
  } else {
    const found = objects.get(key);
    if (found) response.writeHead(200).end(found.body);
    else response.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>');
  }
}

function listing(objects: Map<string, { body: Buffer; modified: Date }>, query: URLSearchParams): string {
  const after = query.get('continuation-token') ?? '';
  const keys = [...objects.keys()]
    .filter((key) => key.startsWith(query.get('prefix') ?? '') && key > after)
    .sort();
  const page = keys.slice(0, 2);
  const contents = page.map((key) => {
    const { body, modified } = objects.get(key) as { body: Buffer; modified: Date };
    return `<Contents><Key>${key}</Key><Size>${body.length}</Size><LastModified>${modified.toISOString()}</LastModified></Contents>`;
  });
  const more = keys.length > 2 ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : '';
  return `<ListBucketResult><IsTruncated>${keys.length > 2}</IsTruncated>${contents.join('')}${more}</ListBucketResult>`;
}

/** Decodes aws-chunked: lines of `SIZE[;signature]`, each followed by SIZE bytes. */
function withoutChunks(body: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const end = body.indexOf('\r\n', at);
    const size = Number.parseInt(body.subarray(at, end).toString(), 16);
    if (!(size > 0)) break;
    parts.push(body.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
  return Buffer.concat(parts);
}
