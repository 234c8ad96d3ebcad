import { isIP } from 'node:net';
import type { Manifest } from './manifest.ts';
import type { Receiver } from './monitor-schema.ts';

/** Problems of the monitor section that its schema allows; one line each, starting with the field. */
export function monitorProblems({ task, features, monitor }: Manifest): string[] {
  const names = new Set(features.map((feature) => feature.name));
  const problems = monitor.rules.flatMap((rule, index) =>
    rule.feature === undefined || names.has(rule.feature)
      ? []
      : [
          `monitor.rules.${index}.feature: there is no feature ${JSON.stringify(rule.feature)}; name one of ${listed(names)}`,
        ],
  );
  for (const [index, slice] of (monitor.slices ?? []).entries())
    if (!names.has(slice))
      problems.push(
        `monitor.slices.${index}: there is no feature ${JSON.stringify(slice)}; name one of ${listed(names)}`,
      );
  if (monitor.decay.metric !== undefined && task !== 'multiclass')
    problems.push(
      `monitor.decay.metric: ${monitor.decay.metric} is followed of task multiclass; this model has task ${task}`,
    );
  for (const [field, receivers] of [
    ['notify', monitor.notify],
    ['escalate.to', monitor.escalate?.to ?? []],
  ] as const)
    for (const [index, receiver] of receivers.entries()) {
      const problem = receiverProblem(receiver);
      if (problem) problems.push(`monitor.${field}.${index}: ${problem}`);
    }
  return problems;
}

const listed = (names: ReadonlySet<string>): string => [...names].slice(0, 20).join(', ') || 'none';

function receiverProblem(receiver: Receiver): string | undefined {
  const { webhook, email } = addressesOf(receiver);
  if (email !== undefined)
    return /^[^\s@<>,;]+@[^\s@<>,;]+$/.test(email)
      ? undefined
      : `${JSON.stringify(email)} is not an e-mail address`;
  return webhook === undefined ? undefined : webhookProblem(webhook);
}

/** The address and kind of a receiver: plain text is a webhook, or an e-mail address after `mailto:`. */
export function addressesOf(receiver: Receiver): { readonly webhook?: string; readonly email?: string } {
  if (typeof receiver !== 'string')
    return 'email' in receiver ? { email: receiver.email } : { webhook: receiver.webhook };
  return receiver.startsWith('mailto:') ? { email: receiver.slice(7) } : { webhook: receiver };
}

/**
 * Why a webhook's address is rejected, as far as its text shows; host names are checked again when they are resolved.
 */
export function webhookProblem(address: string): string | undefined {
  if (!URL.canParse(address)) return `${JSON.stringify(address.slice(0, 80))} is not an address`;
  const url = new URL(address);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (url.username !== '' || url.password !== '') return 'a webhook must not contain a password';
  if (isIP(host) !== 0 && isMetadataAddress(host)) return `${host} is in the metadata range of a host`;
  const isLoopback = host === 'localhost' || (isIP(host) !== 0 && isLoopbackAddress(host));
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)) return undefined;
  return 'a webhook must be https; http only to loopback';
}

const mapped = (ip: string): string => /^(?:0*:)*ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1] ?? hexMapped(ip);

/** Decodes ::ffff:a9fe:a9fe, the form in which URL writes a mapped IPv4 address. */
function hexMapped(ip: string): string {
  const match = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(ip);
  if (!match) return ip;
  const [high, low] = [Number.parseInt(match[1]!, 16), Number.parseInt(match[2]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** Link-local addresses, and those at which clouds serve a machine's credentials. */
export function isMetadataAddress(address: string): boolean {
  const ip = mapped(address).toLowerCase();
  return (
    ip.startsWith('169.254.') ||
    /^fe[89ab][0-9a-f]:/.test(ip) ||
    ip === 'fd00:ec2::254' ||
    ip === '100.100.100.200' ||
    ip === '192.0.0.192' ||
    ip === '0.0.0.0' ||
    ip === '::'
  );
}

export function isLoopbackAddress(address: string): boolean {
  const ip = mapped(address);
  return ip.startsWith('127.') || ip === '::1';
}
