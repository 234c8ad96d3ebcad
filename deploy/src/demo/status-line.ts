import type { Writable } from 'node:stream';

const REPAINT_MS = 250;
const LINE_MS = 5000;

/** Contents of the line. */
export interface Status {
  readonly elapsedMs: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** 0: none yet. */
  readonly liveVersion: number;
  readonly failed: number;
  /** Outcomes that have arrived at the retrainer. */
  readonly labels: number;
  /** Rolling AUC of the live traffic; NaN before there is one. */
  readonly auc: number;
  /** What the retrainer is doing. */
  readonly retrainer: string;
}

/** One updated line, with messages above it. Disposing restores the terminal. */
export interface StatusLine extends Disposable {
  say(sentence: string): void;
}

/** Repaints one line on a terminal; elsewhere writes a line every few seconds. `read` returns the current numbers. */
export function statusLine(
  out: Writable & { readonly isTTY?: boolean; readonly columns?: number },
  read: () => Status | undefined,
): StatusLine {
  const isTerminal = out.isTTY === true;
  const paint = () => {
    const status = read();
    if (!status) return;
    const text = describeStatus(status);
    out.write(isTerminal ? `\r\u001b[K${text.slice(0, (out.columns ?? 120) - 1)}` : `${text}\n`);
  };
  const timer = setInterval(paint, isTerminal ? REPAINT_MS : LINE_MS);
  return {
    say(sentence) {
      out.write(`${isTerminal ? '\r\u001b[K' : ''}${sentence}\n`);
      if (isTerminal) paint();
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      if (isTerminal) out.write('\r\u001b[K');
    },
  };
}

/** Short enough for a narrow terminal: what changes fastest comes first, the current activity last. */
export function describeStatus(status: Status): string {
  const failed = status.failed === 0 ? '' : ` | ${status.failed} FAILED`;
  const auc = Number.isNaN(status.auc) ? '' : `, AUC ${status.auc.toFixed(3)}`;
  const version = status.liveVersion === 0 ? 'no version yet' : `live v${status.liveVersion}${auc}`;
  const seconds = (status.elapsedMs / 1000).toFixed(0).padStart(3);
  return (
    `${seconds} s | ${status.perSecond.toFixed(0).padStart(3)}/s` +
    ` | p50 ${milliseconds(status.p50Ms)} p99 ${milliseconds(status.p99Ms)} ms | ${version}` +
    `${failed} | ${status.labels.toLocaleString('en')} labels | ${status.retrainer}`
  );
}

function milliseconds(value: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(1);
}
