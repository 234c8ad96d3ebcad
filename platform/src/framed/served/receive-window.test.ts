import { once } from 'node:events';
import { connect } from 'node:http2';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import { expect, it } from 'vitest';
import { createAuthenticator } from '../../auth/authorization.ts';
import { startGrpcServer } from '../../grpc/server.ts';
import { silentLog } from '../../log.ts';

it('lets a client send large messages without a round trip for every 64 KiB', async () => {
  await using server = await startGrpcServer({
    services: [],
    definitions: loadDefinitions(['hotloop/v1/decision.proto']),
    address: '127.0.0.1:0',
    authenticator: createAuthenticator(undefined),
    log: silentLog(),
  });
  const session = connect(`http://${server.address}`);
  try {
    // The first settings are the library's own; ours follow once the session is open.
    while (session.remoteSettings.initialWindowSize !== 4 * 1024 * 1024)
      await once(session, 'remoteSettings');
    await expect.poll(() => session.state.remoteWindowSize).toBe(16 * 1024 * 1024);
  } finally {
    session.destroy();
  }
});
