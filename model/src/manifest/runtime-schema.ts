import { z } from 'zod';

export const EXECUTION_PROVIDERS = ['cpu', 'cuda', 'tensorrt', 'webgpu'] as const;

export const runtimeSchema = z
  .strictObject({
    execution_providers: z
      .array(z.enum(EXECUTION_PROVIDERS))
      .min(1)
      .optional()
      .describe("Tried in this order; default: the node's"),
    instances: z.int().min(1).max(64).default(1),
    threads: z.int().min(1).max(256).default(1),
    max_batch: z.int().min(1).max(65_536).default(256),
    queue: z.int().min(1).max(1_000_000).default(4096).describe('Rows that may wait; more are refused'),
    memory_limit_mb: z.int().min(64).optional(),
    allow_nonfinite: z.boolean().default(false),
  })
  .describe('How a node runs it');
