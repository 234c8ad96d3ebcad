import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';

export const AUDIENCE = 'hotloop';

/** An OpenID Connect issuer on this machine, with an OpenID configuration and one key at a time. */
export async function startIssuer() {
  const asked: string[] = [];
  let number = 0;
  const newKey = async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const kid = `k${++number}`;
    return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' } };
  };
  let current = await newKey();
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const body = request.url === '/keys' ? { keys: [current.jwk] } : { issuer, jwks_uri: `${issuer}/keys` };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  return {
    issuer,
    /** URLs that were asked for. */
    asked,
    settings: {
      ...{ issuer, audience: AUDIENCE, rolesClaim: 'realm.roles' },
      ...{ modelsClaim: 'hotloop_models', projectClaim: 'hotloop_project' },
    },
    sign: (claims: JWTPayload, key = current.privateKey) =>
      new SignJWT({ iss: issuer, aud: AUDIENCE, sub: 'ada', ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: current.kid })
        .setIssuedAt()
        .setExpirationTime(claims.exp ?? '5m')
        .sign(key),
    /** Tokens are signed with a new key from now on, and the old one is not published any more. */
    async rotate(): Promise<void> {
      current = await newKey();
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
