import type { DecisionCandidate } from '@hotloop/model/decision/decision.ts';
import type { Attributes, AttributeValue } from '@hotloop/model/value.ts';
import type { Candidate, Candidate__Output } from '@hotloop/proto/gen/hotloop/v1/Candidate.ts';
import type { Value, Value__Output } from '@hotloop/proto/gen/hotloop/v1/Value.ts';

/**
 * Attributes from a message, as a null-prototype object. A value without a kind is omitted, as if it had not been
 * sent.
 */
export function attributesFromMessage(values: Readonly<Record<string, Value__Output>>): Attributes {
  const attributes = emptyRecord<AttributeValue>();
  for (const name of Object.keys(values)) {
    const value = values[name];
    const plain = value === undefined ? undefined : valueFromMessage(value);
    if (plain !== undefined) attributes[name] = plain;
  }
  return attributes;
}

function valueFromMessage(value: Value__Output): AttributeValue | undefined {
  switch (value.kind) {
    case 'number':
      return value.number;
    case 'text':
      return value.text;
    case 'flag':
      return value.flag;
    case 'numbers':
      return value.numbers?.values ?? [];
    case 'texts':
      return value.texts?.values ?? [];
    default:
      return undefined;
  }
}

export function attributesToMessage(attributes: Attributes): Record<string, Value> {
  const values = emptyRecord<Value>();
  for (const name of Object.keys(attributes)) {
    const value = attributes[name];
    if (value !== undefined) values[name] = valueToMessage(value);
  }
  return values;
}

function valueToMessage(value: AttributeValue): Value {
  if (typeof value === 'number') return { number: value };
  if (typeof value === 'string') return { text: value };
  if (typeof value === 'boolean') return { flag: value };
  return isNumbers(value) ? { numbers: { values: [...value] } } : { texts: { values: [...value] } };
}

function isNumbers(list: readonly number[] | readonly string[]): list is readonly number[] {
  return typeof list[0] === 'number';
}

/** A map of texts, such as entities, as a null-prototype object. */
export function textsFromMessage(map: Readonly<Record<string, string>>): Record<string, string> {
  const texts = emptyRecord<string>();
  for (const name of Object.keys(map)) texts[name] = map[name] ?? '';
  return texts;
}

export function candidateFromMessage(candidate: Candidate__Output): DecisionCandidate {
  return { id: candidate.id, attributes: attributesFromMessage(candidate.attributes) };
}

export function candidateToMessage(candidate: DecisionCandidate): Candidate {
  return { id: candidate.id, attributes: attributesToMessage(candidate.attributes) };
}

function emptyRecord<T>(): Record<string, T> {
  return Object.create(null) as Record<string, T>;
}
