import { readFileSync } from 'node:fs';
import { processTree } from './process-tree.ts';

/** Clock ticks a second in /proc: USER_HZ, 100 on every Linux that Node runs on. */
const TICKS = 100;

/** Processor time that all processes below one have used so far, ended ones included, without its own; seconds. Linux. */
export function cpuSecondsBelow(root: number): number {
  return processTree(root).reduce((sum, pid) => sum + cpuSeconds(pid, pid !== root), 0);
}

/** Of a process, if asked for, and of its ended children; 0 when it has ended, for then its parent counts it. */
function cpuSeconds(pid: number, withItself: boolean): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may contain any characters. After it: state, parent, … utime, stime, cutime, cstime.
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15);
    return (cutime + cstime + (withItself ? utime + stime : 0)) / TICKS;
  } catch {
    return 0;
  }
}
