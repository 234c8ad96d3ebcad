import { createHash } from 'node:crypto';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { FastifyReply } from 'fastify';
import type { Authenticator } from '../auth/authorization.ts';
import { type BrowserSessions, SESSION_COOKIE, sessionCookie } from './browser-session.ts';
import { type OidcLoginSettings, type OidcTokens, tokensOfRefresh } from './oidc-issuer.ts';

/** What a browser stores for a login: the token that is valid here and, if there is one, the refresh token; both sealed. */
export interface OidcSession {
  readonly token: string;
  readonly cookie: string;
  /** Null when the issuer gave none, or one too large for a cookie: the login then ends when its token expires. */
  readonly refreshCookie: string | null;
}

/** Begins and renews logins at an issuer. */
export interface OidcSessions {
  /** The session for these tokens; null when none of them is valid here, or none fits into a cookie. */
  begin(tokens: OidcTokens): Promise<OidcSession | null>;
  /**
   * A new session from a refresh cookie; null when the issuer rejects it. Tabs that ask at the same time share one answer, because many issuers
   * accept a refresh token only once. Throws UNAVAILABLE while the issuer cannot be reached.
   */
  renew(refreshCookie: string | undefined): Promise<OidcSession | null>;
  set(reply: FastifyReply, session: OidcSession, secure: boolean): void;
}

export const REFRESH_COOKIE = 'hotloop_refresh';
/** Browsers send the refresh token to this path only. */
export const REFRESH_PATH = '/v1/session';
/** Largest cookie that browsers store. */
const MOST_COOKIE = 4_000;
const SHARED_MS = 30_000;

export function createOidcSessions(
  settings: OidcLoginSettings,
  authenticator: Authenticator,
  sessions: BrowserSessions,
  now: () => number = Date.now,
): OidcSessions {
  const renewals = new Map<string, { readonly at: number; readonly session: Promise<OidcSession | null> }>();

  async function begin({ access_token: access, id_token: id, refresh_token: refresh }: OidcTokens) {
    for (const token of [access, id]) {
      if (token === undefined || !(await counts(token))) continue;
      const cookie = sessions.seal(token);
      if (cookie.length > MOST_COOKIE) continue;
      const refreshCookie = refresh === undefined ? null : sessions.seal(refresh);
      const fits = refreshCookie !== null && refreshCookie.length <= MOST_COOKIE;
      return { token, cookie, refreshCookie: fits ? refreshCookie : null };
    }
    return null;
  }

  async function counts(token: string): Promise<boolean> {
    try {
      await authenticator.authenticate((name) => (name === 'authorization' ? `Bearer ${token}` : undefined));
      return true;
    } catch (error) {
      if (error instanceof HotloopError && error.code === 'UNAUTHENTICATED') return false;
      throw error;
    }
  }

  async function renewed(refresh: string): Promise<OidcSession | null> {
    const tokens = await tokensOfRefresh(settings, refresh);
    // An issuer that gives no new refresh token accepts the old one again.
    return tokens === null ? null : begin({ refresh_token: refresh, ...tokens });
  }

  return {
    begin,
    async renew(refreshCookie) {
      const refresh = refreshCookie === undefined ? undefined : sessions.open(refreshCookie);
      if (refresh === undefined) return null;
      for (const [key, { at }] of renewals) if (now() - at > SHARED_MS) renewals.delete(key);
      const key = createHash('sha256').update(refresh).digest('base64url');
      const known = renewals.get(key);
      if (known) return known.session;
      const session = renewed(refresh);
      renewals.set(key, { at: now(), session });
      session.catch(() => renewals.delete(key));
      return session;
    },
    set(reply, { cookie, refreshCookie }, secure) {
      const options = sessionCookie(sessions, secure);
      reply.setCookie(SESSION_COOKIE, cookie, options);
      if (refreshCookie === null) reply.clearCookie(REFRESH_COOKIE, { path: REFRESH_PATH });
      else reply.setCookie(REFRESH_COOKIE, refreshCookie, { ...options, path: REFRESH_PATH });
    },
  };
}

/** When a token expires, in milliseconds since 1970; null for API keys and for tokens without `exp`. The signature is not checked here. */
export function tokenEnd(token: string): number | null {
  const [, payload] = token.split('.');
  try {
    const { exp } = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString('utf8')) as { exp?: unknown };
    return typeof exp === 'number' ? exp * 1000 : null;
  } catch {
    return null;
  }
}
