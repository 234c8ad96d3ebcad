import type { PackageDefinition } from '@grpc/proto-loader';
import { decodeInferRequest, type InferRequestMessage } from './decode-infer-request.ts';

const HOT_METHODS = ['ModelInfer', 'ModelStreamInfer'];

/**
 * The protocol's service definitions with a faster path for the inference methods: requests are decoded directly
 * where possible (giving an InferRequestMessage), and answers may be given as encoded bytes.
 */
export function hotDefinitions(definitions: PackageDefinition, service: string): PackageDefinition {
  const definition = definitions[service];
  if (definition === undefined || 'format' in definition) throw new RangeError(`no service ${service}`);
  const methods = { ...definition };
  for (const name of HOT_METHODS) {
    const method = methods[name];
    if (method === undefined) throw new RangeError(`${service} has no ${name}`);
    const decode = method.requestDeserialize as (bytes: Buffer) => InferRequestMessage;
    const encode = method.responseSerialize;
    methods[name] = {
      ...method,
      requestDeserialize: (bytes: Buffer) => decodeInferRequest(bytes) ?? decode(bytes),
      responseSerialize: (reply: object) => (Buffer.isBuffer(reply) ? reply : encode(reply)),
    };
  }
  return { ...definitions, [service]: methods };
}
