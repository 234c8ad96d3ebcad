import { randomInt } from 'node:crypto';
import type { Log } from '@hotloop/platform/log.ts';
import { type LoadOptions, usesDevice } from './load-options.ts';
import { filesOfARunner } from './runner-files.ts';
import { type Tried, tryOut } from './try-out.ts';

/** Takes from runners the rights that they do not need, as far as this system allows it. */
export interface Confinement extends Tried {
  /** What stands before a runner's command, and becomes the runner in the same process. Another for each runner. */
  prefix(): readonly string[];
}

/** One way to start a runner. */
interface Way {
  readonly user: 'its own' | 'its own, reading all files' | 'that of the service';
  readonly network: 'none' | 'that of the service';
  prefix(): readonly string[];
}

/**
 * Numbers that belong to no account, which systemd too hands out while a service runs. Each runner has one of its own, so that it
 * may neither stop another nor look into it.
 */
const FIRST_USER = 61_184;
const USERS = 4_336;
/** Gets through folders that only their owner may enter, such as a clone under /root. */
const READ_ALL = ['--inh-caps', '--ambient-caps', '--bounding-set'].map(
  (set) => `${set}=-all,+dac_read_search`,
);
const DIES_WITH_SERVICE = '--pdeathsig=KILL';

const AS_IT_IS: Way = { user: 'that of the service', network: 'that of the service', prefix: () => [] };

const setpriv = (...options: readonly string[]) => ['setpriv', ...options, DIES_WITH_SERVICE, '--'];

/** The strictest first; the last works everywhere. */
function waysOf(isRoot: boolean): readonly Way[] {
  // From a drawn one on, because other services count too.
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
  // Who is not root may leave the network only together with the system's users.
  const unshare = ['unshare', ...(isRoot ? [] : ['--user']), '--net', '--'];
  const offline = ({ user, prefix }: Way): Way => ({
    user,
    network: 'none',
    prefix: () => [...unshare, ...prefix()],
  });
  return [...ways.slice(isRoot ? 0 : -1).flatMap((way) => [offline(way), way]), AS_IT_IS];
}

/** Devices belong to groups, and their drivers may start programs that gain privileges: such a runner keeps its rights. */
const WAYS_BESIDE_DEVICES: readonly Way[] = [{ ...AS_IT_IS, prefix: () => setpriv() }, AS_IT_IS];

/**
 * The strictest ways to start runners that work here. Each is tried out before a model depends on it. They depend on this system
 * and on how this process was started, which do not change: found out once for all runners, and logged once.
 */
export class Confinements {
  readonly #log: Log;
  readonly #found = new Map<boolean, Promise<Confinement>>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Rejects when it could not be tried out, such as when open files run out; the next call tries again. */
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
    if (isPowerful) log.warn(facts, 'runners may do more than they need');
    else log.info(facts, 'how runners are confined');
    return { ...tried, prefix };
  }
  log.warn(
    { usesDevices },
    'no way to confine runners could be tried out; they start with all that the service may do',
  );
  return { prefix: AS_IT_IS.prefix, mayRaisePriority: false };
}
