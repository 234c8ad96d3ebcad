import { HotloopError } from '@hotloop/proto/errors.ts';
import { z } from '../config.ts';

export interface OidcLoginSettings {
  /** The authenticator must accept its tokens. */
  readonly issuer: string;
  readonly clientId: string;
  /** Undefined for a public client; PKCE protects the exchange in either case. */
  readonly clientSecret?: string | undefined;
  /** Address of the console as browsers see it; default: the one in the request. */
  readonly consoleUrl?: string | undefined;
  readonly scope: string;
}

const TIMEOUT_MS = 5_000;

const endpointsSchema = z.object({
  issuer: z.string(),
  authorization_endpoint: z.url(),
  token_endpoint: z.url(),
});
const tokensSchema = z.object({
  access_token: z.string().optional(),
  id_token: z.string().optional(),
  refresh_token: z.string().optional(),
});

/** The issuer answered with a rejection. */
class Refused extends Error {
  constructor(status: number) {
    super(`it answered ${status}`);
  }
}

export type OidcTokens = z.output<typeof tokensSchema>;

/** The tokens for a code that the issuer sent the browser back with. Throws UNAVAILABLE when it does not give them. */
export async function tokensOfCode(
  settings: OidcLoginSettings,
  code: string,
  verifier: string,
  redirectUri: string,
): Promise<OidcTokens> {
  return tokens(settings, {
    ...{ grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier },
  });
}

/** New tokens for a refresh token (RFC 6749, section 6); null when the issuer rejects it. Throws UNAVAILABLE while it cannot be reached. */
export async function tokensOfRefresh(
  settings: OidcLoginSettings,
  refreshToken: string,
): Promise<OidcTokens | null> {
  try {
    return await tokens(settings, { grant_type: 'refresh_token', refresh_token: refreshToken });
  } catch (error) {
    if (error instanceof HotloopError && error.cause instanceof Refused) return null;
    throw error;
  }
}

async function tokens(
  { issuer, clientId, clientSecret }: OidcLoginSettings,
  form: Record<string, string>,
): Promise<OidcTokens> {
  const { token_endpoint: endpoint } = await endpointsOf(issuer);
  const body = new URLSearchParams({
    ...{ ...form, client_id: clientId },
    ...(clientSecret === undefined ? {} : { client_secret: clientSecret }),
  });
  return ask(tokensSchema, endpoint, { method: 'POST', body });
}

/** OpenID Connect Discovery 1.0; read at each login, so that an issuer may move its endpoints. */
export async function endpointsOf(issuer: string): Promise<z.output<typeof endpointsSchema>> {
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
    if (response.status === 400 || response.status === 401) throw new Refused(response.status);
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    return schema.parse(await response.json());
  } catch (cause) {
    throw new HotloopError('UNAVAILABLE', 'the login issuer gave an unexpected answer; try again', {
      reason: 'issuer_unavailable',
      cause,
    });
  }
}
