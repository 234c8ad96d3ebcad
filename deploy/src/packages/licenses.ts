import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface LockedPackage {
  readonly license?: string;
  readonly dev?: boolean;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
}

/** Licenses allowed for what we ship: permissive ones, and those that only require attribution. */
const ALLOWED: ReadonlySet<string> = new Set([
  'MIT',
  'MIT-0',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'Unlicense',
  'Python-2.0',
  'PostgreSQL',
  'Zlib',
]);
/** Loaded as a separate, replaceable library, as LGPL requires: libvips, used by `sharp`. */
const LINKED_LGPL = /^node_modules\/@img\/sharp-/;

/** Shipped packages whose license is not allowed, from package-lock.json: `NAME: LICENSE`. */
export function refusedLicenses(root: string): string[] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, LockedPackage>>;
  };
  return Object.entries(packages).flatMap(([path, { license, dev, link }]) => {
    if (!path.includes('node_modules/') || dev || link) return [];
    if (isAllowed(license ?? 'none') || LINKED_LGPL.test(path)) return [];
    return [`${path.slice(path.lastIndexOf('node_modules/') + 13)}: ${license ?? 'none'}`];
  });
}

/** An SPDX expression: with OR one allowed license is enough, with AND all must be allowed. Pure. */
export function isAllowed(expression: string): boolean {
  const inner = expression.replaceAll(/[()]/g, '');
  return inner
    .split(/\s+OR\s+/)
    .some((choice) => choice.split(/\s+AND\s+/).every((license) => ALLOWED.has(license.trim())));
}
