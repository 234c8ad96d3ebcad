import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthenticator } from '@hotloop/platform/auth/authorization.ts';
import { openHttpServer } from '@hotloop/platform/http/http-server.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openMetrics } from '@hotloop/platform/telemetry/metrics.ts';
import { makeTestCertificates } from '@hotloop/platform/testing/test-certificates.ts';
import { TlsIdentity } from '@hotloop/platform/tls/tls-identity.ts';
import { expect, it } from 'vitest';
import { ControlClient } from './control-client.ts';

it('shows its certificate to a control API with mutual TLS, and trusts only the CA that it was given', async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-control-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const files = await makeTestCertificates(folder);
  const tls = stack.use(await TlsIdentity.open(files, silentLog(), 1e9));
  const metrics = stack.use(openMetrics('test'));
  const server = stack.use(
    await openHttpServer(
      {
        listen: '127.0.0.1:0',
        title: 'test',
        routes: [(app) => void app.get('/v1/x', { config: { requires: 'read' } }, async () => ({ ok: 1 }))],
      },
      { authenticator: createAuthenticator(undefined), metrics, log: silentLog(), tls },
    ),
  );
  const { signal } = new AbortController();
  const url = `https://${server.address}`;
  const [rootCertificates, certificate, privateKey] = await Promise.all(
    [files.ca, files.certificate, files.key].map((file) => readFile(file)),
  );
  const ask = (given: ConstructorParameters<typeof ControlClient>[0]['tls']) =>
    new ControlClient({ url, signal, ...(given ? { tls: given } : {}) }).get('/v1/x');
  if (!rootCertificates || !certificate || !privateKey) throw new Error('the certificates were made');
  await expect(ask({ rootCertificates, certificate, privateKey })).resolves.toEqual({ ok: 1 });
  await expect(ask({ rootCertificates })).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  await expect(ask(undefined)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});
