import type { ErrorCode } from '@hotloop/proto/errors.ts';
import type { VersionTally } from '../metrics/version-tally.ts';

interface Duration {
  count: number;
  us: number;
}

/** Work of a version since it was loaded. Durations in microseconds. */
export class SlotStatistics {
  readonly success: Duration = { count: 0, us: 0 };
  readonly fail: Duration = { count: 0, us: 0 };
  readonly queue: Duration = { count: 0, us: 0 };
  readonly infer: Duration = { count: 0, us: 0 };
  /** Runs by their number of rows. */
  readonly runs = new Map<number, Duration>();
  /** Rows answered. */
  rows = 0;
  runCount = 0;
  /** Milliseconds since 1970; 0 before the first. */
  lastAt = 0;
  /** The same counts for the metrics of the process, which outlive the slot. */
  tally: VersionTally | undefined;

  succeeded(rows: number, queueUs: number, runUs: number, nowMs: number, predictionId: string): void {
    add(this.success, queueUs + runUs);
    add(this.queue, queueUs);
    add(this.infer, runUs);
    this.rows += rows;
    this.lastAt = nowMs;
    this.tally?.succeeded(rows, queueUs, runUs, predictionId);
  }

  failed(us: number, code: ErrorCode): void {
    add(this.fail, us);
    this.tally?.failed(us, code);
  }

  ran(rows: number, runUs: number): void {
    this.runCount++;
    this.tally?.ran(rows, runUs);
    let runs = this.runs.get(rows);
    if (!runs) {
      runs = { count: 0, us: 0 };
      this.runs.set(rows, runs);
    }
    add(runs, runUs);
  }
}

function add(duration: Duration, us: number): void {
  duration.count++;
  duration.us += us;
}
