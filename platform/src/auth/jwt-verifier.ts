import { createHash } from 'node:crypto';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { type Caller, ROLES, type Role } from './authorization.ts';
import { modelsOf } from './project-store.ts';

export interface JwtSettings {
  /** `iss` of the tokens; its OpenID configuration says where the keys are. */
  readonly issuer: string;
  /** `aud` of the tokens; a token that was issued for another service is rejected. */
  readonly audience: string;
  /** URL of the keys; default: from the issuer's OpenID configuration. */
  readonly jwksUrl?: string | undefined;
  /** The claim with the roles; dots select nested fields, such as realm_access.roles. */
  readonly rolesClaim: string;
  /** The claim with the models that the caller may access; a token without it may access all. */
  readonly modelsClaim: string;
  /** The claim with the project that the caller belongs to; a token without it belongs to the whole installation. */
  readonly projectClaim: string;
}

/** Verifies tokens of one issuer. */
export interface JwtVerifier {
  /**
   * The caller that a token identifies: subject from `sub`, roles from the claim. A recently verified token is
   * answered synchronously. Rejects UNAUTHENTICATED for an invalid token, UNAVAILABLE when the issuer's keys cannot
   * be read.
   */
  verify(token: string): Caller | Promise<Caller>;
}

/** Asymmetric signatures only: tokens signed with a shared secret, or not at all, are rejected. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const CLOCK_TOLERANCE_S = 5;
const TIMEOUT_MS = 5000;
/** The issuer is asked again at most so often for a key that is not known, which is how soon a renewed one counts. */
const KEYS_COOLDOWN_MS = 1000;
const MOST_TOKEN_CHARACTERS = 16_384;
const MOST_KEPT = 10_000;
/** How long a verified token is cached; never beyond its expiry. */
const KEEP_MS = 60_000;

/** Whether a credential looks like a JSON Web Token; API keys never do. */
export function isJwt(credential: string): boolean {
  return /^eyJ[\w-]*\.[\w-]+\.[\w-]+$/.test(credential);
}

/** Throws INVALID_ARGUMENT for an issuer over plain HTTP, except on loopback. */
export function createJwtVerifier(settings: JwtSettings, now: () => number = Date.now): JwtVerifier {
  for (const url of [settings.issuer, settings.jwksUrl]) if (url !== undefined) refusePlain(url);
  let keys: Promise<JWTVerifyGetKey> | undefined;
  const kept = new Map<string, { readonly caller: Caller; readonly untilMs: number }>();
  const keysOf = () => {
    keys ??= findKeys(settings).catch((error: unknown) => {
      keys = undefined;
      throw error;
    });
    return keys;
  };
  const check = async (token: string, digest: string): Promise<Caller> => {
    const { payload } = await verifySignature(token, await keysOf(), settings, now());
    const caller = callerOf(payload, settings);
    const untilMs = Math.min(now() + KEEP_MS, (payload.exp ?? 0) * 1000);
    if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value ?? '');
    kept.set(digest, { caller, untilMs });
    return caller;
  };
  return {
    verify(token) {
      if (token.length > MOST_TOKEN_CHARACTERS)
        throw refused('the token is longer than 16,384 characters', 'invalid_token');
      const digest = createHash('sha256').update(token).digest('base64');
      const known = kept.get(digest);
      if (known && known.untilMs > now()) return known.caller;
      kept.delete(digest);
      return check(token, digest);
    },
  };
}

async function verifySignature(
  token: string,
  keys: JWTVerifyGetKey,
  { issuer, audience }: JwtSettings,
  nowMs: number,
) {
  try {
    return await jwtVerify(token, keys, {
      ...{ issuer, audience, algorithms: ALGORITHMS, clockTolerance: CLOCK_TOLERANCE_S },
      requiredClaims: ['exp', 'sub'],
      currentDate: new Date(nowMs),
    });
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw refused('the token has expired', 'expired_token', error);
    if (error instanceof errors.JWTClaimValidationFailed)
      throw refused(`the token is not valid here: its claim ${error.claim} is wrong`, 'invalid_token', error);
    if (error instanceof errors.JWKSTimeout || !(error instanceof errors.JOSEError)) throw unreachable(error);
    throw refused('the token is not valid', 'invalid_token', error);
  }
}

async function findKeys({ issuer, jwksUrl }: JwtSettings): Promise<JWTVerifyGetKey> {
  const url = jwksUrl ?? (await discover(issuer));
  refusePlain(url);
  return createRemoteJWKSet(new URL(url), {
    timeoutDuration: TIMEOUT_MS,
    cooldownDuration: KEYS_COOLDOWN_MS,
  });
}

/** OpenID Connect Discovery 1.0, section 4: the issuer in the document must equal the requested one. */
async function discover(issuer: string): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'error' });
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    const found = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown };
    if (found.issuer !== issuer || typeof found.jwks_uri !== 'string')
      throw new Error('its OpenID configuration names another issuer, or no jwks_uri');
    return found.jwks_uri;
  } catch (error) {
    throw unreachable(error);
  }
}

function callerOf(payload: JWTPayload, { rolesClaim, modelsClaim, projectClaim }: JwtSettings): Caller {
  const project = claimAt(payload, projectClaim);
  // A claim that cannot be read must not open the whole installation.
  if (project !== undefined && (typeof project !== 'string' || project === ''))
    throw refused(`the token is not valid here: its claim ${projectClaim} is wrong`, 'invalid_token');
  const roles = textsIn(payload, rolesClaim).map((name) => name.replace(/^hotloop[:.]/, ''));
  const named =
    claimAt(payload, modelsClaim) === undefined ? undefined : new Set(textsIn(payload, modelsClaim));
  const models = project === undefined ? named : modelsOf(project, named);
  return {
    subject: String(payload.sub).slice(0, 256),
    roles: new Set(roles.filter((name): name is Role => ROLES.includes(name as Role))),
    ...(models === undefined ? {} : { models }),
    ...(project === undefined ? {} : { project: { name: project } }),
  };
}

/** A claim that is a list of strings, or one string separated by spaces, as `scope` is. */
function textsIn(payload: JWTPayload, claim: string): string[] {
  const value = claimAt(payload, claim);
  if (typeof value === 'string') return value.split(' ').filter((part) => part !== '');
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

function claimAt(payload: JWTPayload, claim: string): unknown {
  if (Object.hasOwn(payload, claim)) return payload[claim];
  let value: unknown = payload;
  for (const part of claim.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

function refusePlain(url: string): void {
  const { protocol, hostname } = new URL(url);
  const isLocal = ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
  if (protocol === 'https:' || (protocol === 'http:' && isLocal)) return;
  throw new HotloopError(
    'INVALID_ARGUMENT',
    `${protocol}//${hostname}: the issuer's keys must come over https`,
    {
      reason: 'invalid_configuration',
    },
  );
}

function refused(message: string, reason: string, cause?: unknown): HotloopError {
  return new HotloopError('UNAUTHENTICATED', message, { reason, cause });
}

function unreachable(cause: unknown): HotloopError {
  return new HotloopError('UNAVAILABLE', 'the keys of the token issuer cannot be read now; try again', {
    reason: 'issuer_unavailable',
    cause,
  });
}
