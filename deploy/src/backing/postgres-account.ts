import { chown, stat } from 'node:fs/promises';
import { BackingServiceError } from './backing-service-error.ts';
import { runCommand } from './run-command.ts';

const TIMEOUT_MS = 10_000;
/** $1: a program of Postgres's, which complains on stderr when it may not read itself; $2: the data folder. */
const PROBE = 'complaint=$("$1" --version 2>&1 >/dev/null) && [ -z "$complaint" ] && test -w "$2"';
const ACCOUNTS = ['postgres', '_postgres', 'nobody'];

/** Under which account Postgres's programs run. */
export interface PostgresAccount {
  /** Who must own Postgres's files; undefined means the present user. */
  readonly owner?: AccountNumbers;
  /** To start its programs as that account: either numbers for the start, or a command before theirs. */
  readonly spawnAs?: AccountNumbers;
  readonly prefix: readonly string[];
}

export interface AccountNumbers {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Postgres refuses to run as root. For anyone else the answer is "as you are". Root runs it as an account that
 * exists on every system, and nothing is added to the system. Where that account may not enter the folders above
 * (a clone under /root, a temporary folder), the process keeps the one capability that lets it through.
 *
 * `dataDir` must exist: its owner decides, and where that is root it is given to the account. `program` is any of
 * Postgres's programs. Throws START_FAILED saying what to do where neither way works.
 */
export async function postgresAccount(
  dataDir: string,
  program: string,
  signal: AbortSignal,
): Promise<PostgresAccount> {
  if (process.getuid?.() !== 0) return { prefix: [] };
  const owner = await accountNumbers(dataDir, signal);
  const { uid, gid } = owner;
  await chown(dataDir, uid, gid);
  const probe = ['/bin/sh', '-c', PROBE, 'sh', program, dataDir];
  const [shell = '', ...args] = probe;
  const plain = await runCommand(shell, args, { uid, gid, timeoutMs: TIMEOUT_MS, cwd: '/' }, signal);
  if (plain.code === 0) return { owner, spawnAs: owner, prefix: [] };

  const prefix = [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    '--inh-caps=-all,+dac_override',
    '--ambient-caps=+dac_override',
    '--bounding-set=-all,+dac_override',
    // Postgres asks with access(2) whether its own file is executable; without this, that answer ignores capabilities.
    '--securebits=+no_setuid_fixup',
    '--',
  ];
  const [setpriv = '', ...rest] = [...prefix, ...probe];
  const capable = await runCommand(setpriv, rest, { timeoutMs: TIMEOUT_MS, cwd: '/' }, signal);
  if (capable.code === 0) return { owner, prefix };
  throw new BackingServiceError(
    'START_FAILED',
    `Postgres does not run as root, and the account with number ${uid} may not enter this folder (${dataDir}). Run as another user, or move the clone to a folder that everybody may enter.`,
  );
}

async function accountNumbers(dataDir: string, signal: AbortSignal): Promise<AccountNumbers> {
  const owner = await stat(dataDir);
  if (owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  for (const name of ACCOUNTS) {
    const [uid, gid] = await Promise.all([idOf('-u', name, signal), idOf('-g', name, signal)]);
    if (uid !== undefined && gid !== undefined) return { uid, gid };
  }
  throw new BackingServiceError(
    'START_FAILED',
    `Postgres does not run as root, and none of the accounts ${ACCOUNTS.join(', ')} exists here. Run as another user.`,
  );
}

async function idOf(flag: string, name: string, signal: AbortSignal): Promise<number | undefined> {
  const { code, stdout } = await runCommand('id', [flag, name], { timeoutMs: TIMEOUT_MS }, signal);
  const id = Number.parseInt(stdout, 10);
  return code === 0 && Number.isSafeInteger(id) ? id : undefined;
}
