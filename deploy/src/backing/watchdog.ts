import { spawn } from 'node:child_process';
import { once } from 'node:events';

const STOP_TIMEOUT_MS = 2_000;

/**
 * Reads "watch PID SIGNAL" and "forget PID" from its input. At the end of the input, which the system causes however
 * its parent dies, it signals every process still watched, and kills the remaining ones after ten seconds. It ignores
 * the terminal's signals: its parent stops things in order, and the watchdog is only for a parent that could not.
 */
const SCRIPT = `
trap '' HUP INT TERM
watched=
while read -r word pid signal; do
  case $word in
    watch) watched="$watched $pid:$signal" ;;
    forget)
      kept=
      for entry in $watched; do [ "\${entry%%:*}" = "$pid" ] || kept="$kept $entry"; done
      watched=$kept ;;
  esac
done
for entry in $watched; do kill -s "\${entry#*:}" "\${entry%%:*}" 2>/dev/null; done
tries=0
while [ "$tries" -lt 100 ]; do
  alive=
  for entry in $watched; do kill -0 "\${entry%%:*}" 2>/dev/null && alive=1; done
  [ -z "$alive" ] && exit 0
  sleep 0.1
  tries=$((tries + 1))
done
for entry in $watched; do kill -s KILL "\${entry%%:*}" 2>/dev/null; done
`;

/**
 * Ends the watched processes when this process dies without ending them itself, including by SIGKILL. It owns one
 * small shell, which ends on disposal. Forget a process as soon as it has exited, because its id may be reused.
 */
export interface Watchdog extends AsyncDisposable {
  watch(pid: number, stopSignal: NodeJS.Signals): void;
  forget(pid: number): void;
}

export function startWatchdog(): Watchdog {
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'hotloop-watchdog'], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  });
  const exited = once(shell, 'exit');
  // A dead watchdog only removes the safety net; the service continues.
  exited.catch(() => undefined);
  shell.on('error', () => undefined);
  shell.stdin.on('error', () => undefined);
  const say = (line: string): void => {
    if (shell.stdin.writable) shell.stdin.write(`${line}\n`);
  };
  return {
    watch: (pid, stopSignal) => say(`watch ${pid} ${stopSignal.replace(/^SIG/, '')}`),
    forget: (pid) => say(`forget ${pid}`),
    async [Symbol.asyncDispose]() {
      if (shell.pid === undefined || shell.exitCode !== null || shell.signalCode !== null) return;
      shell.stdin.end();
      const timer = setTimeout(() => shell.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await exited.catch(() => undefined);
      clearTimeout(timer);
    },
  };
}
