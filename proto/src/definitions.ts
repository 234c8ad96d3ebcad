import { fileURLToPath } from 'node:url';
import { loadSync, type Options, type PackageDefinition } from '@grpc/proto-loader';

/** The folder with the .proto files; also the include folder of their imports. */
export const PROTO_ROOT = fileURLToPath(new URL('..', import.meta.url));

/** How messages are represented in TypeScript; the generated types are created with the same options. */
export const LOADER_OPTIONS: Options = {
  keepCase: false,
  longs: Number,
  enums: String,
  bytes: Buffer,
  defaults: true,
  oneofs: true,
  includeDirs: [PROTO_ROOT],
};

/** Contract files of hotloop.v1, relative to the root. */
export const HOTLOOP_FILES = [
  'hotloop/v1/prediction.proto',
  'hotloop/v1/inference.proto',
  'hotloop/v1/decision.proto',
  'hotloop/v1/feedback.proto',
  'hotloop/v1/registry.proto',
  'hotloop/v1/jobs.proto',
  'hotloop/v1/intake.proto',
] as const;

/** All our contracts with generated types. */
export const CONTRACT_FILES: readonly string[] = [...HOTLOOP_FILES];

/**
 * The Open Inference Protocol. Its 64-bit integers may be tensor elements, so they are decoded as text, without loss.
 */
export const OIP_FILES: readonly string[] = ['inference/grpc_service.proto'];

/** Loads contract files as definitions for grpc-js. */
export function loadDefinitions(files: readonly string[]): PackageDefinition {
  return loadSync([...files], LOADER_OPTIONS);
}

/** Loads the Open Inference Protocol; 64-bit integers as text. */
export function loadOipDefinitions(): PackageDefinition {
  return loadSync([...OIP_FILES], { ...LOADER_OPTIONS, longs: String });
}
