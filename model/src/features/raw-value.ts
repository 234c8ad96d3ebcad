/** What a raw value must be: a number, a text, true or false, or a list of texts. */
export const RAW_TYPES = ['number', 'text', 'flag', 'texts'] as const;
export type RawType = (typeof RAW_TYPES)[number];
export type RawValue = number | string | boolean | readonly string[];

/** Whether a raw value is what a type asks for. */
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
  }
}
