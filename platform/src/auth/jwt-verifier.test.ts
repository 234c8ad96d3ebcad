import { generateKeyPair } from 'jose';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../log.ts';
import { authorize } from './authorization.ts';
import { createJwtVerifier, isJwt } from './jwt-verifier.ts';
import { openKeyring } from './keyring.ts';
import { AUDIENCE, startIssuer } from './testing/test-issuer.ts';

const NO_KEYS = { list: async () => [] };

describe('a token of an OpenID Connect issuer', () => {
  it('gives subject, roles and models, and is not verified again the second time', async () => {
    await using issuer = await startIssuer();
    const verifier = createJwtVerifier(issuer.settings);
    const token = await issuer.sign({
      realm: { roles: ['hotloop:predict', 'feedback', 'unknown'] },
      hotloop_models: ['ranker'],
    });
    expect(isJwt(token)).toBe(true);
    const caller = await verifier.verify(token);
    expect(caller).toEqual({
      subject: 'ada',
      roles: new Set(['predict', 'feedback']),
      models: new Set(['ranker']),
    });
    expect(verifier.verify(token)).toBe(caller);
    expect(issuer.asked).toEqual(['/.well-known/openid-configuration', '/keys']);
  });

  it('is rejected when it is not valid here', async () => {
    await using issuer = await startIssuer();
    const verifier = createJwtVerifier(issuer.settings);
    const other = (await generateKeyPair('ES256')).privateKey;
    const past = Math.floor(Date.now() / 1000) - 60;
    const cases: [Promise<string>, string][] = [
      [issuer.sign({ aud: 'another' }), 'claim aud'],
      [issuer.sign({ iss: 'https://elsewhere.example' }), 'claim iss'],
      [issuer.sign({ exp: past }), 'expired'],
      [issuer.sign({}, other), 'not valid'],
      [Promise.resolve('eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.AA'), 'not valid'],
    ];
    for (const [token, words] of cases)
      await expect(verifier.verify(await token)).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
        message: expect.stringContaining(words),
      });
    expect(() => verifier.verify(`eyJ${'a'.repeat(20_000)}.b.c`)).toThrow('longer');
  });

  it('cannot be verified while the issuer is down, and is accepted when it is back', async () => {
    const verifier = createJwtVerifier({
      ...{ issuer: 'http://127.0.0.1:9', audience: AUDIENCE, rolesClaim: 'roles', modelsClaim: 'm' },
      projectClaim: 'p',
    });
    await expect(verifier.verify('eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.AA')).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'issuer_unavailable',
    });
    expect(() =>
      createJwtVerifier({
        ...{ issuer: 'http://far.example', audience: 'a', rolesClaim: 'r', modelsClaim: 'm' },
        projectClaim: 'p',
      }),
    ).toThrow('https');
  });

  it('is accepted in addition to API keys, and limited to its roles', async () => {
    await using issuer = await startIssuer();
    const tokens = createJwtVerifier(issuer.settings);
    await using ring = await openKeyring(NO_KEYS, silentLog(), {
      apiKeys: 'environment-key-01:ops:operate',
      tokens,
    });
    const table = new Map([['/a/B', 'predict' as const]]);
    const call = async (key: string) =>
      authorize(table, '/a/B', ring, (name) => (name === 'authorization' ? `Bearer ${key}` : undefined));
    const predict = await issuer.sign({ realm: { roles: ['predict'] } });
    expect((await call(predict)).subject).toBe('ada');
    await expect(call(await issuer.sign({ realm: { roles: ['operate'] } }))).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    await expect(call('environment-key-01')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await using alone = await openKeyring(NO_KEYS, silentLog(), { apiKeys: undefined, tokens });
    expect(alone.required).toBe(true);
    expect(() => alone.authenticate(() => undefined)).toThrow('send a token');
    expect(() => alone.authenticate(() => 'Bearer nonsense-key')).toThrow('unknown API key');
  });
});
