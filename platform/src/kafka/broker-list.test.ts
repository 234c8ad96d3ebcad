import { expect, it } from 'vitest';
import { readBrokers } from './broker-list.ts';

it('reads addresses, with TLS and credentials before the first one', () => {
  expect(readBrokers(['a:1', 'b:2'])).toEqual({ brokers: ['a:1', 'b:2'] });
  expect(readBrokers(['kafkas://a:1', 'b:2'])).toEqual({ ssl: true, brokers: ['a:1', 'b:2'] });
  expect(readBrokers(['kafkas+scram-sha-512://me:p%40ss@a:1', 'b:2'])).toEqual({
    ssl: true,
    brokers: ['a:1', 'b:2'],
    sasl: { mechanism: 'scram-sha-512', username: 'me', password: 'p@ss' },
  });
});

it.each(['kafka+gssapi://me:secret@a:1', 'kafka+plain://a:1', 'http://a:1'])(
  'rejects %s without repeating it',
  (text) => {
    expect(() => readBrokers([text])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => readBrokers([text])).not.toThrow(/secret/);
  },
);
