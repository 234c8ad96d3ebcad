/** Everything that the policy depends on. */
export interface BatchView {
  readonly queuedRows: number;
  /** Batches sent to the runner and not yet answered, and their rows. */
  readonly runningBatches: number;
  readonly runningRows: number;
  readonly capRows: number;
}

/** Batches sent to a runner at the same time: one running, and the next already there when it ends. */
export const PIPELINE_DEPTH = 2;

/**
 * How long work that arrives in one turn of the event loop is gathered, in milliseconds. A turn that reads many
 * requests takes longer; if nothing were sent before its end, the runner would idle during the turn and the callers
 * would wait for both.
 */
export const GATHER_MS = 0.25;

/**
 * How many rows to send now; 0: wait for the next event. Greedy: an idle runner gets all waiting rows up to the cap.
 * While one batch runs, the next one gathers; it is sent as soon as it is as large as the running one, or full. So a
 * loaded runner finds its next batch waiting, and at low load batches are not split up.
 */
export function rowsToSend(view: BatchView): number {
  const { queuedRows, runningBatches, runningRows, capRows } = view;
  if (queuedRows === 0 || runningBatches >= PIPELINE_DEPTH) return 0;
  if (runningBatches > 0 && queuedRows < Math.min(runningRows, capRows)) return 0;
  return Math.min(queuedRows, capRows);
}
