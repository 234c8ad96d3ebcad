import { z } from 'zod';

/** Names of models and features. They are also used as metric labels, so they are short and simple. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9_-]{0,62}$/;

export const nameSchema = z
  .string()
  .regex(NAME_PATTERN, 'must be lower-case letters, digits, - or _, at most 63');

export const expressionSchema = z.string().min(1).max(2000).describe('A CEL expression');
export const fractionSchema = z.number().min(0).max(1);
