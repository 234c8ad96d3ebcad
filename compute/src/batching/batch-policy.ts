/** What the policy looks at. Nothing else decides. */
export interface BatchView {
  readonly queuedRows: number;
  /** Batches handed to the runner and not yet answered, and their rows. */
  readonly runningBatches: number;
  readonly runningRows: number;
  readonly capRows: number;
}

/** Batches that may be with a runner: one running, and the next already there when it ends. */
export const PIPELINE_DEPTH = 2;

/**
 * Work that comes in one turn of the event loop is gathered for so long, in milliseconds. A turn that reads many
 * requests takes longer than that: were nothing sent before its end, runner and callers would all wait for it, and then
 * it for them.
 */
export const GATHER_MS = 0.25;

/**
 * How many rows to send now; 0 waits for the next event. Greedy: an idle runner gets all waiting rows up to the cap. While one batch
 * runs, the next gathers, and follows it as soon as it is as large as what runs, or full: under load the
 * runner finds the next batch waiting, and at low load nothing is cut into pieces.
 */
export function rowsToSend(view: BatchView): number {
  const { queuedRows, runningBatches, runningRows, capRows } = view;
  if (queuedRows === 0 || runningBatches >= PIPELINE_DEPTH) return 0;
  if (runningBatches > 0 && queuedRows < Math.min(runningRows, capRows)) return 0;
  return Math.min(queuedRows, capRows);
}
