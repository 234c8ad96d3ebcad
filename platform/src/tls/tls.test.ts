import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { makeClientConstructor } from '@grpc/grpc-js';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthenticator } from '../auth/authorization.ts';
import { openChannel } from '../grpc/client.ts';
import { unary } from '../grpc/handlers.ts';
import { startGrpcServer } from '../grpc/server.ts';
import { openHttpServer } from '../http/http-server.ts';
import { silentLog } from '../log.ts';
import { openMetrics } from '../telemetry/metrics.ts';
import { makeTestCa, makeTestCertificate } from '../testing/test-certificates.ts';
import { serviceFetch } from './service-fetch.ts';
import { TlsIdentity } from './tls-identity.ts';

let folder = '';
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hotloop-tls-'));
  for (const ca of ['ca', 'other-ca']) await makeTestCa(folder, ca);
  for (const name of ['one', 'two']) await makeTestCertificate(folder, name, 'ca');
  await makeTestCertificate(folder, 'stranger', 'other-ca');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const open = (name: string, ca = 'ca') =>
  TlsIdentity.open(
    { certificate: at(`${name}.crt`), key: at(`${name}.key`), ca: at(`${ca}.crt`) },
    silentLog(),
    1e9,
  );

async function startServer(tls: TlsIdentity) {
  return startGrpcServer({
    services: [
      {
        name: 'hotloop.v1.FeedbackService',
        handlers: { RecordOutcomes: unary(async () => ({ results: [] })) },
      },
    ],
    definitions: loadDefinitions(['hotloop/v1/feedback.proto']),
    address: '127.0.0.1:0',
    authenticator: createAuthenticator(undefined),
    log: silentLog(),
    tls,
  });
}

/** The gRPC status of a call; 0 is OK. */
async function call(address: string, tls: TlsIdentity | undefined): Promise<number> {
  const channel = openChannel(address.replace('127.0.0.1', 'localhost'), { tls });
  const definition = loadDefinitions(['hotloop/v1/feedback.proto'])['hotloop.v1.FeedbackService'];
  const Client = makeClientConstructor(definition as Parameters<typeof makeClientConstructor>[0], 'x');
  const client = new Client(channel.address, channel.credentials, channel.options);
  const method = client.RecordOutcomes?.bind(client);
  if (method === undefined) throw new Error('no method');
  try {
    return await new Promise((resolve) => {
      method({ outcomes: [] }, { deadline: Date.now() + 3000 }, (error: { code: number } | null) =>
        resolve(error?.code ?? 0),
      );
    });
  } finally {
    client.close();
  }
}

function nameShownBy(address: string): Promise<string> {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe('gRPC over mutual TLS', () => {
  it('answers only callers with a certificate of the CA', async () => {
    using one = await open('one');
    using two = await open('two');
    using stranger = await open('stranger', 'ca');
    await using server = await startServer(one);
    expect(await call(server.address, two)).toBe(0);
    expect(await call(server.address, stranger)).not.toBe(0);
    expect(await call(server.address, undefined)).not.toBe(0);
  });

  it('presents a renewed certificate to new connections, and keeps the old one while the new one is incomplete', async () => {
    await copyFile(at('one.crt'), at('served.crt'));
    await copyFile(at('one.key'), at('served.key'));
    using served = await open('served');
    using caller = await open('two');
    await using server = await startServer(served);
    expect(await nameShownBy(server.address)).toBe('one');
    await copyFile(at('two.crt'), at('served.crt'));
    await served.reload();
    expect(await call(server.address, caller)).toBe(0);
    expect(await nameShownBy(server.address)).toBe('one');
    await copyFile(at('two.key'), at('served.key'));
    await served.reload();
    expect(await nameShownBy(server.address)).toBe('two');
    expect(await call(server.address, caller)).toBe(0);
  });
});

describe('HTTP over mutual TLS', () => {
  it('requires a certificate everywhere except for the probes', async () => {
    using tls = await open('one');
    const metrics = openMetrics('test');
    await using server = await openHttpServer(
      {
        listen: '127.0.0.1:0',
        title: 'test',
        routes: [
          (app) => void app.get('/secret', { config: { requires: 'operate' } }, async () => ({ ok: 1 })),
        ],
      },
      { authenticator: createAuthenticator(undefined), metrics, log: silentLog(), tls },
    );
    const status = (path: string, caller?: TlsIdentity) =>
      new Promise<number | undefined>((resolve, reject) => {
        const identity = caller ? { cert: caller.material.certificate, key: caller.material.key } : {};
        request(
          `https://${server.address}${path}`,
          { ca: tls.material.ca, ...identity, agent: false },
          (response) => {
            response.resume();
            resolve(response.statusCode);
          },
        )
          .on('error', reject)
          .end();
      });
    expect(await status('/livez')).toBe(200);
    expect(await status('/secret')).toBe(401);
    using stranger = await open('stranger', 'ca');
    expect(await status('/secret', stranger)).toBe(401);
    using two = await open('two');
    expect(await status('/secret', two)).toBe(200);

    // Calls of a service to another one, whose certificate is renewed while it runs.
    const asked = async (identity: TlsIdentity) =>
      (await serviceFetch(identity).fetch(`https://${server.address}/secret`)).status;
    expect(await asked(two)).toBe(200);
    expect(await asked(stranger)).toBe(401);
    using distrustful = await open('two', 'other-ca');
    await expect(asked(distrustful)).rejects.toThrow('fetch failed');
    const put = (name: string) =>
      Promise.all(['crt', 'key'].map((end) => copyFile(at(`${name}.${end}`), at(`caller.${end}`))));
    await put('stranger');
    using caller = await open('caller');
    const calls = serviceFetch(caller);
    expect((await calls.fetch(`https://${server.address}/secret`)).status).toBe(401);
    await put('two');
    await caller.reload();
    const answer = await calls.fetch(`https://${server.address}/secret`);
    expect(await answer.json()).toEqual({ ok: 1 });
    await metrics[Symbol.asyncDispose]?.();
  });
});

describe('TLS files', () => {
  it('that do not belong together prevent the start', async () => {
    await writeFile(at('bad.crt'), 'no certificate');
    await copyFile(at('one.key'), at('bad.key'));
    await expect(open('bad')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(open('absent')).rejects.toThrow('absent.crt cannot be read');
  });
});
