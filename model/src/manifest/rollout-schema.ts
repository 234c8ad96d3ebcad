import { z } from 'zod';

export const rolloutSchema = z
  .strictObject({
    mode: z.enum(['at_once']).default('at_once'),
    promote: z.enum(['automatic', 'manual']).default('automatic'),
  })
  .describe('How a version becomes live');
