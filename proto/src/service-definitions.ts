import type { PackageDefinition } from '@grpc/proto-loader';
import protobuf from 'protobufjs';
import { LOADER_OPTIONS, loadDefinitions, PROTO_ROOT } from './definitions.ts';

/** The methods whose messages are encoded once or more for every prediction. */
const HOT_METHODS: Readonly<Record<string, readonly string[]>> = {
  'hotloop.v1.PredictionService': ['Predict', 'PredictStream'],
  'hotloop.v1.InferenceService': ['InferStream'],
  'hotloop.v1.DecisionService': ['Decide', 'DecideStream'],
};

/**
 * Contracts as from `loadDefinitions`, for services and for internal callers. The hot methods encode their arguments
 * directly: the loader first creates a message object for every part, which costs more than the encoding itself. In
 * return nothing is converted: a text must already be a string, as in the generated types, while the loader would
 * convert a number. Code with untyped messages uses `loadDefinitions`.
 */
export function loadServiceDefinitions(files: readonly string[]): PackageDefinition {
  const definitions = { ...loadDefinitions(files) };
  const contracts = readContracts(files);
  for (const [name, hot] of Object.entries(HOT_METHODS)) {
    const definition = definitions[name];
    if (definition === undefined || 'format' in definition) continue;
    const service = contracts.lookupService(name);
    const methods = { ...definition };
    for (const methodName of hot) {
      const method = methods[methodName];
      const reflected = service.methods[methodName];
      if (!method || !reflected?.resolvedRequestType || !reflected.resolvedResponseType)
        throw new RangeError(`${name} has no ${methodName}`);
      methods[methodName] = {
        ...method,
        requestSerialize: directSerializer(reflected.resolvedRequestType),
        responseSerialize: directSerializer(reflected.resolvedResponseType),
      };
    }
    definitions[name] = methods;
  }
  return definitions;
}

/** The same reflection data as the loader's, which does not expose it. */
function readContracts(files: readonly string[]): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_, target) => `${PROTO_ROOT}/${target}`;
  root.loadSync([...files], { keepCase: LOADER_OPTIONS.keepCase ?? false });
  root.resolveAll();
  return root;
}

function directSerializer(type: protobuf.Type): (message: object) => Buffer {
  refuseEnums(type, new Set());
  return (message) => type.encode(message).finish() as Buffer;
}

/** Enum values are strings in our messages, and only the loader converts them to numbers. */
function refuseEnums(type: protobuf.Type, seen: Set<protobuf.Type>): void {
  if (seen.has(type)) return;
  seen.add(type);
  for (const { name, resolvedType } of type.fieldsArray) {
    if (resolvedType instanceof protobuf.Enum)
      throw new RangeError(`${type.fullName}.${name}: enumerations cannot be written directly`);
    if (resolvedType) refuseEnums(resolvedType, seen);
  }
}
