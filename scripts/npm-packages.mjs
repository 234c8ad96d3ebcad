import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const STAMP = join('node_modules', '.hotloop-installed');
const LAST_LINES = 200;
const NODE_MAJOR = 24;
/** npm goes on installing after a Ctrl-C; what it leaves half done is done anew next time. */
const STOP_GRACE_MS = 1_000;

/** Without these, onnxruntime-node's install script downloads GPU libraries, and fails where it cannot. */
const INSTALL_ENVIRONMENT = { ONNXRUNTIME_NODE_INSTALL: 'skip', npm_config_onnxruntime_node_install: 'skip' };

/**
 * Whether what package-lock.json asks for is installed: by our stamp, or else by npm's own record, so that an
 * `npm install` typed by hand is not done over.
 *
 * @param {string} root
 */
export function packagesAreCurrent(root) {
  const wanted = fingerprint(root);
  if (readOr(join(root, STAMP)) === wanted) return true;
  if (!installedMatchesLock(root)) return false;
  writeFileSync(join(root, STAMP), wanted);
  return true;
}

/**
 * Runs `npm ci` quietly, with one line of progress. Throws with npm's last lines when it fails.
 *
 * @param {string} root
 * @param {import('./child-process.mjs').ChildRunner} runner
 * @param {(line: string) => void} say
 */
export async function installPackages(root, runner, say) {
  const wanted = fingerprint(root);
  const { command, before } = npmCommand();
  const startedAt = performance.now();
  const seconds = () => Math.round((performance.now() - startedAt) / 1_000);
  say('installing npm packages (a minute or so, once)');
  const ticker = process.stderr.isTTY
    ? setInterval(() => process.stderr.write(`\rhotloop: installing npm packages, ${seconds()} s `), 1_000)
    : undefined;
  let result;
  try {
    result = await runner.run(
      command,
      [...before, 'ci', '--no-audit', '--no-fund', '--loglevel=error', '--include=dev'],
      {
        cwd: root,
        env: { ...process.env, ...INSTALL_ENVIRONMENT },
        stdio: ['ignore', 'pipe', 'pipe'],
        stopGraceMs: STOP_GRACE_MS,
      },
    );
  } catch (error) {
    if (error.exitCode !== undefined) throw error;
    throw new Error(
      `npm could not be started (${error.message}). Install Node 20 or later together with npm.`,
    );
  } finally {
    clearInterval(ticker);
    if (ticker !== undefined) process.stderr.write('\r\u001b[K');
  }
  runner.throwIfInterrupted();
  if (result.exitCode !== 0) {
    const lines = result.output.trimEnd().split('\n').slice(-LAST_LINES).join('\n');
    throw new Error(`npm ci failed (exit code ${result.exitCode}). npm said:\n${lines}`);
  }
  writeFileSync(join(root, STAMP), wanted);
  say(`npm packages installed in ${seconds()} s`);
}

/**
 * The Node that runs the project: the one npm brought, else the present one when it is new enough.
 *
 * @param {string} root
 * @returns {string} path
 */
export function projectNode(root) {
  const modules = join(root, 'node_modules');
  const inside = [modules, join(modules, 'node', 'node_modules')].flatMap((folder) =>
    existsSync(folder)
      ? readdirSync(folder)
          .filter((name) => /^node-(bin-)?(linux|darwin)/.test(name))
          .map((name) => join(folder, name, 'bin', 'node'))
      : [],
  );
  const candidates = [
    join(modules, 'node', 'bin', 'node'),
    join(modules, '.bin', 'node'),
    ...inside,
    process.execPath,
  ];
  const found = candidates.find((path) => existsSync(path) && majorOf(path) >= NODE_MAJOR);
  if (found !== undefined) return found;
  throw new Error(
    `Node ${NODE_MAJOR} is missing: npm should have brought it, but its install script did not run. Type: npm config set ignore-scripts false && rm -rf node_modules`,
  );
}

function majorOf(node) {
  if (node === process.execPath) return Number(process.versions.node.split('.')[0]);
  try {
    const version = execFileSync(node, ['--version'], {
      encoding: 'utf8',
      timeout: 10_000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return Number(/^v(\d+)/.exec(version)?.[1]);
  } catch {
    return Number.NaN;
  }
}

/** The npm that started us, else the one on the PATH. */
function npmCommand() {
  const running = process.env.npm_execpath;
  if (running !== undefined && basename(running) === 'npm-cli.js' && existsSync(running)) {
    return { command: process.execPath, before: [running] };
  }
  return { command: 'npm', before: [] };
}

function fingerprint(root) {
  const lock = readFileSync(join(root, 'package-lock.json'));
  return createHash('sha256').update(lock).update(`${process.platform}-${process.arch}`).digest('hex');
}

/** npm writes node_modules/.package-lock.json last, when everything is in place. */
function installedMatchesLock(root) {
  try {
    const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
    const installed = JSON.parse(
      readFileSync(join(root, 'node_modules', '.package-lock.json'), 'utf8'),
    ).packages;
    return Object.entries(wanted).every(([path, entry]) => {
      if (!path.startsWith('node_modules/') && !path.includes('/node_modules/')) return true;
      const there = installed[path];
      if (there === undefined)
        return entry.optional === true || entry.devOptional === true || entry.peer === true;
      return there.version === entry.version && there.integrity === entry.integrity;
    });
  } catch {
    return false;
  }
}

function readOr(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
