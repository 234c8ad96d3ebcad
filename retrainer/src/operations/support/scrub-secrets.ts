const REMOVED = '[removed]';

/** Patterns of secrets. */
const SHAPES: readonly [RegExp, string][] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g, REMOVED],
  // user:password@ of an address.
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@"'<>]*@/gi, `$1${REMOVED}@`],
  [/\bhl_[A-Za-z0-9_-]{16,}/g, REMOVED],
  [/\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g, REMOVED],
  [/\b(AKIA|ASIA)[A-Z0-9]{16}\b/g, REMOVED],
  [/\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${REMOVED}`],
  [
    /((?:password|passwd|secret|token|api[_-]?key|authorization|access[_-]?key|credential)[a-z_-]*["']?\s*[:=]\s*["']?)(?!\[removed\])[^\s"',;}&]+/gi,
    `$1${REMOVED}`,
  ],
  // The path of a webhook's address is often its secret.
  [/\b(https?:\/\/[^\s/"'<>?]+)\/[^\s"'<>]+/gi, `$1/${REMOVED}`],
];

/** Minimum length of a known secret that is searched for; removing shorter ones would damage the text. */
const LEAST = 6;

/**
 * Removes secrets from a text: known secrets first, also in URL and JSON encoding, then everything that looks like a secret.
 * Pure.
 */
export function scrubSecrets(text: string, known: readonly string[]): string {
  let scrubbed = text;
  const words = known.filter((secret) => secret.length >= LEAST).sort((a, b) => b.length - a.length);
  for (const secret of words)
    for (const form of new Set([
      secret,
      encodeURIComponent(secret),
      JSON.stringify(secret).slice(1, -1),
      Buffer.from(secret).toString('base64'),
    ]))
      scrubbed = scrubbed.replaceAll(form, REMOVED);
  for (const [shape, instead] of SHAPES) scrubbed = scrubbed.replace(shape, instead);
  return scrubbed;
}

/** Variables whose values are not secret and help with support. */
const TOLD =
  /^HOTLOOP_(NODE|LOG_LEVEL|TRACE_RATIO|DRAIN_MS|LISTEN|HTTP_LISTEN|MEMORY_BUDGET_MB|JOURNAL_MAX_MB|HANG_MS|EXECUTION_PROVIDERS|EVENT_TOPICS|BATCH_\w+|SQL_TIMEOUT_MS|SQL_MEMORY_MB|IDLE_UNLOAD_MS|OIDC_ISSUER|OIDC_AUDIENCE)$|^(TZ|NODE_ENV)$/;

/** Hotloop's variables: all names, and the values that are not secret. */
export function describeEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const told: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment).sort(([a], [b]) => (a < b ? -1 : 1)))
    if (/^(HOTLOOP_|REDIS_|KAFKA_|DATABASE_URL$|AWS_|OTEL_|TZ$|NODE_ENV$)/.test(name) && value !== undefined)
      told[name] = TOLD.test(name) ? value : `set, ${value.length} characters`;
  return told;
}

/** All possible secrets in an environment, split into parts: passwords in addresses, keys in lists. */
export function secretsOf(environment: Readonly<Record<string, string | undefined>>): string[] {
  const found: string[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || value === '' || TOLD.test(name)) continue;
    if (/KEY|SECRET|PASSWORD|TOKEN|CREDENTIAL/.test(name)) {
      if (!/^HOTLOOP_TLS_|_FILE$/.test(name))
        found.push(value, ...value.split(',').map((one) => one.split(':')[0] ?? ''));
    }
    const parsed = URL.canParse(value) ? new URL(value) : undefined;
    if (parsed && parsed.password !== '') found.push(parsed.password, decodeURIComponent(parsed.password));
  }
  return [...new Set(found.map((secret) => secret.trim()).filter((secret) => secret !== ''))];
}
