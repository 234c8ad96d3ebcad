import { fileURLToPath } from 'node:url';
import { loadSync, type Options, type PackageDefinition } from '@grpc/proto-loader';

/** The folder that holds the .proto files; also the include folder of every import in them. */
export const PROTO_ROOT = fileURLToPath(new URL('..', import.meta.url));

/** How messages look in TypeScript; the generated types are made with the same options. */
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

/** Every contract of ours that has generated types. */
export const CONTRACT_FILES: readonly string[] = [...HOTLOOP_FILES];

/** The Open Inference Protocol. Its 64-bit integers are tensor elements too, so they are read as text, without loss. */
export const OIP_FILES: readonly string[] = ['inference/grpc_service.proto'];

/** Reads contract files into the form that grpc-js serves and calls. */
export function loadDefinitions(files: readonly string[]): PackageDefinition {
  return loadSync([...files], LOADER_OPTIONS);
}

/** Reads the Open Inference Protocol; 64-bit integers as text. */
export function loadOipDefinitions(): PackageDefinition {
  return loadSync([...OIP_FILES], { ...LOADER_OPTIONS, longs: String });
}
