import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addressSchema,
  brokerListSchema,
  fractionSchema,
  millisecondsSchema,
  readConfig,
  urlSchema,
  z,
} from './config.ts';

const schema = z.object({
  HOTLOOP_LISTEN: addressSchema().default('127.0.0.1:7400'),
  HOTLOOP_DRAIN_MS: millisecondsSchema().default(10_000),
  HOTLOOP_TRACE_RATIO: fractionSchema().optional(),
  DATABASE_URL: urlSchema('postgres', 'postgresql'),
  KAFKA_BROKERS: brokerListSchema().optional(),
});
const prefix = 'HOTLOOP_';
const DATABASE_URL = 'postgres://u:hunter2@127.0.0.1/x';
const read = (environment: Record<string, string>) =>
  readConfig(schema, environment, { prefix, known: ['HOTLOOP_COMPUTE'] });

describe('the configuration', () => {
  it('is parsed, completed with defaults and frozen', () => {
    const config = read({ DATABASE_URL, HOTLOOP_DRAIN_MS: '250', KAFKA_BROKERS: 'a:1, b:2', PATH: '/bin' });
    expect(config).toEqual({
      HOTLOOP_LISTEN: '127.0.0.1:7400',
      HOTLOOP_DRAIN_MS: 250,
      DATABASE_URL,
      KAFKA_BROKERS: ['a:1', 'b:2'],
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('rejects an unknown variable with our prefix, and names the nearest known one', () => {
    expect(() => read({ DATABASE_URL, HOTLOOP_DRAIN: '1' })).toThrow(
      /HOTLOOP_DRAIN is not a known variable; did you mean HOTLOOP_DRAIN_MS\?/,
    );
    expect(() => read({ DATABASE_URL, HOTLOOP_ZZZZZZZZZZZZZZ: '1' })).toThrow(
      /HOTLOOP_ZZZZZZZZZZZZZZ is not a known variable$/,
    );
  });

  it('accepts variables of the other services, and any without our prefix', () => {
    expect(read({ DATABASE_URL, HOTLOOP_COMPUTE: 'x', HOME: '/root' }).DATABASE_URL).toBe(DATABASE_URL);
  });

  it('names every problem in one line', () => {
    expect(() =>
      read({ HOTLOOP_LISTEN: 'nonsense', HOTLOOP_DRAIN_MS: '-1', HOTLOOP_TRACE_RATIO: '2' }),
    ).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(
          /^cannot start: .*HOTLOOP_LISTEN: must be host:port.*HOTLOOP_DRAIN_MS.*HOTLOOP_TRACE_RATIO.*DATABASE_URL is not set/,
        ),
      }),
    );
    expect(() => read({})).toThrow(/^[^\n]*$/);
  });

  it('treats an empty variable as not set', () => {
    expect(read({ DATABASE_URL, HOTLOOP_DRAIN_MS: '' }).HOTLOOP_DRAIN_MS).toBe(10_000);
    expect(() => read({ DATABASE_URL: '' })).toThrow(/DATABASE_URL is not set/);
  });

  it('never prints a value, whatever it is and wherever it occurs', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(schema.shape)),
        fc.stringMatching(/^[a-z]{12,20}$/).map((text) => `secret${text}`),
        (name, secret) => {
          let message = '';
          try {
            read({ [name]: `${secret}://\u0000` });
          } catch (error) {
            message = (error as Error).message;
          }
          expect(message).not.toBe('');
          expect(message).not.toContain(secret);
        },
      ),
    );
  });
});
