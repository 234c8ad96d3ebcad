import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { FastifyRequest } from 'fastify';
import type { Authenticator } from '../auth/authorization.ts';
import { z } from '../config.ts';
import { type BrowserSessions, SESSION_COOKIE, sessionCookie } from './browser-session.ts';
import type { RouteModule } from './http-app.ts';

export interface OidcLoginSettings {
  /** The authenticator must accept its tokens. */
  readonly issuer: string;
  readonly clientId: string;
  /** Absent for a public client; PKCE protects the exchange in either case. */
  readonly clientSecret?: string | undefined;
  /** Address of the console as browsers see it; default: as in the request. */
  readonly consoleUrl?: string | undefined;
  readonly scope: string;
}

const LOGIN_COOKIE = 'hotloop_login';
const LOGIN_S = 600;
const TIMEOUT_MS = 5_000;
/** Largest cookie that browsers store. */
const MOST_COOKIE = 4_000;

const begunSchema = z.object({ state: z.string(), nonce: z.string(), verifier: z.string() });
const endpointsSchema = z.object({
  issuer: z.string(),
  authorization_endpoint: z.url(),
  token_endpoint: z.url(),
});
const tokensSchema = z.object({ access_token: z.string().optional(), id_token: z.string().optional() });

/**
 * Logs a user in at an OpenID Connect issuer: authorization code flow with PKCE (RFC 7636) and a nonce. The issued
 * token is verified like every token and, like a key, sealed in the session cookie; it is valid until it expires.
 * Failures redirect to the console with `?login=REASON`.
 */
export function oidcLoginRoutes(
  settings: OidcLoginSettings,
  authenticator: Authenticator,
  sessions: BrowserSessions,
): RouteModule {
  const redirectUri = (request: FastifyRequest) =>
    `${(settings.consoleUrl ?? `${request.protocol}://${request.host}`).replace(/\/$/, '')}/v1/session/oidc/callback`;
  return (app) => {
    app.get(
      '/v1/session/oidc',
      { config: { requires: 'public' }, schema: { summary: 'Log in at the OpenID Connect issuer' } },
      async (request, reply) => {
        const { authorization_endpoint: endpoint } = await endpointsOf(settings.issuer);
        const begun = { state: random(), nonce: random(), verifier: random() };
        const url = new URL(endpoint);
        const parameters = {
          ...{ response_type: 'code', client_id: settings.clientId, redirect_uri: redirectUri(request) },
          ...{ scope: settings.scope, state: begun.state, nonce: begun.nonce },
          ...{ code_challenge: sha256url(begun.verifier), code_challenge_method: 'S256' },
        };
        for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
        // Lax, because the issuer redirects the browser from another site.
        reply.setCookie(LOGIN_COOKIE, sessions.seal(JSON.stringify(begun)), {
          ...{ httpOnly: true, sameSite: 'lax', secure: request.protocol === 'https' },
          ...{ path: '/v1/session/oidc', maxAge: LOGIN_S },
        });
        return reply.redirect(url.href);
      },
    );
    app.get(
      '/v1/session/oidc/callback',
      {
        config: { requires: 'public' },
        schema: {
          hide: true,
          querystring: z.object({ code: z.string().optional(), state: z.string().optional() }),
        },
      },
      async (request, reply) => {
        reply.clearCookie(LOGIN_COOKIE, { path: '/v1/session/oidc' });
        const begun = begunOf(request.cookies[LOGIN_COOKIE], sessions);
        const { code, state } = request.query;
        if (begun === null || state === undefined || !isSame(begun.state, state))
          return reply.redirect('/?login=expired');
        if (code === undefined) return reply.redirect('/?login=refused');
        const tokens = await exchange(settings, code, begun.verifier, redirectUri(request));
        if (tokens.id_token !== undefined && nonceOf(tokens.id_token) !== begun.nonce)
          return reply.redirect('/?login=refused');
        const cookie = await cookieOf(tokens, authenticator, sessions);
        if (cookie === null) return reply.redirect('/?login=not_taken');
        reply.setCookie(SESSION_COOKIE, cookie, sessionCookie(sessions, request.protocol === 'https'));
        return reply.redirect('/');
      },
    );
  };
}

/** The first of the issuer's tokens that is valid here, sealed; null when none is, or none fits into a cookie. */
async function cookieOf(
  { access_token: access, id_token: id }: z.output<typeof tokensSchema>,
  authenticator: Authenticator,
  sessions: BrowserSessions,
): Promise<string | null> {
  for (const token of [access, id]) {
    if (token === undefined) continue;
    try {
      await authenticator.authenticate((name) => (name === 'authorization' ? `Bearer ${token}` : undefined));
    } catch (error) {
      if (error instanceof HotloopError && error.code === 'UNAUTHENTICATED') continue;
      throw error;
    }
    const cookie = sessions.seal(token);
    if (cookie.length <= MOST_COOKIE) return cookie;
  }
  return null;
}

async function exchange(
  { issuer, clientId, clientSecret }: OidcLoginSettings,
  code: string,
  verifier: string,
  redirectUri: string,
): Promise<z.output<typeof tokensSchema>> {
  const { token_endpoint: endpoint } = await endpointsOf(issuer);
  const body = new URLSearchParams({
    ...{ grant_type: 'authorization_code', code, redirect_uri: redirectUri },
    ...{ client_id: clientId, code_verifier: verifier },
    ...(clientSecret === undefined ? {} : { client_secret: clientSecret }),
  });
  return ask(tokensSchema, endpoint, { method: 'POST', body });
}

/** OpenID Connect Discovery 1.0; read at each login, so that an issuer may move its endpoints. */
async function endpointsOf(issuer: string): Promise<z.output<typeof endpointsSchema>> {
  const found = await ask(endpointsSchema, `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
  if (found.issuer === issuer) return found;
  throw new HotloopError('UNAVAILABLE', 'the OpenID configuration names another issuer', {
    reason: 'issuer_unavailable',
  });
}

async function ask<T>(schema: z.ZodType<T>, url: string, init: RequestInit = {}): Promise<T> {
  try {
    const response = await fetch(url, {
      ...{ ...init, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) },
    });
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    return schema.parse(await response.json());
  } catch (cause) {
    throw new HotloopError('UNAVAILABLE', 'the login issuer gave an unexpected answer; try again', {
      reason: 'issuer_unavailable',
      cause,
    });
  }
}

function begunOf(cookie: string | undefined, sessions: BrowserSessions): z.output<typeof begunSchema> | null {
  const text = cookie === undefined ? undefined : sessions.open(cookie);
  try {
    return text === undefined ? null : begunSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** The signature is not checked, because the token came directly from the issuer over TLS. */
function nonceOf(token: string): unknown {
  try {
    const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8');
    return (JSON.parse(payload) as { nonce?: unknown }).nonce;
  } catch {
    return undefined;
  }
}

const random = () => randomBytes(32).toString('base64url');
const sha256url = (text: string) => createHash('sha256').update(text).digest('base64url');
const isSame = (a: string, b: string) =>
  timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());
