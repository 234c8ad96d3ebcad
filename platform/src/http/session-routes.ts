import { HotloopError } from '@hotloop/proto/errors.ts';
import type { FastifyRequest } from 'fastify';
import type { Authenticator, HeaderOf } from '../auth/authorization.ts';
import { ROLES } from '../auth/authorization.ts';
import { z } from '../config.ts';
import { type BrowserSessions, CSRF_HEADER, SESSION_COOKIE, sessionCookie } from './browser-session.ts';
import type { RouteModule } from './http-app.ts';

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

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
});

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

/** Routes to log in with an API key, to see who is logged in, and to log out. */
export function sessionRoutes(
  authenticator: Authenticator,
  sessions: BrowserSessions,
  oidc = false,
): RouteModule {
  const describe = async (header: HeaderOf, csrf: string) => {
    if (!authenticator.required)
      return { loginRequired: false, loggedIn: true, subject: '', roles: [...ROLES], csrfToken: '', oidc };
    const { subject, roles } = await authenticator.authenticate(header);
    return { loginRequired: true, loggedIn: true, subject, roles: [...roles], csrfToken: csrf, oidc };
  };
  const nobody = { loginRequired: true, loggedIn: false, subject: '', roles: [], csrfToken: '', oidc };
  return (app) => {
    app.get(
      '/v1/session',
      { config: { requires: 'public' }, schema: { response: { 200: sessionSchema } } },
      async (request) => {
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
        const session = await describe(
          (name) => (name === 'authorization' ? `Bearer ${key}` : undefined),
          sessions.csrfToken(cookie),
        );
        reply.setCookie(SESSION_COOKIE, cookie, sessionCookie(sessions, request.protocol === 'https'));
        return session;
      },
    );
    app.delete(
      '/v1/session',
      { config: { requires: 'public' }, schema: { response: { 200: sessionSchema } } },
      async (_request, reply) => {
        reply.clearCookie(SESSION_COOKIE, { path: '/' });
        return authenticator.required ? nobody : describe(() => undefined, '');
      },
    );
  };
}
