import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** Ctrl-C under npm arrives twice: from the terminal and from npm. A person's second one comes later than this. */
const SAME_PRESS_MS = 500;
const STOP_GRACE_MS = 30_000;
const PARENT_POLL_MS = 1_000;

/**
 * Waits for its input's end, which comes when this process dies in whatever way; then ends the process $1 and, after
 * $2 tenths of a second, all of its group.
 */
const GUARD = `
trap '' HUP INT TERM
read -r done && exit 0
kill -s TERM "$1" 2>/dev/null
tries=0
while [ "$tries" -lt "$2" ] && kill -0 "$1" 2>/dev/null; do sleep 0.1; tries=$((tries + 1)); done
kill -s KILL -- "-$1" 2>/dev/null
`;

/** Thrown for a child that was ended by a signal we were sent: nothing more shall be started. */
export class Interrupted extends Error {
  /** @param {NodeJS.Signals} signal */
  constructor(signal) {
    super(`interrupted by ${signal}`);
    this.signal = signal;
    this.exitCode = 128 + constants.signals[signal];
  }
}

/**
 * Takes the signals for as long as it is open, and hands each to the one child that runs. The child has a process
 * group of its own, so a Ctrl-C in the terminal reaches it through here and only once. Nothing of that group outlives
 * the child, and the child does not outlive us.
 */
export class ChildRunner {
  #child;
  #stopGraceMs = STOP_GRACE_MS;
  #received;
  #lastAt = -Infinity;
  #handlers = SIGNALS.map((signal) => ({ signal, handler: () => this.#receive(signal) }));
  #parentPoll;

  constructor() {
    for (const { signal, handler } of this.#handlers) process.on(signal, handler);
    const parent = process.ppid;
    // Under npm, a parent that is gone means that npm was killed and could not say so.
    if (process.env.npm_lifecycle_event !== undefined) {
      this.#parentPoll = setInterval(
        () => process.ppid !== parent && this.#receive('SIGTERM'),
        PARENT_POLL_MS,
      );
      this.#parentPoll.unref();
    }
  }

  /** Throws Interrupted when a signal came in since the start. */
  throwIfInterrupted() {
    if (this.#received !== undefined) throw new Interrupted(this.#received);
  }

  /**
   * Runs a command to its end. `stdio` is as for spawn; with 'pipe' the output is collected. A command that has not
   * ended `stopGraceMs` after its first signal is killed.
   *
   * @param {string} command
   * @param {readonly string[]} args
   * @param {{ env?: NodeJS.ProcessEnv, cwd?: string, stdio?: import('node:child_process').StdioOptions,
   *   stopGraceMs?: number }} options
   * @returns {Promise<{ exitCode: number, output: string }>} Rejects when the command cannot be started, and with
   *   Interrupted when it ended after a signal without an exit code of its own.
   */
  async run(command, args, { stopGraceMs = STOP_GRACE_MS, ...options } = {}) {
    this.throwIfInterrupted();
    const child = spawn(command, args, { stdio: 'inherit', ...options, detached: true });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    const ended = once(child, 'exit');
    if (child.pid === undefined) {
      await ended;
      throw new Error(`${command} could not be started`);
    }
    const guard = startGuard(child.pid, stopGraceMs);
    this.#child = child;
    this.#stopGraceMs = stopGraceMs;
    try {
      const [code, signal] = await ended;
      if (code === null) this.throwIfInterrupted();
      return { exitCode: code ?? 128 + constants.signals[signal], output };
    } finally {
      this.#child = undefined;
      killGroup(child.pid);
      guard.stdin.end('done\n');
    }
  }

  close() {
    clearInterval(this.#parentPoll);
    for (const { signal, handler } of this.#handlers) process.off(signal, handler);
  }

  #receive(signal) {
    const now = performance.now();
    const samePress = now - this.#lastAt < SAME_PRESS_MS;
    this.#lastAt = now;
    if (samePress) return;
    const first = this.#received === undefined;
    this.#received ??= signal;
    const child = this.#child;
    if (child === undefined) return;
    child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal);
    if (first) setTimeout(() => killGroup(child.pid), this.#stopGraceMs).unref();
  }
}

function startGuard(pid, stopGraceMs) {
  const guard = spawn('/bin/sh', ['-c', GUARD, 'hotloop-guard', String(pid), String(stopGraceMs / 100)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  });
  guard.on('error', () => undefined);
  guard.stdin.on('error', () => undefined);
  return guard;
}

function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group is empty: what was wanted.
  }
}
