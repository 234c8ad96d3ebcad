import type { TourContext } from './tour-context.ts';

/** The result of a successful step: one line for the reader, or why it was skipped on this machine. */
export type StepResult = string | { readonly skipped: string };

/** One step of the tour: something that a user does, and the check that it worked. */
export interface TourStep {
  /** Short, in kebab-case, unique. */
  readonly name: string;
  /** One sentence for the reader. */
  readonly about: string;
  /**
   * Runs the step on the running platform. Resolves with a line that says what was observed. Throws TourFailure with
   * what was expected and what happened; any other error fails the step as well.
   */
  run(context: TourContext): Promise<StepResult>;
}
