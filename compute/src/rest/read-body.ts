import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip, inflate } from 'node:zlib';
import { HotloopError } from '@hotloop/proto/errors.ts';

const DECODERS = { gzip: promisify(gunzip), deflate: promisify(inflate) } as const;

function tooLarge(maxBytes: number): HotloopError {
  return new HotloopError('RESOURCE_EXHAUSTED', `the request is larger than ${maxBytes} bytes`, {
    reason: 'too_large',
  });
}

/**
 * The whole body, decompressed according to content-encoding. Throws RESOURCE_EXHAUSTED `too_large`,
 * INVALID_ARGUMENT, CANCELLED.
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request) {
      length += chunk.length;
      if (length > maxBytes) throw tooLarge(maxBytes);
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof HotloopError) throw cause;
    throw new HotloopError('CANCELLED', 'the request ended before its body', { cause });
  }
  const body = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
  return decompress(body, request.headers['content-encoding'], maxBytes);
}

async function decompress(body: Buffer, encoding: string | undefined, maxBytes: number): Promise<Buffer> {
  if (encoding === undefined || encoding === '' || encoding === 'identity') return body;
  if (encoding !== 'gzip' && encoding !== 'deflate')
    throw new HotloopError('INVALID_ARGUMENT', 'content-encoding must be gzip, deflate or identity');
  try {
    return await DECODERS[encoding](body, { maxOutputLength: maxBytes });
  } catch (cause) {
    if (cause instanceof RangeError) throw tooLarge(maxBytes);
    throw new HotloopError('INVALID_ARGUMENT', `the body is not ${encoding}`, { cause });
  }
}
