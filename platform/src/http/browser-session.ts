import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';

/** Encrypts the key into the cookie that a browser gets at login. Only this server can decrypt it. */
export interface BrowserSessions {
  /** Seals an API key (or another bearer token) into a cookie value that expires `lifetimeMs` from now. */
  seal(key: string): string;
  /** The key in a cookie; undefined for a cookie that is not ours, was changed, or has expired. */
  open(cookie: string): string | undefined;
  /** The `x-csrf-token` that a write with this cookie must send. */
  csrfToken(cookie: string): string;
  isCsrfToken(cookie: string, token: string): boolean;
  readonly lifetimeMs: number;
}

export const SESSION_COOKIE = 'hotloop_session';

/** Options of the session cookie. */
export function sessionCookie(sessions: BrowserSessions, secure: boolean) {
  const maxAge = Math.floor(sessions.lifetimeMs / 1000);
  return { httpOnly: true, sameSite: 'strict', secure, path: '/', maxAge } as const;
}

export const CSRF_HEADER = 'x-csrf-token';

const LIFETIME_MS = 12 * 3_600_000;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Sessions without a store: the cookie is the key and its expiry, encrypted with AES-256-GCM. Each request is
 * authenticated like one with that key, so revoking the key ends its sessions. Without a given secret, a process
 * generates its own, and a restart ends all sessions; several servers behind one name must share a secret.
 */
export function browserSessions(secret: string | undefined, now: () => number = Date.now): BrowserSessions {
  const sealing = secret === undefined ? randomBytes(32) : derive(secret, 'session');
  const signing = createHmac('sha256', sealing).update('csrf').digest();
  const csrfToken = (cookie: string) => createHmac('sha256', signing).update(cookie).digest('base64url');
  return {
    lifetimeMs: LIFETIME_MS,
    seal(key) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', sealing, nonce);
      const content = JSON.stringify({ key, until: now() + LIFETIME_MS });
      const sealed = Buffer.concat([cipher.update(content, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url');
    },
    open(cookie) {
      try {
        const bytes = Buffer.from(cookie, 'base64url');
        const decipher = createDecipheriv('aes-256-gcm', sealing, bytes.subarray(0, NONCE_BYTES));
        decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
        const sealed = bytes.subarray(NONCE_BYTES + TAG_BYTES);
        const content = Buffer.concat([decipher.update(sealed), decipher.final()]).toString('utf8');
        const { key, until } = JSON.parse(content) as { key: string; until: number };
        return until > now() ? key : undefined;
      } catch {
        return undefined;
      }
    },
    csrfToken,
    isCsrfToken(cookie, token) {
      const [wanted, given] = [digest(csrfToken(cookie)), digest(token)];
      return timingSafeEqual(wanted, given);
    },
  };
}

function derive(secret: string, purpose: string): Buffer {
  return createHmac('sha256', secret).update(`hotloop ${purpose}`).digest();
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
