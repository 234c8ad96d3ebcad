import { describe, expect, it } from 'vitest';
import { AUTHORIZATION, authorize, createAuthenticator, type HeaderOf } from './authorization.ts';

const KEYS = 'predict-key-0123456789:shop:predict+feedback, operate-key-0123456789:ops:operate';
const headers =
  (values: Record<string, string>): HeaderOf =>
  (name) =>
    values[name];
const bearer = (key: string) => headers({ authorization: `Bearer ${key}` });

describe('an authenticator', () => {
  it('allows everything to every caller when no keys are configured', () => {
    for (const none of [undefined, '', ' ']) {
      const authenticator = createAuthenticator(none);
      expect(authenticator.required).toBe(false);
      expect([...authenticator.authenticate(headers({})).roles]).toEqual([
        'predict',
        'feedback',
        'read',
        'operate',
      ]);
    }
  });

  it('accepts a key in either header', () => {
    const authenticator = createAuthenticator(KEYS);
    expect(authenticator.required).toBe(true);
    expect(authenticator.authenticate(bearer('predict-key-0123456789')).subject).toBe('shop');
    expect(authenticator.authenticate(headers({ 'x-api-key': 'operate-key-0123456789' })).subject).toBe(
      'ops',
    );
  });

  it('accepts a key with spaces around the header value', () => {
    const { authenticate } = createAuthenticator(KEYS);
    expect(authenticate(headers({ authorization: ' Bearer predict-key-0123456789 ' })).subject).toBe('shop');
    expect(authenticate(headers({ 'x-api-key': ' operate-key-0123456789' })).subject).toBe('ops');
  });

  it.each([
    ['no header', headers({})],
    ['an empty key', headers({ 'x-api-key': '' })],
    ['another scheme', headers({ authorization: 'Basic predict-key-0123456789' })],
    ['an unknown key', bearer('predict-key-012345678')],
    ['a key followed by other text', bearer('predict-key-0123456789 x')],
    ['the subject', bearer('shop')],
  ])('answers UNAUTHENTICATED to %s', (_what, header) => {
    const authenticate = () => createAuthenticator(KEYS).authenticate(header);
    expect(authenticate).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }));
  });

  it.each([
    ['key-only-0123456789', /entry 1 is not key:subject:role/],
    ['a-key-0123456789:s:admin', /entry 1 has an unknown role/],
    ['short:s:predict', /fewer than 16 characters/],
    [`${KEYS},predict-key-0123456789:other:predict`, /entry 3 repeats/],
  ])('refuses the keys of case %# without printing them', (keys, problem) => {
    expect(() => createAuthenticator(keys)).toThrow(problem);
    try {
      createAuthenticator(keys);
    } catch (error) {
      expect((error as Error).message).not.toContain('0123456789');
    }
  });
});

describe('authorization', () => {
  const authenticator = createAuthenticator(KEYS);
  const allowed = (path: string, key: string) =>
    authorize(AUTHORIZATION, path, authenticator, bearer(key)).subject;

  it('requires the role from the table', () => {
    expect(allowed('/hotloop.v1.PredictionService/Predict', 'predict-key-0123456789')).toBe('shop');
    expect(allowed('/hotloop.v1.FeedbackService/RecordOutcomes', 'predict-key-0123456789')).toBe('shop');
    expect(() => allowed('/hotloop.v1.RegistryService/Promote', 'predict-key-0123456789')).toThrow(
      expect.objectContaining({ code: 'PERMISSION_DENIED', reason: 'missing_role' }),
    );
    expect(() => allowed('/hotloop.v1.PredictionService/Predict', 'operate-key-0123456789')).toThrow(
      expect.objectContaining({ code: 'PERMISSION_DENIED' }),
    );
  });

  it.each([
    '',
    '/hotloop.v1.RegistryService/promote',
    '/hotloop.v1.RegistryService/Promote/',
    '/x.Y/Z',
    '__proto__',
  ])('denies a method without a row: %j', (path) => {
    expect(() => allowed(path, 'operate-key-0123456789')).toThrow(
      expect.objectContaining({ code: 'PERMISSION_DENIED', reason: 'no_authorization_row' }),
    );
  });

  it('requires no key for a method that the table declares public', () => {
    expect(
      authorize(AUTHORIZATION, '/grpc.health.v1.Health/Check', authenticator, headers({})).roles.size,
    ).toBe(0);
  });

  it('has no public method that changes anything or predicts', () => {
    const open = [...AUTHORIZATION]
      .filter(([, requirement]) => requirement === 'public')
      .map(([path]) => path);
    for (const path of open) expect(path).toMatch(/Health|ServerReflection|ServerLive|ServerReady/);
  });
});
