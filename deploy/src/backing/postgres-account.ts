import { chown, stat } from 'node:fs/promises';
import { BackingServiceError } from './backing-service-error.ts';
import { runCommand } from './run-command.ts';

const TIMEOUT_MS = 10_000;
/** $1: a program of Postgres, which complains on stderr when it may not read itself; $2: the data folder. */
const PROBE = 'complaint=$("$1" --version 2>&1 >/dev/null) && [ -z "$complaint" ] && test -w "$2"';
const ACCOUNTS = ['postgres', '_postgres', 'nobody'];

/** The account under which Postgres' programs run. */
export interface PostgresAccount {
  /** The required owner of Postgres' files; undefined: the current user. */
  readonly owner?: AccountNumbers;
  /** How to start its programs as that account: either user and group ids, or a command prefix. */
  readonly spawnAs?: AccountNumbers;
  readonly prefix: readonly string[];
}

export interface AccountNumbers {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Postgres refuses to run as root. Any other user runs it directly. Root runs it as an account that exists on every
 * system, so nothing is added to the system. If that account may not enter the folders above (a clone under /root, a
 * temporary folder), the process keeps only the capability that allows it.
 *
 * `dataDir` must exist: its owner determines the account, and if that is root, the folder is given to the account.
 * `program` is any of Postgres' programs. Throws START_FAILED saying what to do when neither way works.
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
    // Postgres checks with access(2) whether its own file is executable; without this bit, that check ignores
    // capabilities.
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
