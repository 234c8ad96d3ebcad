import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** A change of one source file that a check must detect. `from` occurs in the file exactly once. */
export interface PlantedBug {
  /** Relative to the root of the project. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A copy of the project's sources that runs next to this one, with the same installed packages. */
export interface SourceTree {
  readonly root: string;
  /** Disposing the result undoes the change. */
  plant(bug: PlantedBug): Disposable;
}

/** Copies the files of `root` that git tracks or would track into a new folder. Throws without git. */
export function copySources(root: string, into: string): SourceTree {
  const files = git(root, 'ls-files', '-co', '--exclude-standard', '-z').toString().split('\0');
  for (const file of files) {
    if (file === '' || !existsSync(join(root, file))) continue;
    mkdirSync(dirname(join(into, file)), { recursive: true });
    cpSync(join(root, file), join(into, file));
  }
  linkPackages(root, into);
  return treeAt(into);
}

/** Checks out the sources of another commit of `root`. Throws when git does not have it, as in a shallow clone. */
export function checkOutSources(root: string, reference: string, into: string): SourceTree {
  mkdirSync(into, { recursive: true });
  try {
    git(root, 'cat-file', '-e', `${reference}^{commit}`);
  } catch (cause) {
    throw new Error(`commit ${reference} is not in the history of ${root}; name another with --from`, {
      cause,
    });
  }
  const archive = git(root, 'archive', '--format=tar', reference);
  execFileSync('tar', ['-x', '-C', into], { input: archive });
  linkPackages(root, into);
  return treeAt(into);
}

function treeAt(root: string): SourceTree {
  return {
    root,
    plant(bug) {
      const path = join(root, bug.file);
      const original = readFileSync(path, 'utf8');
      writeFileSync(path, plantedText(original, bug));
      return { [Symbol.dispose]: () => writeFileSync(path, original) };
    },
  };
}

/** Throws when `from` does not occur in the text exactly once. */
export function plantedText(text: string, { file, from, to }: PlantedBug): string {
  const parts = text.split(from);
  if (parts.length !== 2)
    throw new Error(`a planted bug expects one place in ${file}, found ${parts.length - 1}: ${from}`);
  return parts.join(to);
}

const LARGEST_ARCHIVE = 512 * 1024 * 1024;

function git(root: string, ...args: string[]): Buffer {
  return execFileSync('git', ['-C', root, ...args], {
    ...{ maxBuffer: LARGEST_ARCHIVE, stdio: ['ignore', 'pipe', 'pipe'] },
  });
}

/** Installed packages are linked; those of the project are linked into the new tree. */
function linkPackages(root: string, into: string): void {
  const modules = join(root, 'node_modules');
  mkdirSync(join(into, 'node_modules'));
  for (const name of readdirSync(modules)) {
    const path = join(modules, name);
    if (name.startsWith('.') && name !== '.bin') continue;
    if (name !== '@hotloop') symlinkSync(path, join(into, 'node_modules', name));
  }
  mkdirSync(join(into, 'node_modules', '@hotloop'));
  for (const name of readdirSync(join(modules, '@hotloop'))) {
    const inside = relative(realpathSync(root), realpathSync(join(modules, '@hotloop', name)));
    symlinkSync(join(into, inside), join(into, 'node_modules', '@hotloop', name));
  }
  for (const part of readdirSync(root)) {
    const own = join(root, part, 'node_modules');
    if (existsSync(own) && existsSync(join(into, part))) symlinkSync(own, join(into, part, 'node_modules'));
  }
}
