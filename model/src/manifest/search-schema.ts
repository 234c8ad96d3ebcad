import { z } from 'zod';

const rangeSchema = z.union([
  z
    .strictObject({ from: z.number(), to: z.number(), scale: z.enum(['linear', 'log']).default('linear') })
    .refine(({ from, to }) => from < to, 'from must be smaller than to')
    .refine(({ from, scale }) => scale === 'linear' || from > 0, 'a log scale must start above 0'),
  z.strictObject({
    values: z
      .array(z.union([z.number(), z.string(), z.array(z.int().min(1).max(16_384)).max(16)]))
      .min(1)
      .max(100),
  }),
]);
export type SearchRange = z.output<typeof rangeSchema>;

/**
 * The settings that a search may vary. `kernel` is network.kind; `external` settings go to the program of
 * training.trainer. Numbers are rounded where only integers make sense.
 */
export const SEARCHED = [
  'kernel',
  'learning_rate',
  'epochs',
  'batch',
  'weight_decay',
  'hidden',
  'activation',
  'seed',
] as const;
export type Searched = (typeof SEARCHED)[number];

/** A search for better training settings. */
export const searchSchema = z
  .strictObject({
    trials: z.int().min(1).max(1000).default(20).describe('Trials in the first round'),
    method: z.enum(['tpe', 'random']).default('tpe'),
    halving: z
      .int()
      .min(2)
      .max(10)
      .default(3)
      .describe('One in this many, the best, continue in the next round, with this many times the epochs'),
    rounds: z.int().min(1).max(10).default(2),
    parallel: z.int().min(1).max(100).default(4).describe('Trials that wait or run at the same time'),
    ranges: z
      .partialRecord(z.enum(SEARCHED), rangeSchema)
      .refine((ranges) => Object.keys(ranges).length > 0, {
        message: 'at least one range is needed, such as learning_rate: {from: 1e-4, to: 1e-1, scale: log}',
      }),
  })
  .describe('A search for better training settings: `hotloop search MODEL`');

export type SearchSpec = z.output<typeof searchSchema>;
