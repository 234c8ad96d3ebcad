import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';

/** Contents of each service's image: its start file, and folders that code reads by name. */
export const IMAGES = {
  preprocessor: { start: ['preprocessor/src/main.js'], folders: [] },
  compute: { start: ['compute/src/main.js'], folders: [] },
  postprocessor: { start: ['postprocessor/src/main.js'], folders: [] },
  retrainer: { start: ['retrainer/src/main.js'], folders: ['console/dist'] },
  training: { start: ['retrainer/src/runs/worker-main.js'], folders: [] },
  batch: { start: ['retrainer/src/batch/worker-main.js'], folders: [] },
  sql: { start: ['retrainer/src/sql/sql-main.js'], folders: [] },
  serverless: { start: ['deploy/src/serverless/main.js'], folders: [] },
  migrate: { start: ['deploy/src/migrate/main.js'], folders: [] },
} as const;
export type ImageName = keyof typeof IMAGES;

export interface TreeOptions {
  /** The `hotloop` package, compiled by `buildPlatformPackage`. */
  readonly compiled: string;
  /** The node_modules that npm installed. */
  readonly modules: string;
  /** Folder that becomes /app of the image. */
  readonly out: string;
  readonly platform: NodeJS.Platform;
  readonly arch: string;
}

const IMPORT = /(?:from|import)\s*\(?\s*['"]([^'"\n]+)['"]/g;
const NAMED = /new URL\(\s*['"](\.[^'"\n]*)['"]\s*,\s*import\.meta\.url/g;
const RESOLVED = /\.resolve\(\s*['"]([^'"\n]+)['"]\s*\)/g;
const PACKAGE = /^(@[^/]+\/[^/]+|[^/]+)/;
const NOT_NEEDED =
  /(^|\/)(test|tests|docs|example|examples|\.github)(\/|$)|\.(map|md|markdown|d\.ts|d\.mts|d\.cts)$/;

/**
 * Copies into a folder what one service needs and nothing else: our files that its start file reaches by import or by
 * name, the contracts and migrations, and the packages that those files import, with their dependencies. Of ONNX
 * Runtime only the library for one platform is copied. Returns the start files. Throws when an import names a missing
 * file.
 */
export function buildImageTree(name: ImageName, options: TreeOptions): readonly string[] {
  const { compiled, modules, out } = options;
  const image = IMAGES[name];
  const { files, packages } = reach(compiled, image.start);
  for (const file of files) copy(compiled, out, file);
  for (const folder of [
    'proto/hotloop',
    'proto/inference',
    'proto/onnx',
    'platform/src/postgres/migrations',
    ...image.folders,
  ])
    if (existsSync(join(compiled, folder)))
      cpSync(join(compiled, folder), join(out, folder), { recursive: true });
  writeFileSync(join(out, 'package.json'), JSON.stringify({ name: `hotloop-${name}`, type: 'module' }));
  const copied = new Set<string>();
  for (const dependency of packages) copyPackage(dependency, modules, options, copied);
  return image.start;
}

/** Our files and the packages that are reached from the start files. */
function reach(root: string, start: readonly string[]): { files: Set<string>; packages: Set<string> } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const waiting = [...start];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, specifier = ''] of text.matchAll(IMPORT)) {
      if (specifier.startsWith('.')) waiting.push(join(dirname(file), specifier));
      else if (!isBuiltin(specifier)) packages.add(PACKAGE.exec(specifier)?.[1] ?? specifier);
    }
    for (const [, specifier = ''] of text.matchAll(NAMED))
      if (specifier.endsWith('.js')) waiting.push(join(dirname(file), specifier));
    for (const [, specifier = ''] of text.matchAll(RESOLVED))
      if (!specifier.startsWith('.') && !isBuiltin(specifier))
        packages.add(PACKAGE.exec(specifier)?.[1] ?? specifier);
  }
  return { files, packages };
}

function copy(from: string, to: string, file: string): void {
  mkdirSync(dirname(join(to, file)), { recursive: true });
  cpSync(join(from, file), join(to, file));
}

interface PackageJson {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** Copies a package, found from `modules` upwards, to the same place, with its dependencies. */
function copyPackage(name: string, modules: string, options: TreeOptions, copied: Set<string>): void {
  const folder = find(name, modules, options.modules);
  if (folder === undefined || copied.has(folder)) return;
  copied.add(folder);
  const to = join(options.out, 'node_modules', relative(options.modules, folder));
  cpSync(folder, to, { recursive: true, filter: (path) => isNeeded(path.slice(folder.length), options) });
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageJson;
  const { dependencies, optionalDependencies, peerDependencies } = manifest;
  for (const dependency of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }))
    copyPackage(dependency, join(folder, 'node_modules'), options, copied);
}

/** Nested packages are copied separately, if something depends on them. */
function isNeeded(path: string, { platform, arch }: TreeOptions): boolean {
  if (/^\/node_modules(\/|$)/.test(path) || NOT_NEEDED.test(path)) return false;
  const native = /^\/bin\/napi-v\d+\/([^/]+)(?:\/([^/]+))?/.exec(path);
  return !native || (native[1] === platform && (native[2] === undefined || native[2] === arch));
}

/** Resolves a package like Node: in this node_modules, then in those of the folders above, up to `root`. */
function find(name: string, from: string, root: string): string | undefined {
  for (let folder = dirname(from); folder.length >= dirname(root).length; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name);
    if (basename(folder) !== 'node_modules' && existsSync(join(found, 'package.json'))) return found;
  }
  return undefined;
}
