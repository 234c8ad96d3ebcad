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

/** Names of metadata services; whatever else resolves to one is refused when it is resolved. */
const METADATA_NAMES: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.google.internal',
  'instance-data',
]);

/**
 * Why a webhook's address is rejected, as far as its text shows; host names are checked again when they are resolved.
 */
export function webhookProblem(address: string): string | undefined {
  if (!URL.canParse(address)) return `${JSON.stringify(address.slice(0, 80))} is not an address`;
  const url = new URL(address);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (url.username !== '' || url.password !== '') return 'a webhook must not contain a password';
  if (isIP(host) !== 0 && isMetadataAddress(host)) return `${host} is in the metadata range of a host`;
  if (METADATA_NAMES.has(host.replace(/\.$/, '').toLowerCase()))
    return `${host} is the metadata service of a host`;
  const isLoopback = host === 'localhost' || (isIP(host) !== 0 && isLoopbackAddress(host));
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)) return undefined;
  return 'a webhook must be https; http only to loopback';
}

/**
 * The IPv4 address that an IPv6 address leads to: mapped (::ffff:0:0/96), compatible (::/96), through NAT64 (64:ff9b::/96,
 * 64:ff9b:1::/48) or 6to4 (2002::/16); else the address itself, in lower case.
 */
function embedded(address: string): string {
  const groups = ipv6Groups(address);
  if (groups === null) return address.toLowerCase();
  const ipv4 = (at: number) =>
    [groups[at]! >> 8, groups[at]! & 255, groups[at + 1]! >> 8, groups[at + 1]! & 255].join('.');
  const starts = (...prefix: readonly number[]) => prefix.every((group, at) => groups[at] === group);
  if (starts(0, 0, 0, 0, 0, 0xffff) || starts(0x64, 0xff9b)) return ipv4(6);
  if (starts(0, 0, 0, 0, 0, 0) && groups[6] !== 0) return ipv4(6);
  if (starts(0x2002)) return ipv4(1);
  return groups.map((group) => group.toString(16)).join(':');
}

/** The eight groups of an IPv6 address; null for anything else. */
function ipv6Groups(address: string): number[] | null {
  const [text = ''] = address.split('%');
  if (isIP(text) !== 6) return null;
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const group = (high: string, low: string) => (Number(high) * 256 + Number(low)).toString(16);
  const plain = dotted
    ? `${dotted[1]}${group(dotted[2]!, dotted[3]!)}:${group(dotted[4]!, dotted[5]!)}`
    : text;
  const [before = '', after] = plain.split('::');
  const numbers = (part: string) =>
    part === '' ? [] : part.split(':').map((one) => Number.parseInt(one, 16));
  const [head, tail] = [numbers(before), numbers(after ?? '')];
  return after === undefined
    ? head
    : [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

/** Where clouds serve a machine's credentials, beside the link-local ranges: as `embedded` writes addresses. */
const METADATA: ReadonlySet<string> = new Set([
  '100.100.100.200', // Alibaba
  '168.63.129.16', // Azure
  '192.0.0.192', // Oracle
  'fd00:ec2:0:0:0:0:0:254', // AWS
  'fd20:ce:0:0:0:0:0:254', // Google
]);

/** Link-local addresses, those at which clouds serve a machine's credentials, and those that mean "any". */
export function isMetadataAddress(address: string): boolean {
  const ip = embedded(address);
  return (
    ip.startsWith('169.254.') ||
    ip.startsWith('0.') ||
    /^fe[89ab]/.test(ip) ||
    ip === '0:0:0:0:0:0:0:0' ||
    METADATA.has(ip)
  );
}

export function isLoopbackAddress(address: string): boolean {
  const ip = embedded(address);
  return ip.startsWith('127.') || ip === '0:0:0:0:0:0:0:1';
}
