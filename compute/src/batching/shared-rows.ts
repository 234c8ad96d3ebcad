import type { LoadedModel } from '../runner/load-options.ts';
import type { WorkInput } from './work-input.ts';
import { ALONE } from './work-queue.ts';

/**
 * True when the first dimension of every input and output is free, and the inputs give it at most one name: only then
 * can it be the batch dimension. The probe of the warm-up finds out whether it is. The names in outputs are ignored,
 * because some exporters give every output's dimension a new name. An output of text cannot be split: its elements
 * have no fixed size.
 */
export function hasSharedRows({ inputs, outputs }: LoadedModel): boolean {
  if (outputs.some(({ shape, datatype }) => shape[0] !== -1 || datatype === 'BYTES')) return false;
  let shared: string | undefined;
  for (const { shape, dimensionNames } of inputs) {
    if (shape[0] !== -1) return false;
    // An empty name counts as no name.
    const name = dimensionNames[0] || undefined;
    shared ??= name;
    if (name !== undefined && name !== shared) return false;
  }
  return true;
}

/**
 * Requests with equal keys agree in everything but the first dimension, so they can share a run. A request whose
 * inputs have different numbers of rows runs alone, and so does one that overrides a default, which has no rows.
 */
export function shapeKeyOf(inputs: readonly WorkInput[], rows: number): string {
  let key = '';
  for (const { datatype, shape, index } of inputs) {
    if (shape[0] !== rows || index !== undefined) return ALONE;
    key += `${datatype}${shape.slice(1).join('x')};`;
  }
  return key;
}
