import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CONTRACT_FILES, OIP_FILES, PROTO_ROOT } from './definitions.ts';

const GENERATED = fileURLToPath(new URL('./gen', import.meta.url));

/** Writes the TypeScript types of every contract into a folder. */
function generateTypes(outDir: string): void {
  generateFrom(CONTRACT_FILES, 'Number', outDir);
  generateFrom(OIP_FILES, 'String', outDir);
}

function generateFrom(files: readonly string[], longs: 'Number' | 'String', outDir: string): void {
  const generator = fileURLToPath(
    import.meta.resolve('@grpc/proto-loader/build/bin/proto-loader-gen-types.js'),
  );
  const options = [
    `--longs=${longs}`,
    '--enums=String',
    '--bytes=Buffer',
    '--defaults',
    '--oneofs',
    '--includeComments',
  ];
  const extensions = ['--grpcLib=@grpc/grpc-js', '--targetFileExtension=.ts', '--importFileExtension=.ts'];
  execFileSync(process.execPath, [generator, ...options, ...extensions, '-I', '.', '-O', outDir, ...files], {
    cwd: PROTO_ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

function filesUnder(folder: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found.set(relative(folder, path), readFileSync(path, 'utf8'));
  }
  return found;
}

/** Committed files that differ from what the contracts generate now, with the text that they should have; null: none. */
function staleFiles(): Map<string, string | null> {
  const fresh = mkdtempSync(join(tmpdir(), 'hotloop-types-'));
  try {
    generateTypes(fresh);
    const wanted = filesUnder(fresh);
    const present = filesUnder(GENERATED);
    const names = new Set([...wanted.keys(), ...present.keys()]);
    const stale = [...names].filter((name) => wanted.get(name) !== present.get(name));
    return new Map(stale.map((name) => [name, wanted.get(name) ?? null]));
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

const stale = staleFiles();
if (process.argv.includes('--check')) {
  if (stale.size > 0) {
    console.error(`generated files are not current: ${[...stale.keys()].join(', ')}\nrun: npm run generate`);
    process.exitCode = 1;
  }
}
// Files that are as they should be are not touched: a check of types may read them meanwhile.
else
  for (const [name, text] of stale) {
    const path = join(GENERATED, name);
    if (text === null) rmSync(path);
    else {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
  }
