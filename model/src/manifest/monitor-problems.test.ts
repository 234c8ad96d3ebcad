import { expect, it } from 'vitest';
import { isMetadataAddress, webhookProblem } from './monitor-problems.ts';
import { parseManifest } from './parse-manifest.ts';

const manifest = (monitor: string) =>
  `name: m\nfeatures:\n  - {name: price, from: request.price}\nmonitor: ${monitor}\n`;

it('has valid defaults', () => {
  expect(parseManifest(manifest('{}')).monitor).toMatchObject({ enabled: true, drift: { features: 'psi' } });
});

it('rejects a rule about an unknown feature', () => {
  expect(() => parseManifest(manifest('{rules: [{signal: drift, feature: prise}]}'))).toThrow(
    /monitor.rules.0.feature: there is no feature "prise"; name one of price/,
  );
});

it('rejects a slice by an unknown feature', () => {
  expect(() => parseManifest(manifest('{slices: [price, prise]}'))).toThrow(
    /monitor.slices.1: there is no feature "prise"/,
  );
});

it('rejects webhooks without TLS, in metadata ranges, or with a password', () => {
  for (const bad of [
    'http://hooks.example/x',
    'https://169.254.169.254/latest',
    'https://[::ffff:169.254.169.254]/',
    'https://[fe80::1]/',
    'https://2852039166/latest',
    'https://0xa9fea9fe/',
    'https://0xa9.0376.0xa9fe/',
    'https://169.254.43518/',
    'https://[::a9fe:a9fe]/',
    'https://[64:ff9b::a9fe:a9fe]/',
    'https://[64:ff9b:1::a9fe:a9fe]/',
    'https://[2002:a9fe:a9fe::1]/',
    'https://[0:0:0:0:0:ffff:169.254.169.254]/',
    'https://[fd00:ec2::254]/',
    'https://[fd00:0ec2:0:0::254]/',
    'https://[fd20:ce::254]/',
    'https://168.63.129.16/',
    'https://0/',
    'https://[::]/',
    'https://metadata.google.internal/computeMetadata/v1/',
    'https://METADATA.google.internal./',
    'http://[::ffff:10.0.0.1]/',
    'https://user:pass@hooks.example/',
    'file:///etc/passwd',
    'nonsense',
  ]) {
    expect(webhookProblem(bad), bad).toBeDefined();
    expect(() => parseManifest(manifest(`{notify: ["${bad}"]}`)), bad).toThrow(/monitor.notify.0/);
  }
  for (const good of [
    'https://hooks.example/x',
    'http://127.0.0.1:9/x',
    'http://localhost/x',
    'http://[::1]:8/',
    'http://0x7f000001:9/',
    'https://[2001:db8::1]/x',
    'https://[fd00:ec3::254]/x',
  ])
    expect(webhookProblem(good), good).toBeUndefined();
  expect(isMetadataAddress('::ffff:169.254.1.1')).toBe(true);
});
