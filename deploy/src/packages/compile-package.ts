import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** One folder or file of the repository that goes into a package. */
export interface PackageSource {
  /** Relative to the repository's root; it has the same place in the package. */
  readonly path: string;
  /** Filter for its files, relative to the root; default: all. */
  readonly include?: (path: string) => boolean;
}

export interface CompileOptions {
  /** Root of the repository. */
  readonly root: string;
  /** Folder of the package; its contents are removed first. */
  readonly out: string;
  readonly sources: readonly PackageSource[];
  /** Oldest JavaScript version of the output. */
  readonly target: 'ES2022' | 'ES2024';
  readonly declarations: boolean;
  /** False saves most of the time; for sources whose types are checked elsewhere. Default true. */
  readonly checkTypes?: boolean;
}

const NEVER_SHIPPED = /\.test\.ts$|\/testing(\/|$)|\/node_modules(\/|$)|\/dist(\/|$)/;
/** `'@hotloop/NAME/PATH.ts'`, and `'@hotloop/client'` alone. */
const OWN_IMPORT = /'@hotloop\/([a-z-]+)(?:\/([^']+))?'/g;
/** One of our files that is named in a string instead of imported, such as the main file of a thread. */
const NAMED_FILE = /(new URL\('[^'\n]*|'[^'\n]*main|`[^`\n]*main|endsWith\(')\.ts(['`])/g;
const FOLDERS: Readonly<Record<string, string>> = { client: 'client-sdk' };

/**
 * Compiles a part of the repository to JavaScript in a separate folder, with the same layout. Imports between our
 * packages become relative paths, so that none of them need to be installed. Files that are not TypeScript are
 * copied. Throws when the compiler reports an error.
 */
export function compilePackage(options: CompileOptions): void {
  const { root, out } = options;
  rmSync(out, { recursive: true, force: true });
  const gathered = join(out, 'sources');
  mkdirSync(gathered, { recursive: true });
  try {
    for (const source of options.sources)
      cpSync(join(root, source.path), join(gathered, source.path), {
        recursive: true,
        filter: (path) => {
          const own = relative(root, path);
          return !NEVER_SHIPPED.test(own) && (source.include?.(own) ?? true);
        },
      });
    for (const file of filesOf(gathered)) {
      if (file.endsWith('.ts')) writeFileSync(file, rewritten(readFileSync(file, 'utf8'), file, gathered));
      else cpSync(file, join(out, relative(gathered, file)));
    }
    runCompiler(options, gathered);
  } finally {
    rmSync(gathered, { recursive: true, force: true });
  }
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function rewritten(text: string, file: string, gathered: string): string {
  return text.replace(NAMED_FILE, '$1.js$2').replace(OWN_IMPORT, (_, name: string, path = 'index.ts') => {
    const to = relative(dirname(file), join(gathered, FOLDERS[name] ?? name, 'src', path));
    return `'${to.startsWith('.') ? to : `./${to}`}'`;
  });
}

function runCompiler(
  { root, target, declarations, checkTypes = true }: CompileOptions,
  gathered: string,
): void {
  const config = {
    extends: join(root, 'tsconfig.base.json'),
    compilerOptions: {
      target,
      lib: ['ES2024', 'ES2025.Float16', 'ESNext.Disposable'],
      noEmit: false,
      noCheck: !checkTypes,
      declaration: declarations,
      rewriteRelativeImportExtensions: true,
      rootDir: '.',
      outDir: '..',
    },
    include: ['**/*.ts'],
    // Otherwise the output folder, and with it the sources in it, would be excluded.
    exclude: [],
  };
  const file = join(gathered, 'tsconfig.json');
  writeFileSync(file, JSON.stringify(config));
  const compiler = dirname(fileURLToPath(import.meta.resolve('typescript/package.json')));
  execFileSync(process.execPath, [join(compiler, 'bin', 'tsc'), '-p', file], { stdio: 'inherit' });
}
