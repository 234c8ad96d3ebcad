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
    queue: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(4096)
      .describe('Rows that may wait; further rows are rejected'),
    memory_limit_mb: z.int().min(64).optional(),
    allow_nonfinite: z.boolean().default(false),
    remote: z
      .string()
      .regex(
        /^grpcs?:\/\/(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):\d{1,5}$/,
        'must be grpc://HOST:PORT or grpcs://HOST:PORT',
      )
      .optional()
      .describe(
        'A server of the Open Inference Protocol that runs the model; the bundle then has no model.onnx',
      ),
    model: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .describe("The model's name on that server; default: its own"),
    model_version: z
      .string()
      .min(1)
      .max(60)
      .optional()
      .describe('Its version there; default: chosen by the server'),
  })
  .refine(
    ({ remote, model, model_version }) => remote !== undefined || (model ?? model_version) === undefined,
    {
      path: ['remote'],
      message: 'model and model_version belong to remote',
    },
  )
  .describe('How a node runs it');
