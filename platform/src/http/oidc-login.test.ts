import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { expect, it } from 'vitest';
import { createJwtVerifier } from '../auth/jwt-verifier.ts';
import { openKeyring } from '../auth/keyring.ts';
import { silentLog } from '../log.ts';
import { openMetrics } from '../telemetry/metrics.ts';
import { browserSessions } from './browser-session.ts';
import { openHttpServer } from './http-server.ts';

/** An issuer whose token endpoint checks the PKCE verifier of the login. */
async function startIssuer() {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256', use: 'sig' };
  const begun = { challenge: '', nonce: '', roles: ['read'], lifetime: '5m' };
  /** The one that is taken next; each is taken once. */
  const refresh = { token: 'refresh-1', taken: 0 };
  const server = createServer(async (request, response) => {
    const answer = async () => {
      if (request.url === '/keys') return { keys: [jwk] };
      if (request.url !== '/token')
        return {
          ...{ issuer, jwks_uri: `${issuer}/keys` },
          ...{ authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token` },
        };
      const form = new URLSearchParams(await text(request));
      const challenge = createHash('sha256')
        .update(form.get('code_verifier') ?? '')
        .digest('base64url');
      const isRefresh = form.get('grant_type') === 'refresh_token';
      if (isRefresh && form.get('refresh_token') !== refresh.token) return null;
      if (!isRefresh && (form.get('code') !== 'good' || challenge !== begun.challenge)) return null;
      if (isRefresh) refresh.token = `refresh-${++refresh.taken + 1}`;
      const token = await new SignJWT({
        iss: issuer,
        aud: 'hotloop',
        sub: 'ada',
        roles: begun.roles,
        nonce: begun.nonce,
      })
        .setProtectedHeader({ alg: 'ES256', kid: 'k' })
        .setExpirationTime(begun.lifetime)
        .sign(privateKey);
      return { access_token: 'opaque', id_token: token, refresh_token: refresh.token };
    };
    const body = await answer();
    response.statusCode = body === null ? 400 : 200;
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  return {
    ...{ issuer, begun, refresh },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

it('logs a user in at an issuer, with a read-only role', async () => {
  await using issuer = await startIssuer();
  await using metrics = openMetrics('test');
  const tokens = createJwtVerifier({
    ...{ issuer: issuer.issuer, audience: 'hotloop', rolesClaim: 'roles', modelsClaim: 'models' },
    projectClaim: 'project',
  });
  await using authenticator = await openKeyring({ list: async () => [] }, silentLog(), {
    ...{ apiKeys: undefined, tokens },
  });
  await using server = await openHttpServer(
    {
      listen: '127.0.0.1:0',
      title: 'test',
      routes: [
        (app) => {
          const operate = { config: { requires: 'operate' } } as const;
          app.get('/v1/things', operate, async ({ caller }) => ({ subject: caller.subject }));
          app.post('/v1/things', operate, async () => ({ written: true }));
        },
      ],
      pages: {
        ...{ folder: '/nowhere', sessions: browserSessions(undefined) },
        oidc: { issuer: issuer.issuer, clientId: 'console', scope: 'openid' },
      },
    },
    { authenticator, metrics, log: silentLog() },
  );
  const at = `http://${server.address}`;
  const cookies = new Map<string, string>();
  const ask = async (path: string, init: RequestInit = {}) => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(at + path, {
      ...{ ...init, redirect: 'manual', headers: { cookie, ...init.headers } },
    });
    for (const line of response.headers.getSetCookie()) {
      const [name = '', value = ''] = line.split(';')[0]?.split('=') ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    return response;
  };
  const begin = async (page = '') => {
    const url = new URL((await ask(`/v1/session/oidc${page}`)).headers.get('location') ?? '');
    issuer.begun.challenge = url.searchParams.get('code_challenge') ?? '';
    issuer.begun.nonce = url.searchParams.get('nonce') ?? '';
    expect(url.searchParams.get('redirect_uri')).toBe(`${at}/v1/session/oidc/callback`);
    return url.searchParams.get('state') ?? '';
  };
  const comeBack = async (query: string) =>
    (await ask(`/v1/session/oidc/callback?${query}`)).headers.get('location');

  expect(await (await ask('/v1/session')).json()).toMatchObject({ loggedIn: false, oidc: true });
  const state = await begin();
  expect(await comeBack(`code=good&state=${state}`)).toBe('/');
  const session = (await (await ask('/v1/session')).json()) as { csrfToken: string };
  expect(session).toMatchObject({ loggedIn: true, subject: 'ada', roles: ['read'] });
  expect(await (await ask('/v1/things')).json()).toEqual({ subject: 'ada' });
  const write = { method: 'POST', headers: { 'x-csrf-token': session.csrfToken } };
  expect((await ask('/v1/things', write)).status).toBe(403);

  // The state of another login, a used state, an invalid code, and a token with another login's nonce.
  await begin();
  expect(await comeBack(`code=good&state=${state}`)).toBe('/?login=expired');
  expect(await comeBack(`code=good&state=${state}`)).toBe('/?login=expired');
  expect(await comeBack(`error=access_denied&state=${await begin()}`)).toBe('/?login=refused');
  const other = await begin();
  issuer.begun.nonce = 'another';
  expect(await comeBack(`code=good&state=${other}`)).toBe('/?login=refused');
  expect((await ask(`/v1/session/oidc/callback?code=bad&state=${await begin()}`)).status).toBe(503);

  // Back to the page where the login was asked for, which must be one of this console.
  const page = await begin(`?page=${encodeURIComponent('/models/m/runs?only=failed')}`);
  issuer.begun.lifetime = '40s';
  expect(await comeBack(`code=good&state=${page}`)).toBe('/models/m/runs?only=failed');
  for (const elsewhere of ['//evil.example', '/\\evil.example', 'https://evil.example', '/a\r\nb'])
    expect((await ask(`/v1/session/oidc?page=${encodeURIComponent(elsewhere)}`)).status).toBe(400);

  // A login that is about to end is renewed when its pages ask; two that ask at once take the refresh token once.
  issuer.begun.lifetime = '5m';
  const tabs = await Promise.all([ask('/v1/session'), ask('/v1/session')]);
  for (const tab of tabs) expect(await tab.json()).toMatchObject({ loggedIn: true, subject: 'ada' });
  expect(issuer.refresh.taken).toBe(1);
  const renewed = (await (await ask('/v1/session')).json()) as { csrfToken: string; endsInMs: number };
  expect(renewed.endsInMs).toBeGreaterThan(60_000);
  expect(issuer.refresh.taken).toBe(1);
  // Also one that has ended, for as long as the issuer lets it.
  cookies.delete('hotloop_session');
  expect(await (await ask('/v1/session')).json()).toMatchObject({ loggedIn: true, subject: 'ada' });
  expect(issuer.refresh.taken).toBe(2);
  issuer.refresh.token = 'withdrawn';
  cookies.delete('hotloop_session');
  expect(await (await ask('/v1/session')).json()).toMatchObject({ loggedIn: false, oidc: true });
  expect((await ask('/v1/things')).status).toBe(401);
});
