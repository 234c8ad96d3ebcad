import { type ClientHttp2Session, connect, constants } from 'node:http2';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import { HOSTILE_TEXTS, type HostileInput, leakOf } from './hostile-input.ts';

const FILES = {
  preprocessor: ['hotloop/v1/prediction.proto'],
  compute: ['hotloop/v1/inference.proto', 'inference/grpc_service.proto'],
  postprocessor: ['hotloop/v1/decision.proto'],
  retrainer: ['hotloop/v1/registry.proto', 'hotloop/v1/jobs.proto', 'hotloop/v1/feedback.proto'],
} as const;

/** Codes of internal faults, which are wrong answers here. */
const WRONG = new Set([2, 13, 14, 15]);

/** Every method of every service: bytes that are not a message, invalid frames, and messages with hostile fields. */
export function grpcInputs(addresses: Readonly<Record<keyof typeof FILES, string>>): {
  readonly inputs: HostileInput[];
  close(): void;
} {
  const sessions: ClientHttp2Session[] = [];
  const inputs: HostileInput[] = [];
  for (const [service, files] of Object.entries(FILES)) {
    const address = addresses[service as keyof typeof FILES];
    const open = sessionOf(address, sessions);
    for (const definition of Object.values(loadDefinitions([...files])))
      for (const method of methodsOf(definition)) {
        const add = (what: string, body: Buffer, isFrameFault = false) =>
          inputs.push({
            door: 'grpc',
            name: `${method.path} ${what}`,
            send: () => call(open(), method.path, body, isFrameFault),
          });
        for (const [what, bytes] of GARBAGE) add(what, framed(bytes));
        add('a wrong length', Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]), true);
        add('half a frame', Buffer.from([0, 0, 0, 1]), true);
        add(
          'a compressed frame without a name for it',
          Buffer.concat([Buffer.from([1, 0, 0, 0, 3]), Buffer.from('abc')]),
          true,
        );
        for (const [index, text] of HOSTILE_TEXTS.entries()) {
          if ((index + method.path.length) % 2 === 0 && text.length > 0)
            add(`text ${JSON.stringify(text.slice(0, 20))}`, framed(hostileMessage(method, text)));
        }
      }
    inputs.push({
      door: 'grpc',
      name: `${service}: an unknown method`,
      send: () => call(open(), '/hotloop.v1.Nothing/Nothing', framed(Buffer.alloc(0)), false),
    });
  }
  return { inputs, close: () => sessions.forEach((session) => void session.destroy()) };
}

type Method = ServiceDefinition[string];

function methodsOf(definition: unknown): Method[] {
  if (typeof definition !== 'object' || definition === null || 'format' in definition) return [];
  return Object.values(definition).filter(
    (method): method is Method => typeof method === 'object' && method !== null && 'path' in method,
  );
}

/** Reopened when a fault closed it. */
function sessionOf(address: string, sessions: ClientHttp2Session[]): () => ClientHttp2Session {
  let session: ClientHttp2Session | undefined;
  return () => {
    if (!session || session.destroyed || session.closed) {
      session = connect(`http://${address}`);
      session.on('error', () => undefined);
      sessions.push(session);
    }
    return session;
  };
}

const GARBAGE: readonly [string, Buffer][] = [
  ['random bytes', Buffer.from('ffdeadbeef00017f80ffffffff', 'hex')],
  ['a field that never ends', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f])],
  ['a varint that never ends', Buffer.alloc(64, 0x80)],
  ['field number 0', Buffer.from([0x00, 0x01])],
  ['a group', Buffer.from([0x0b, 0x0b, 0x0b])],
  ['deep groups', Buffer.alloc(10_000, 0x0b)],
  ['text that is not UTF-8', Buffer.from([0x0a, 0x03, 0xff, 0xfe, 0xfd])],
  ['nested without end', nested(200)],
];

function nested(depth: number): Buffer {
  let bytes = Buffer.alloc(0);
  for (let level = 0; level < depth; level++) {
    const length = bytes.length;
    bytes = Buffer.concat([Buffer.from([0x12, ...varint(length)]), bytes]);
  }
  return bytes;
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

function framed(bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** A message with the text in every field that any request has; fields that this request does not have are left out. */
function hostileMessage(method: Method, text: string): Buffer {
  const named = {
    ...{ model: text, version: text, name: text, modelName: text, modelVersion: text, id: text },
    ...{ predictionId: text, runId: text, rolloutId: text, actor: text, reason: text, note: text, key: text },
    ...{ entities: { [text || 'a']: text }, labels: [text], candidates: [{ id: text }], datatype: text },
  };
  for (const message of [
    {
      ...named,
      items: [named],
      requests: [named],
      outcomes: [named],
      request: named,
      inputs: [{ name: text, datatype: text, shape: [-1] }],
    },
    { model: text, name: text, modelName: text, predictionId: text, runId: text },
    { model: text },
    {},
  ])
    try {
      return method.requestSerialize(message);
    } catch {
      // In this method the field has another type.
    }
  return Buffer.alloc(0);
}

function call(
  session: ClientHttp2Session,
  path: string,
  body: Buffer,
  isFrameFault: boolean,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: path,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': '5S',
    });
    let status: number | undefined;
    let message = '';
    const read = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] !== undefined) status = Number(headers['grpc-status']);
      if (headers['grpc-message'] !== undefined)
        message = decodeURIComponent(String(headers['grpc-message']));
    };
    stream.on('response', read);
    stream.on('trailers', read);
    // A streaming method may send anything; its final status counts.
    stream.on('data', () => undefined);
    stream.on('error', () => undefined);
    stream.on('close', () => {
      const leak = leakOf(message, body.toString('utf8'));
      if (leak !== undefined) resolve(`the answer reveals ${JSON.stringify(leak)}`);
      else if (status === undefined) resolve(isFrameFault ? undefined : 'no status');
      else resolve(WRONG.has(status) && !isFrameFault ? `status ${status}: ${message}` : undefined);
    });
    stream.end(body);
  });
}
