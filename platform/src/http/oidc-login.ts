import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { z } from '../config.ts';
import type { BrowserSessions } from './browser-session.ts';
import type { RouteModule } from './http-app.ts';
import { endpointsOf, type OidcLoginSettings, tokensOfCode } from './oidc-issuer.ts';
import type { OidcSessions } from './oidc-sessions.ts';

const LOGIN_COOKIE = 'hotloop_login';
const LOGIN_S = 600;
/** A path within this console, never on another site. */
const OWN_PAGE = /^\/(?:[\w.~%-][\w.~%/-]*)?(?:\?[\w.~%&=-]*)?$/;

const begunSchema = z.object({
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  page: z.string(),
});
/**
 * Logs a user in at an OpenID Connect issuer: authorization code flow with PKCE (RFC 7636) and a nonce. The issued token is verified like every
 * token and, like a key, sealed in the session cookie. It is valid until it expires, and is renewed before that if the issuer gave a refresh token
 * (`oidc-sessions.ts`). Failures redirect to the console with `?login=REASON`.
 */
export function oidcLoginRoutes(
  settings: OidcLoginSettings,
  sessions: BrowserSessions,
  logins: OidcSessions,
): RouteModule {
  const redirectUri = (request: FastifyRequest) =>
    `${(settings.consoleUrl ?? `${request.protocol}://${request.host}`).replace(/\/$/, '')}/v1/session/oidc/callback`;
  return (app) => {
    app.get(
      '/v1/session/oidc',
      {
        config: { requires: 'public' },
        schema: {
          summary: 'Log in at the OpenID Connect issuer',
          querystring: z.object({
            page: z.string().max(500).regex(OWN_PAGE).default('/').describe('Where to be afterwards'),
          }),
        },
      },
      async (request, reply) => {
        const { authorization_endpoint: endpoint } = await endpointsOf(settings.issuer);
        const begun = { state: random(), nonce: random(), verifier: random(), page: request.query.page };
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
        const tokens = await tokensOfCode(settings, code, begun.verifier, redirectUri(request));
        if (tokens.id_token !== undefined && nonceOf(tokens.id_token) !== begun.nonce)
          return reply.redirect('/?login=refused');
        const session = await logins.begin(tokens);
        if (session === null) return reply.redirect('/?login=not_taken');
        logins.set(reply, session, request.protocol === 'https');
        return reply.redirect(begun.page);
      },
    );
  };
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
