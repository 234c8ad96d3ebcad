import { CONTRACT_FILES, loadDefinitions } from '@hotloop/proto/definitions.ts';
import type { Facts } from './facts.ts';

interface Field {
  readonly name: string;
  readonly number: number;
  readonly type: string;
  readonly typeName: string;
  readonly label: string;
}

interface Loaded {
  readonly format?: string;
  readonly type?: {
    readonly field?: readonly Field[];
    readonly value?: readonly { readonly name: string; readonly number: number }[];
  };
}

interface Method {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestType: { readonly type: { readonly name: string } };
  readonly responseType: { readonly type: { readonly name: string } };
}

/**
 * Methods, fields by number, and enum values of the gRPC contracts: the wire format, and the names visible in JSON
 * and code.
 */
export function protoFacts(files: readonly string[] = CONTRACT_FILES): Facts {
  const facts: Record<string, string> = {};
  for (const [name, definition] of Object.entries(loadDefinitions(files))) {
    if (!name.startsWith('hotloop.v1.')) continue;
    const { type } = definition as Loaded;
    if (type === undefined)
      for (const { path, requestStream, responseStream, requestType, responseType } of Object.values(
        definition as Readonly<Record<string, Method>>,
      ))
        facts[`grpc ${path}`] =
          `${requestStream ? 'stream ' : ''}${requestType.type.name} -> ${responseStream ? 'stream ' : ''}${responseType.type.name}`;
    for (const field of type?.field ?? [])
      facts[`message ${name} | ${field.number}`] =
        `${field.label.replace('LABEL_', '').toLowerCase()} ${field.typeName || field.type.replace('TYPE_', '').toLowerCase()} ${field.name}`;
    for (const { name: value, number } of type?.value ?? [])
      facts[`enum ${name} | ${value}`] = String(number);
  }
  return facts;
}
