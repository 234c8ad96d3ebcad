import { createHash, randomUUID } from 'node:crypto';
import { access, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { runCommand } from './run-command.ts';

const APT_TIMEOUT_MS = 180_000;
const UNPACK_TIMEOUT_MS = 60_000;

/** Changed when this file unpacks differently, so that an older tree is not mistaken for a new one. */
const LAYOUT = 'v1';

/** What redis-server and kcat need on a minimal Debian 12; used where apt cannot determine it. */
const KNOWN_CLOSURE = [
  'redis-server',
  'redis-tools',
  'libjemalloc2',
  'liblzf1',
  'libatomic1',
  'kcat',
  'librdkafka1',
  'libyajl2',
  'libsasl2-2',
  'liblz4-1',
];

/** Never unpacked: the C library must be the system's own, to match its loader. */
const NEVER_UNPACK = /^(libc6|libc-bin|libc-l10n|locales|dpkg|perl-base)$/;

export interface DebianPackagesOptions {
  readonly packages: readonly string[];
  readonly cacheDir: string;
  readonly log: (line: string) => void;
  /** Tries the unpacked programs before the tree is accepted. */
  works(root: string, libraries: string): Promise<boolean>;
}

export interface UnpackedTree {
  readonly root: string;
  /** Value of LD_LIBRARY_PATH. */
  readonly libraries: string;
}

interface AptState {
  readonly options: readonly string[];
}

/**
 * Downloads packages, and their dependencies that this system lacks, with `apt-get download`, unpacks them with `dpkg
 * -x` into one tree in the cache, and tries it. Needs no root and changes nothing outside `cacheDir`. An existing
 * tree is reused. Throws with apt's own message.
 */
export async function fetchDebianPackages(
  options: DebianPackagesOptions,
  signal: AbortSignal,
): Promise<UnpackedTree> {
  const cacheDir = resolve(options.cacheDir);
  const root = join(cacheDir, await treeName(options.packages));
  if (await exists(root)) {
    const tree = { root, libraries: await libraryFolders(root) };
    if (await options.works(tree.root, tree.libraries)) return tree;
    // The system was changed, or files in the tree were removed: fetch again.
    await rm(root, { recursive: true, force: true });
  }
  await requireApt(signal);
  const draft = join(cacheDir, `draft-${randomUUID()}`);
  await mkdir(draft, { recursive: true });
  try {
    options.log(`fetching ${options.packages.join(', ')} into the project's cache`);
    const files = await download(options.packages, cacheDir, join(draft, 'packages'), options.log, signal);
    const fresh = join(draft, 'root');
    for (const file of files) await must('dpkg', ['-x', file, fresh], UNPACK_TIMEOUT_MS, signal);
    if (!(await options.works(fresh, await libraryFolders(fresh))))
      throw new Error('the unpacked programs do not run here');
    await rename(fresh, root).catch(async (error: unknown) => {
      // Another process was faster; its tree is equivalent.
      if (!(await exists(root))) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return { root, libraries: await libraryFolders(root) };
}

/** Uses the system's package lists first; if these are absent or outdated, it downloads lists into the cache. */
async function download(
  packages: readonly string[],
  cacheDir: string,
  folder: string,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const sandbox = process.getuid?.() === 0 ? ['-o', 'APT::Sandbox::User=root'] : [];
  try {
    return await downloadWith({ options: sandbox }, packages, folder, signal);
  } catch {
    signal.throwIfAborted();
  }
  log('fetching the package lists');
  const state = join(cacheDir, 'apt');
  await mkdir(join(state, 'lists', 'partial'), { recursive: true });
  await mkdir(join(state, 'cache', 'archives', 'partial'), { recursive: true });
  const own = ['-o', `Dir::State::Lists=${join(state, 'lists')}`, '-o', `Dir::Cache=${join(state, 'cache')}`];
  const options = [...sandbox, ...own];
  try {
    await must(
      'apt-get',
      [...options, '-q', '-o', 'APT::Update::Error-Mode=any', 'update'],
      APT_TIMEOUT_MS,
      signal,
    );
    return await downloadWith({ options }, packages, folder, signal);
  } finally {
    await rm(state, { recursive: true, force: true });
  }
}

async function downloadWith(
  apt: AptState,
  packages: readonly string[],
  folder: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const names = await lacking(apt, packages, signal);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await must('apt-get', [...apt.options, '-q', 'download', ...names], APT_TIMEOUT_MS, signal, folder);
  const files = (await readdir(folder)).filter((name) => name.endsWith('.deb'));
  if (files.length === 0) throw new Error('apt-get download returned no files');
  return files.map((name) => join(folder, name));
}

/** Asks apt what an installation would add to this system, without installing. */
async function lacking(
  apt: AptState,
  packages: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const simulation = [...apt.options, '-q', '--simulate', '--no-install-recommends', 'install', ...packages];
  const { code, stdout } = await runCommand('apt-get', simulation, { timeoutMs: APT_TIMEOUT_MS }, signal);
  const planned = [...stdout.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? '');
  const names = code === 0 && planned.length > 0 ? planned : KNOWN_CLOSURE;
  // A package that is installed but was not found on the PATH is not in apt's plan, but it is needed.
  return [...new Set([...packages, ...names])].filter((name) => !NEVER_UNPACK.test(name));
}

async function requireApt(signal: AbortSignal): Promise<void> {
  const probe = 'command -v apt-get && command -v dpkg';
  const { code } = await runCommand('/bin/sh', ['-c', probe], { timeoutMs: UNPACK_TIMEOUT_MS }, signal);
  if (code !== 0) throw new Error('apt, which is needed to fetch it, is not installed');
}

async function must(
  command: string,
  args: readonly string[],
  timeoutMs: number,
  signal: AbortSignal,
  cwd?: string,
): Promise<void> {
  const { code, stdout, stderr } = await runCommand(command, args, { timeoutMs, cwd }, signal);
  if (code === 0) return;
  const lines = `${stderr}\n${stdout}`.split('\n');
  const said =
    lines.find((line) => /Failed to fetch/.test(line)) ??
    lines.find((line) => /^E:|error/i.test(line)) ??
    lines[0];
  throw new Error(`${command} failed: ${said ?? `exit code ${code}`}`);
}

/** One tree per system release, processor and set of packages. */
async function treeName(packages: readonly string[]): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const id = /^ID=(.*)$/m.exec(release)?.[1] ?? process.platform;
  const version = /^VERSION_ID=(.*)$/m.exec(release)?.[1] ?? '';
  const set = createHash('sha256')
    .update([...packages].sort().join(' '))
    .digest('hex')
    .slice(0, 8);
  return `${LAYOUT}-${id}${version}-${process.arch}-${set}`.replace(/["'\s/]/g, '');
}

async function libraryFolders(root: string): Promise<string> {
  const folders: string[] = [];
  for (const base of [join(root, 'usr', 'lib'), join(root, 'lib')]) {
    const names = await readdir(base).catch(() => []);
    folders.push(
      ...names.filter((name) => name.includes('-linux-gnu')).map((name) => join(base, name)),
      base,
    );
  }
  return folders.join(':');
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
