/**
 * Types of raw values: a number, a text, true or false, a list of texts, or an image, which the preprocessor has
 * decoded.
 */
export const RAW_TYPES = ['number', 'text', 'flag', 'texts', 'image'] as const;
export type RawType = (typeof RAW_TYPES)[number];
export type RawValue = number | string | boolean | readonly string[] | Float32Array;

/** Whether a raw value has the given type. */
export function isOfType(value: unknown, type: RawType): value is RawValue {
  switch (type) {
    case 'number':
      return typeof value === 'number';
    case 'text':
      return typeof value === 'string';
    case 'flag':
      return typeof value === 'boolean';
    case 'texts':
      return Array.isArray(value) && value.every((item) => typeof item === 'string');
    case 'image':
      return value instanceof Float32Array;
  }
}
