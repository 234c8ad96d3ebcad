import { readFileSync } from 'node:fs';

const RESIDENT = /^Pss:\s+(\d+) kB$/m;

/** Proportional set size of a process, so that sums are exact; 0 when it has ended. Linux. */
export function residentBytes(pid: number): number {
  try {
    const [, kilobytes] = RESIDENT.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? [];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Peak memory of a process so far; 0 when it has ended. Linux. */
export function peakBytes(pid: number): number {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}
