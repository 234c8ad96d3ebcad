import type { Value, Value__Output } from '@hotloop/proto/gen/hotloop/v1/Value.ts';
import { HotloopClientError } from './hotloop-client-error.ts';

/** One attribute of a request, a candidate or an outcome. */
export type AttributeValue = number | string | boolean | readonly number[] | readonly string[];

/** Attributes by name. Absent, undefined and null have the same meaning: the feature is missing. */
export type Attributes = Readonly<Record<string, AttributeValue | null | undefined>>;

/** Encodes attributes for the wire. Throws INVALID_ARGUMENT naming the attribute that cannot be encoded. */
export function encodeAttributes(attributes: Attributes, where: string): Record<string, Value> {
  const encoded: Record<string, Value> = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null) continue;
    encoded[name] = encodeAttribute(value, `${where}.${name}`);
  }
  return encoded;
}

/** Encodes one attribute; `where` names it in the error. */
export function encodeAttribute(value: unknown, where: string): Value {
  if (typeof value === 'number') return { number: value };
  if (typeof value === 'string') return { text: value };
  if (typeof value === 'boolean') return { flag: value };
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    if (items.every((item) => typeof item === 'number')) return { numbers: { values: [...items] } };
    if (items.every((item) => typeof item === 'string')) return { texts: { values: [...items] } };
  }
  throw new HotloopClientError(
    'INVALID_ARGUMENT',
    `${where} must be a number, text, true or false, or a list of numbers or of texts`,
    { reason: 'invalid_attribute' },
  );
}

/** Decodes one attribute; an empty one is null. */
export function decodeAttribute(value: Value__Output): AttributeValue | null {
  switch (value.kind) {
    case 'number':
      return value.number ?? 0;
    case 'text':
      return value.text ?? '';
    case 'flag':
      return value.flag ?? false;
    case 'numbers':
      return value.numbers?.values ?? [];
    case 'texts':
      return value.texts?.values ?? [];
    default:
      return null;
  }
}
