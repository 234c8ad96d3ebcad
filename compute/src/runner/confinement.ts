import { randomInt } from 'node:crypto';
import type { Log } from '@hotloop/platform/log.ts';
import { type LoadOptions, usesDevice } from './load-options.ts';
import { filesOfARunner } from './runner-files.ts';
import { type Tried, tryOut } from './try-out.ts';

/** Removes from runners the rights that they do not need, as far as this system allows it. */
export interface Confinement extends Tried {
  /**
   * Command prefix of a runner; it replaces itself with the runner (exec), so the process id stays. Different for
   * each runner.
   */
  prefix(): readonly string[];
}

/** One way to start a runner. */
interface Way {
  readonly user: 'its own' | 'its own, reading all files' | 'that of the service';
  readonly network: 'none' | 'that of the service';
  prefix(): readonly string[];
}

/**
 * User ids without an account, from the range that systemd uses for dynamic users. Each runner gets its own, so that
 * runners can neither signal nor inspect each other.
 */
const FIRST_USER = 61_184;
const USERS = 4_336;
/** Capability to read through folders that only their owner may enter, such as a clone under /root. */
const READ_ALL = ['--inh-caps', '--ambient-caps', '--bounding-set'].map(
  (set) => `${set}=-all,+dac_read_search`,
);
const DIES_WITH_SERVICE = '--pdeathsig=KILL';

const AS_IT_IS: Way = { user: 'that of the service', network: 'that of the service', prefix: () => [] };

const setpriv = (...options: readonly string[]) => ['setpriv', ...options, DIES_WITH_SERVICE, '--'];

/** The strictest way first; the last one works everywhere. */
function waysOf(isRoot: boolean): readonly Way[] {
  // Starts at a random id, because other services on this machine draw from the same range.
  let taken = randomInt(USERS);
  const setprivOfAnother = (...options: readonly string[]) => {
    const user = FIRST_USER + (taken++ % USERS);
    return setpriv(`--reuid=${user}`, `--regid=${user}`, '--clear-groups', '--no-new-privs', ...options);
  };
  const ways: readonly Way[] = [
    { ...AS_IT_IS, user: 'its own', prefix: () => setprivOfAnother() },
    { ...AS_IT_IS, user: 'its own, reading all files', prefix: () => setprivOfAnother(...READ_ALL) },
    { ...AS_IT_IS, prefix: () => setpriv('--no-new-privs') },
  ];
  // A user other than root may only leave the network namespace together with the user namespace.
  const unshare = ['unshare', ...(isRoot ? [] : ['--user']), '--net', '--'];
  const offline = ({ user, prefix }: Way): Way => ({
    user,
    network: 'none',
    prefix: () => [...unshare, ...prefix()],
  });
  return [...ways.slice(isRoot ? 0 : -1).flatMap((way) => [offline(way), way]), AS_IT_IS];
}

/**
 * Device files are accessed through groups, and drivers may start programs that gain privileges, so a runner with a
 * device keeps its rights.
 */
const WAYS_BESIDE_DEVICES: readonly Way[] = [{ ...AS_IT_IS, prefix: () => setpriv() }, AS_IT_IS];

/**
 * Finds the strictest way to start runners that works here. Each way is tried out before a model depends on it. The
 * result depends only on this system and on how this process was started, so it is determined once for all runners,
 * and logged once.
 */
export class Confinements {
  readonly #log: Log;
  readonly #found = new Map<boolean, Promise<Confinement>>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Rejects when no way could be tried out, for example without free file descriptors; the next call tries again. */
  for({ executionProviders }: Pick<LoadOptions, 'executionProviders'>): Promise<Confinement> {
    const usesDevices = usesDevice(executionProviders);
    const known = this.#found.get(usesDevices);
    if (known) return known;
    const finding = findConfinement(usesDevices, this.#log);
    this.#found.set(usesDevices, finding);
    finding.catch(() => this.#found.delete(usesDevices));
    return finding;
  }
}

async function findConfinement(usesDevices: boolean, log: Log): Promise<Confinement> {
  const isRoot = process.geteuid?.() === 0;
  const files = await filesOfARunner();
  for (const way of usesDevices ? WAYS_BESIDE_DEVICES : waysOf(isRoot)) {
    const tried = await tryOut(way.prefix(), files);
    if (!tried) continue;
    const { user, network, prefix } = way;
    const isPowerful = isRoot && user !== 'its own' && !usesDevices;
    const endsWithService = prefix().includes(DIES_WITH_SERVICE);
    const facts = { usesDevices, user, network, endsWithService, ...tried };
    if (isPowerful) log.warn(facts, 'runners have more rights than they need');
    else log.info(facts, 'how runners are confined');
    return { ...tried, prefix };
  }
  log.warn({ usesDevices }, 'runners could not be confined; they start with all rights of the service');
  return { prefix: AS_IT_IS.prefix, mayRaisePriority: false };
}
