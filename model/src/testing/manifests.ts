import type { z } from 'zod';
import { type Manifest, manifestSchema } from '../manifest/manifest.ts';

type Given = z.input<typeof manifestSchema>;

/** A manifest with its defaults filled in, as in a registry. */
export function manifestOf(given: Partial<Given> & Pick<Given, 'features'>): Manifest {
  return manifestSchema.parse({ name: 'model', ...given });
}

/** A null-prototype record, like received attributes and entities. */
export function record<T>(values: Readonly<Record<string, T>>): Record<string, T> {
  return Object.assign(Object.create(null) as Record<string, T>, values);
}
