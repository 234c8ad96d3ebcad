import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
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

/** Committed files that differ from what the contracts generate now. */
function staleFiles(): string[] {
  const fresh = mkdtempSync(join(tmpdir(), 'hotloop-types-'));
  try {
    generateTypes(fresh);
    const wanted = filesUnder(fresh);
    const present = filesUnder(GENERATED);
    const names = new Set([...wanted.keys(), ...present.keys()]);
    const stale = [...names].filter((name) => wanted.get(name) !== present.get(name));
    return stale;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

if (process.argv.includes('--check')) {
  const stale = staleFiles();
  if (stale.length > 0) {
    console.error(`generated files are not current: ${stale.join(', ')}\nrun: npm run generate`);
    process.exitCode = 1;
  }
} else {
  rmSync(GENERATED, { recursive: true, force: true });
  generateTypes(GENERATED);
}
