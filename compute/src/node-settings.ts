import { type Environment, millisecondsSchema, z } from '@hotloop/platform/config.ts';
import { deviceEnvironment } from './runner/device-environment.ts';
import { EXECUTION_PROVIDERS } from './runner/load-options.ts';
import type { ComputeOptions } from './service.ts';

const MB = 1024 ** 2;
/** Less than this takes not even one small model, or a few segments of the journal. */
const LEAST_MB = 128;
const MOST_MB = 1024 ** 2;
const LEAST_HANG_MS = 100;

function megabytesSchema() {
  const wrong = 'must be whole megabytes';
  return z.coerce
    .number(wrong)
    .int(wrong)
    .min(LEAST_MB, `must be at least ${LEAST_MB}`)
    .max(MOST_MB, `must be at most ${MOST_MB}`);
}

/** What the operator of a node may set of compute, as variables of its environment; what is left out has the usual value. */
export const nodeSettings = {
  /** Comma-separated, tried in this order; for models whose manifest names none. */
  HOTLOOP_EXECUTION_PROVIDERS: z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .pipe(
      z.array(
        z.enum(EXECUTION_PROVIDERS, `must be of ${EXECUTION_PROVIDERS.join(', ')}, separated by commas`),
      ),
    )
    .optional(),
  /** What all runners together may take; also what one may, where its manifest names nothing. */
  HOTLOOP_MEMORY_BUDGET_MB: megabytesSchema().optional(),
  /** What may wait on disk to be shipped; predictions beyond it are refused. */
  HOTLOOP_JOURNAL_MAX_MB: megabytesSchema().optional(),
  /** A run that takes longer is taken for hung, and its runner is ended. */
  HOTLOOP_HANG_MS: millisecondsSchema().min(LEAST_HANG_MS, `must be at least ${LEAST_HANG_MS}`).optional(),
} as const;

export type NodeSettings = z.output<z.ZodObject<typeof nodeSettings>>;

/** The same as options of compute. What is not set stays out, so that the usual value holds. The environment says where devices are. */
export function nodeOptions(
  settings: NodeSettings,
  environment: Environment,
): Pick<ComputeOptions, 'fleet' | 'journal'> {
  const {
    HOTLOOP_EXECUTION_PROVIDERS: executionProviders,
    HOTLOOP_MEMORY_BUDGET_MB: memoryMb,
    HOTLOOP_JOURNAL_MAX_MB: journalMb,
    HOTLOOP_HANG_MS: hangMs,
  } = settings;
  return {
    fleet: {
      deviceEnvironment: deviceEnvironment(environment),
      ...(executionProviders === undefined ? {} : { executionProviders }),
      ...(memoryMb === undefined ? {} : { memoryBudgetBytes: memoryMb * MB }),
      ...(hangMs === undefined ? {} : { hangMs }),
    },
    journal: journalMb === undefined ? {} : { maxBytes: journalMb * MB },
  };
}
