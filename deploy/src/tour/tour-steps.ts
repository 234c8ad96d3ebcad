import { CONSOLE_STEPS } from './steps/console.ts';
import { DATA_STEPS } from './steps/data.ts';
import { DATA_IN_STEPS } from './steps/data-in.ts';
import { DOOR_STEPS } from './steps/doors.ts';
import { FIRST_MODEL_STEPS } from './steps/first-model.ts';
import { IMPROVE_STEPS } from './steps/improve.ts';
import { INGEST_STEPS } from './steps/ingest.ts';
import { LETTER_STEPS } from './steps/letters.ts';
import { LOOP_STEPS } from './steps/loop.ts';
import { MONITORING_STEPS } from './steps/monitoring.ts';
import { MOVIE_STEPS } from './steps/movies.ts';
import { OPERATIONS_STEPS } from './steps/operations.ts';
import { PROMETHEUS_STEPS } from './steps/prometheus.ts';
import { RECOVERY_STEPS } from './steps/recovery.ts';
import { ROLLOUT_STEPS } from './steps/rollouts.ts';
import { SECURITY_STEPS } from './steps/security.ts';
import { SEVERAL_INPUT_STEPS } from './steps/several-inputs.ts';
import type { TourStep } from './tour-step.ts';

/** The whole tour, in order. Each part is one file in `steps/`; a part may use what earlier parts created. */
export const TOUR_STEPS: readonly TourStep[] = [
  ...FIRST_MODEL_STEPS,
  ...LOOP_STEPS,
  ...DATA_IN_STEPS,
  ...ROLLOUT_STEPS,
  ...DATA_STEPS,
  ...INGEST_STEPS,
  ...LETTER_STEPS,
  ...DOOR_STEPS,
  ...MOVIE_STEPS,
  ...CONSOLE_STEPS,
  ...MONITORING_STEPS,
  ...PROMETHEUS_STEPS,
  ...RECOVERY_STEPS,
  ...OPERATIONS_STEPS,
  ...IMPROVE_STEPS,
  ...SEVERAL_INPUT_STEPS,
  ...SECURITY_STEPS,
];
