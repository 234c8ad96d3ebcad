import { HotloopError } from '@hotloop/proto/errors.ts';
import type { KafkaConfig, SASLOptions } from 'kafkajs';

const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;
const PREFIX = /^(kafkas?)(?:\+([a-z0-9-]+))?:\/\/(?:([^:@/]+):([^@/]*)@)?(.+)$/;

/**
 * Parses KAFKA_BROKERS: `host:port,host:port`. If the brokers require a login, the scheme and credentials precede the
 * first address: `kafka+scram-sha-512://user:password@host:port,host:port`; `kafkas` means TLS, `plain` and
 * `scram-sha-256` are the other mechanisms. User and password are percent-encoded. Throws INVALID_ARGUMENT, without
 * repeating the value.
 */
export function readBrokers(
  list: readonly string[],
): Pick<KafkaConfig, 'ssl' | 'sasl'> & { brokers: string[] } {
  const [first = '', ...others] = list;
  if (!first.includes('://')) return { brokers: [...list] };
  const [, scheme, mechanism, user, password, address] = PREFIX.exec(first) ?? [];
  if (address === undefined)
    throw invalid('must be host:port, or kafka+MECHANISM://user:password@host:port before the first of them');
  const tls = scheme === 'kafkas' ? { ssl: true } : {};
  const brokers = [address, ...others];
  if (mechanism === undefined) return { ...tls, brokers };
  const known = MECHANISMS.find((one) => one === mechanism);
  if (known === undefined) throw invalid(`knows the mechanisms ${MECHANISMS.join(', ')}`);
  if (user === undefined || password === undefined) throw invalid(`needs user:password@ with ${known}`);
  const login = { username: decodeURIComponent(user), password: decodeURIComponent(password) };
  return { ...tls, brokers, sasl: { mechanism: known, ...login } as SASLOptions };
}

function invalid(what: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `KAFKA_BROKERS ${what}`, { reason: 'invalid_configuration' });
}
