import type { PackageDefinition } from '@grpc/proto-loader';
import protobuf from 'protobufjs';
import { LOADER_OPTIONS, loadDefinitions, PROTO_ROOT } from './definitions.ts';

/** The methods whose messages are written once or more for every prediction. */
const HOT_METHODS: Readonly<Record<string, readonly string[]>> = {
  'hotloop.v1.PredictionService': ['Predict', 'PredictStream'],
  'hotloop.v1.InferenceService': ['InferStream'],
  'hotloop.v1.DecisionService': ['Decide', 'DecideStream'],
};

/**
 * Contracts as `loadDefinitions` reads them, for services and for internal callers. The hot methods encode
 * their arguments directly: the loader first makes a message of every part, which costs
 * more than the writing itself. The price is that nothing is converted: a text must be a text already, as the generated types
 * say, where the loader would make one of a number. Code with untyped messages uses `loadDefinitions`.
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

/** The same reflection as the loader's, which keeps its own to itself. */
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

/** Values of an enumeration are texts in our messages, and only the loader's conversion makes numbers of them. */
function refuseEnums(type: protobuf.Type, seen: Set<protobuf.Type>): void {
  if (seen.has(type)) return;
  seen.add(type);
  for (const { name, resolvedType } of type.fieldsArray) {
    if (resolvedType instanceof protobuf.Enum)
      throw new RangeError(`${type.fullName}.${name}: enumerations cannot be written directly`);
    if (resolvedType) refuseEnums(resolvedType, seen);
  }
}
