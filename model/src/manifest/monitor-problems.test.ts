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
  ])
    expect(webhookProblem(good), good).toBeUndefined();
  expect(isMetadataAddress('::ffff:169.254.1.1')).toBe(true);
});
