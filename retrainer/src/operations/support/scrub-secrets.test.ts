import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeEnvironment, scrubSecrets, secretsOf } from './scrub-secrets.ts';

/** Secrets in the forms in which logs and settings contain them. */
const PLANTED = {
  DATABASE_URL: 'postgres://hotloop:Tr0ub4dor%2F3@db:5432/hotloop',
  REDIS_CACHE_URL: 'rediss://:re-dis-pass-77@cache:6379',
  HOTLOOP_API_KEYS: 'k3y-of-the-shop-0001:shop:predict, k3y-of-an-operator-2:ops:operate',
  HOTLOOP_SESSION_SECRET: 'session-secret-session-secret-123',
  AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  HOTLOOP_LOG_LEVEL: 'debug',
};
const SECRETS = [
  'Tr0ub4dor%2F3',
  'Tr0ub4dor/3',
  're-dis-pass-77',
  'k3y-of-the-shop-0001',
  'k3y-of-an-operator-2',
  'session-secret-session-secret-123',
  'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
];

describe('scrubbing secrets', () => {
  it('removes known ones from any text, in every encoding', () => {
    const known = secretsOf(PLANTED);
    for (const secret of SECRETS)
      for (const form of [
        secret,
        encodeURIComponent(secret),
        Buffer.from(secret).toString('base64'),
        JSON.stringify(secret),
      ])
        expect(scrubSecrets(`before ${form} after`, known), form).not.toContain(secret);
  });

  it.each([
    ['an address with a password', 'cannot reach postgres://joe:p4ss@db/x', 'p4ss'],
    ['an API key', 'caller sent hl_0123456789abcdef0123456789abcdef', '0123456789abcdef'],
    ['a token', 'authorization: Bearer abc.def-ghi_jkl', 'abc.def'],
    ['a JWT', 'got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl', 'eyJzdWIi'],
    ['a key of AWS', 'id AKIAIOSFODNN7EXAMPLE', 'AKIAIOSFODNN7EXAMPLE'],
    ['a private key', '-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----', 'MIIEvQ'],
    ['a field of JSON', '{"password":"hunter22","x":1}', 'hunter22'],
    ['a setting', 'api_key=hunter22&x=1', 'hunter22'],
    ['a webhook', 'POST https://hooks.example.org/services/T000/B000/XXXX failed', 'B000'],
  ])('removes %s that was not declared', (_, text, secret) => {
    expect(scrubSecrets(text, [])).not.toContain(secret);
  });

  it('keeps useful text', () => {
    const line =
      '{"level":"warn","model":"ranker","version":3,"message":"a node is silent","host":"http://127.0.0.1:7404"}';
    expect(scrubSecrets(line, secretsOf(PLANTED))).toBe(line);
  });

  it('removes a known secret from any surrounding text (property)', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[A-Za-z0-9!$%&/=+#-]{8,40}$/),
        fc.string(),
        fc.string(),
        (secret, before, after) => {
          expect(scrubSecrets(`${before}${secret}${after}`, [secret])).not.toContain(secret);
        },
      ),
      { seed: 7, numRuns: 200 },
    );
  });

  it('names variables, and shows only the values of harmless ones', () => {
    const told = describeEnvironment({ ...PLANTED, PATH: '/usr/bin', HOME: '/root' });
    expect(told.HOTLOOP_LOG_LEVEL).toBe('debug');
    expect(told.DATABASE_URL).toMatch(/^set, \d+ characters$/);
    expect(Object.keys(told)).not.toContain('PATH');
    for (const secret of SECRETS) expect(JSON.stringify(told)).not.toContain(secret);
  });
});
