import { readFileSync } from 'node:fs';
import { processTree } from './process-tree.ts';

/** Clock ticks a second in /proc: USER_HZ, 100 on every Linux that Node runs on. */
const TICKS = 100;

/** Processor time that processes and all below them have used so far, ended children included; seconds. Linux. */
export function cpuSecondsOf(roots: readonly number[]): number {
  return roots.flatMap(processTree).reduce((sum, pid) => sum + cpuSeconds(pid), 0);
}

/** The same for each root, by the program that it runs, such as `retrainer`, `postgres`. Linux. */
export function cpuSecondsByProgram(roots: readonly number[]): Map<string, number> {
  const byProgram = new Map<string, number>();
  for (const pid of roots) {
    const program = programOf(pid);
    byProgram.set(program, (byProgram.get(program) ?? 0) + cpuSecondsOf([pid]));
  }
  return byProgram;
}

/** The folder of a service's entry file, or the name of another program. */
function programOf(pid: number): string {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const service = words.flatMap((word) => /([a-z-]+)\/src\/[^/]*\.ts$/.exec(word)?.[1] ?? [])[0];
    return service ?? (words[0] ?? '').split('/').at(-1) ?? '';
  } catch {
    return 'ended';
  }
}

/** Of a process and its ended children; 0 when it has ended, for then its parent counts it. */
function cpuSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may contain any characters. After it: state, parent, … utime, stime, cutime, cstime.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS;
  } catch {
    return 0;
  }
}
