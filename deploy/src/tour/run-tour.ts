import type { TourContext } from './tour-context.ts';
import type { TourStep } from './tour-step.ts';

/** Result of one step. */
export interface StepReport {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  /** Why it was skipped on this machine. */
  readonly skipped?: string;
  /** What was expected and what happened. */
  readonly error?: string;
}

export interface TourReport {
  readonly ok: boolean;
  readonly steps: readonly StepReport[];
}

/** Prints what happens, line by line. */
export type Tell = (line: string) => void;

/** Runs the steps in order; a failed step does not end the tour, because later ones may be independent. */
export async function runTour(
  steps: readonly TourStep[],
  context: TourContext,
  tell: Tell,
  nowMs: () => number = () => performance.now(),
): Promise<TourReport> {
  const reports: StepReport[] = [];
  for (const [index, step] of steps.entries()) {
    if (context.signal.aborted) break;
    const begun = nowMs();
    const report = await runStep(step, context, () => Math.round((nowMs() - begun) / 100) / 10);
    reports.push(report.report);
    const place = `${String(index + 1).padStart(2)}/${steps.length}`;
    const mark = report.report.skipped !== undefined ? 'skipped' : report.report.ok ? 'ok' : 'FAILED';
    tell(
      `${place} ${mark.padEnd(8)}${step.name.padEnd(28)}${report.report.seconds.toFixed(1).padStart(6)} s`,
    );
    tell(`       ${step.about}`);
    if (report.line !== '') tell(`       ${report.line}`);
  }
  return { ok: reports.length === steps.length && reports.every(({ ok }) => ok), steps: reports };
}

async function runStep(
  step: TourStep,
  context: TourContext,
  seconds: () => number,
): Promise<{ report: StepReport; line: string }> {
  try {
    const result = await step.run(context);
    if (typeof result === 'string')
      return { report: { name: step.name, ok: true, seconds: seconds() }, line: result };
    const { skipped } = result;
    return { report: { name: step.name, ok: true, seconds: seconds(), skipped }, line: skipped };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { report: { name: step.name, ok: false, seconds: seconds(), error: message }, line: message };
  }
}
