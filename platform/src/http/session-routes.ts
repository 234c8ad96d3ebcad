import { HotloopError } from '@hotloop/proto/errors.ts';
import type { FastifyRequest } from 'fastify';
import type { Authenticator, HeaderOf } from '../auth/authorization.ts';
import { ROLES } from '../auth/authorization.ts';
import { z } from '../config.ts';
import { type BrowserSessions, CSRF_HEADER, SESSION_COOKIE, sessionCookie } from './browser-session.ts';
import type { RouteModule } from './http-app.ts';
import { type OidcSessions, REFRESH_COOKIE, REFRESH_PATH, tokenEnd } from './oidc-sessions.ts';

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);
/** A token that expires within this time is renewed when the page asks who is logged in. */
const RENEW_MS = 60_000;

const sessionSchema = z.object({
  /** False: no keys are configured, and everybody on this machine may do everything. */
  loginRequired: z.boolean(),
  loggedIn: z.boolean(),
  subject: z.string(),
  roles: z.array(z.string()),
  /** Must be sent with every write as x-csrf-token. */
  csrfToken: z.string(),
  /** True when /v1/session/oidc offers login at an issuer. */
  oidc: z.boolean(),
  /** Milliseconds until the login expires; requesting this route before that renews it. Null: the key does not expire. */
  endsInMs: z.number().nullable(),
});

type Session = z.output<typeof sessionSchema>;

/** The headers that authenticate a request: its own, or those derived from its session cookie. */
export function credentialsOf(request: FastifyRequest, sessions: BrowserSessions | undefined): HeaderOf {
  const own: HeaderOf = (name) => {
    const value = request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  const cookie = request.cookies?.[SESSION_COOKIE];
  if (sessions === undefined || cookie === undefined) return own;
  if (own('authorization') !== undefined || own('x-api-key') !== undefined) return own;
  const key = sessions.open(cookie);
  if (key === undefined) return own;
  if (!SAFE.has(request.method) && !sessions.isCsrfToken(cookie, own(CSRF_HEADER) ?? ''))
    throw new HotloopError('PERMISSION_DENIED', 'the page is out of date: load it again (no CSRF token)', {
      reason: 'csrf',
    });
  return (name) => (name === 'authorization' ? `Bearer ${key}` : undefined);
}

/** Routes to log in with an API key, to see who is logged in (which renews logins at an issuer), and to log out. */
export function sessionRoutes(
  authenticator: Authenticator,
  sessions: BrowserSessions,
  logins?: OidcSessions,
): RouteModule {
  const oidc = logins !== undefined;
  const describe = async (header: HeaderOf, csrf: string): Promise<Session> => {
    const known = { loggedIn: true, csrfToken: csrf, oidc };
    if (!authenticator.required)
      return { ...known, loginRequired: false, subject: '', roles: [...ROLES], endsInMs: null };
    const { subject, roles } = await authenticator.authenticate(header);
    const end = tokenEnd(header('authorization') ?? '');
    const endsInMs = end === null ? null : Math.max(0, end - Date.now());
    return { ...known, loginRequired: true, subject, roles: [...roles], endsInMs };
  };
  const nobody: Session = {
    ...{ loginRequired: true, loggedIn: false, subject: '', roles: [], csrfToken: '', oidc, endsInMs: null },
  };
  const present = async (request: FastifyRequest): Promise<Session> => {
    try {
      const cookie = request.cookies[SESSION_COOKIE];
      return await describe(
        credentialsOf(request, sessions),
        cookie === undefined ? '' : sessions.csrfToken(cookie),
      );
    } catch (error) {
      if (error instanceof HotloopError && error.code === 'UNAUTHENTICATED') return nobody;
      throw error;
    }
  };
  return (app) => {
    app.get(
      '/v1/session',
      { config: { requires: 'public' }, schema: { response: { 200: sessionSchema } } },
      async (request, reply) => {
        const session = await present(request);
        const isSound = session.loggedIn && (session.endsInMs === null || session.endsInMs > RENEW_MS);
        if (isSound || logins === undefined) return session;
        const renewed = await logins.renew(request.cookies[REFRESH_COOKIE]).catch((error: unknown) => {
          // The issuer cannot be reached: the session remains valid until it expires.
          if (session.loggedIn) return null;
          throw error;
        });
        if (renewed === null) return session;
        logins.set(reply, renewed, request.protocol === 'https');
        return describe(bearer(renewed.token), sessions.csrfToken(renewed.cookie));
      },
    );
    app.post(
      '/v1/session',
      {
        config: { requires: 'public' },
        schema: {
          body: z.strictObject({ apiKey: z.string().trim().min(1).max(8192) }),
          response: { 200: sessionSchema },
        },
      },
      async (request, reply) => {
        const key = request.body.apiKey;
        const cookie = sessions.seal(key);
        const session = await describe(bearer(key), sessions.csrfToken(cookie));
        reply.setCookie(SESSION_COOKIE, cookie, sessionCookie(sessions, request.protocol === 'https'));
        return session;
      },
    );
    app.delete(
      '/v1/session',
      { config: { requires: 'public' }, schema: { response: { 200: sessionSchema } } },
      async (_request, reply) => {
        reply.clearCookie(SESSION_COOKIE, { path: '/' });
        reply.clearCookie(REFRESH_COOKIE, { path: REFRESH_PATH });
        return authenticator.required ? nobody : describe(() => undefined, '');
      },
    );
  };
}

function bearer(key: string): HeaderOf {
  return (name) => (name === 'authorization' ? `Bearer ${key}` : undefined);
}
