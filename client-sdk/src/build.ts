import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const ROOT = join(PACKAGE, '..');
/** The folder that `npm publish` and `npm pack` take. */
const OUT = join(PACKAGE, 'dist');
/** The sources as they are compiled; gone when it is done. */
const SOURCES = join(OUT, 'sources');
const CONTRACT = /'@hotloop\/proto\/([^']+)'/g;
const NEVER_SHIPPED = /\.test\.ts$|\/testing\/|\/build\.ts$/;

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

/** The contracts travel inside the package: what imports them by name is given the path to the copy beside it. */
function gatherSources(): void {
  cpSync(join(PACKAGE, 'src'), join(SOURCES, 'client-sdk', 'src'), {
    recursive: true,
    filter: (path) => !NEVER_SHIPPED.test(path),
  });
  for (const part of ['definitions.ts', 'prediction-id.ts', 'gen'])
    cpSync(join(ROOT, 'proto', 'src', part), join(SOURCES, 'proto', 'src', part), { recursive: true });
  for (const entry of readdirSync(SOURCES, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const rewritten = readFileSync(file, 'utf8').replace(CONTRACT, (_, path: string) => {
      return `'${relative(dirname(file), join(SOURCES, 'proto', 'src', path))}'`;
    });
    writeFileSync(file, rewritten);
  }
}

/** Compiles the gathered sources to JavaScript with types beside it. */
function compile(): void {
  const config = {
    extends: join(ROOT, 'tsconfig.base.json'),
    compilerOptions: {
      noEmit: false,
      declaration: true,
      rewriteRelativeImportExtensions: true,
      rootDir: '.',
      outDir: '..',
    },
    include: ['**/*.ts'],
    // Otherwise the folder that is written to, and with it the sources in it, would be left out.
    exclude: [],
  };
  const file = join(SOURCES, 'tsconfig.json');
  writeFileSync(file, JSON.stringify(config));
  const compiler = dirname(fileURLToPath(import.meta.resolve('typescript/package.json')));
  execFileSync(process.execPath, [join(compiler, 'bin', 'tsc'), '-p', file], { stdio: 'inherit' });
}

/** What is not compiled: the contract files themselves, the licence, package.json. */
function addFiles(): void {
  const { name, version, description, license, dependencies } = JSON.parse(
    readFileSync(join(PACKAGE, 'package.json'), 'utf8'),
  ) as Manifest;
  const manifest = {
    name,
    version,
    description,
    license,
    type: 'module',
    engines: { node: '>=24' },
    exports: { '.': { types: './client-sdk/src/index.d.ts', default: './client-sdk/src/index.js' } },
    bin: { hotloop: 'cli/bin/hotloop.mjs' },
    dependencies,
  };
  writeFileSync(join(OUT, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  cpSync(join(ROOT, 'proto', 'hotloop'), join(OUT, 'proto', 'hotloop'), { recursive: true });
  cpSync(join(ROOT, 'LICENSE'), join(OUT, 'LICENSE'));
}

rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
try {
  gatherSources();
  compile();
  addFiles();
} finally {
  rmSync(SOURCES, { recursive: true, force: true });
}
