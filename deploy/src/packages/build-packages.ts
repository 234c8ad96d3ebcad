import { cpSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compilePackage } from './compile-package.ts';
import { BUNDLED, clientManifest, PLATFORM_FOLDERS, platformManifest } from './package-manifests.ts';

/** Not needed to run the platform. */
const LEFT_OUT =
  /^(deploy\/src\/(demo|tour|packages|images|site|compatibility|backing\/(test-services|real-kafka)\.ts)|proto\/src\/generate\.ts)(\/|$)/;
/** Parts of our packages that are not code: contracts, migrations, the schema of model.yaml. */
const BESIDE_SOURCES: Readonly<Record<string, readonly string[]>> = {
  proto: ['hotloop', 'inference', 'onnx'],
  model: ['model.schema.json'],
  cli: ['bin'],
};

function format(manifest: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/**
 * Compiles the `hotloop` package (command, services, local runner, and the console if it is built) into a folder.
 *
 * @param checkTypes as in CompileOptions.
 */
export function buildPlatformPackage(root: string, out: string, checkTypes = true): void {
  compilePackage({
    root,
    out,
    sources: PLATFORM_FOLDERS.flatMap((folder) => [
      { path: `${folder}/src`, include: (path: string) => !LEFT_OUT.test(path) },
      ...(BESIDE_SOURCES[folder] ?? []).map((name) => ({ path: `${folder}/${name}` })),
    ]),
    target: 'ES2024',
    declarations: false,
    checkTypes,
  });
  const console = join(root, 'console', 'dist');
  if (existsSync(console)) cpSync(console, join(out, 'console', 'dist'), { recursive: true });
  writeFileSync(join(out, 'package.json'), format(platformManifest(root)));
  cpSync(join(root, 'LICENSE'), join(out, 'LICENSE'));
}

/**
 * Bundles ONNX Runtime into the package. Its own package runs an install script, which downloads libraries for GPUs
 * and fails where it cannot; the bundled copy has no script and no libraries for Windows.
 */
export function bundleRuntime(root: string, out: string): void {
  for (const name of BUNDLED) {
    const from = join(root, 'node_modules', name);
    const to = join(out, 'node_modules', name);
    cpSync(from, to, {
      recursive: true,
      filter: (path) => !/\/(win32|script|test)(\/|$)|\.map$/.test(path.slice(from.length)),
    });
    const manifest = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8')) as Record<string, unknown>;
    const { scripts: _scripts, dependencies, devDependencies: _dev, ...kept } = manifest;
    const common = Object.entries(dependencies ?? {}).filter(([dependency]) => BUNDLED.includes(dependency));
    const own = { ...kept, dependencies: Object.fromEntries(common) };
    writeFileSync(join(to, 'package.json'), format(own));
  }
}

/**
 * Prepares `client-sdk/` for `npm pack`: compiles it into `dist/` and replaces its package.json, whose exports point
 * to the sources, by the published one. `restoreClient` undoes the replacement.
 */
export function prepareClient(root: string): void {
  const folder = join(root, 'client-sdk');
  // An interrupted pack left the published package.json in place.
  restoreClient(root);
  compilePackage({
    root,
    out: join(folder, 'dist'),
    sources: [
      { path: 'client-sdk/src' },
      { path: 'proto/src', include: (path: string) => !path.endsWith('/generate.ts') },
      { path: 'proto/hotloop' },
      // The framed client is the one that the services use; the server side is left out.
      { path: 'platform/src/framed', include: (path: string) => !path.includes('/served') },
    ],
    target: 'ES2022',
    declarations: true,
  });
  const manifest = format(clientManifest(root));
  renameSync(join(folder, 'package.json'), join(folder, 'dist', 'package.source.json'));
  writeFileSync(join(folder, 'package.json'), manifest);
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
}

export function restoreClient(root: string): void {
  const folder = join(root, 'client-sdk');
  const kept = join(folder, 'dist', 'package.source.json');
  if (!existsSync(kept)) return;
  writeFileSync(join(folder, 'package.json'), readFileSync(kept));
  rmSync(kept);
  rmSync(join(folder, 'LICENSE'), { force: true });
}
