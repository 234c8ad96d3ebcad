import { createHash } from 'node:crypto';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Project } from './project-store.ts';

/** `read` may see everything that `operate` may see, and change nothing. `operate` includes `read`. */
export const ROLES = ['predict', 'feedback', 'read', 'operate'] as const;
export type Role = (typeof ROLES)[number];

/** The role that an RPC requires of its caller; public requires none. */
export type Requirement = 'public' | Role;

/**
 * The only authorization table: every RPC that any of our servers may serve, by its full path. A method without a row
 * is denied, both when it is called and when a server with such a method starts.
 */
export const AUTHORIZATION: ReadonlyMap<string, Requirement> = new Map<string, Requirement>([
  ...rows('hotloop.v1.PredictionService', 'predict', ['Predict', 'PredictBatch', 'PredictStream']),
  ...rows('hotloop.v1.InferenceService', 'predict', ['InferStream']),
  ...rows('hotloop.v1.DecisionService', 'predict', ['Decide', 'DecideStream']),
  ...rows('hotloop.v1.FeedbackService', 'feedback', ['RecordOutcomes']),
  ...rows('hotloop.v1.IntakeService', 'feedback', ['IngestEvents']),
  ...rows('hotloop.v1.IntakeService', 'operate', ['DeclareTable', 'UploadTable']),
  ...rows('hotloop.v1.RegistryService', 'operate', ['PushModel', 'Promote', 'Rollback']),
  ...rows('hotloop.v1.RegistryService', 'read', ['ListModels', 'GetModel']),
  ...rows('hotloop.v1.JobService', 'operate', ['Retrain']),
  ...rows('hotloop.v1.JobService', 'read', ['GetRun', 'ListRuns', 'WatchRun', 'GetLoop', 'Trace']),
  ...rows('inference.GRPCInferenceService', 'public', ['ServerLive', 'ServerReady']),
  ...rows('inference.GRPCInferenceService', 'predict', [
    'ModelReady',
    'ServerMetadata',
    'ModelMetadata',
    'ModelInfer',
    'ModelStreamInfer',
    'ModelConfig',
    'ModelStatistics',
    'RepositoryIndex',
  ]),
  ...rows('inference.GRPCInferenceService', 'operate', ['RepositoryModelLoad', 'RepositoryModelUnload']),
  ...rows('grpc.health.v1.Health', 'public', ['Check', 'Watch', 'List']),
  ...rows('grpc.reflection.v1.ServerReflection', 'public', ['ServerReflectionInfo']),
  ...rows('grpc.reflection.v1alpha.ServerReflection', 'public', ['ServerReflectionInfo']),
]);

function rows(
  service: string,
  requirement: Requirement,
  methods: readonly string[],
): [string, Requirement][] {
  return methods.map((method) => [`/${service}/${method}`, requirement]);
}

/** The models that a key may access. */
export interface ModelScope {
  has(model: string): boolean;
}

/** The authenticated caller. `subject` is written into the prediction log and the ledger. */
export interface Caller {
  readonly subject: string;
  readonly roles: ReadonlySet<Role>;
  /** Models that the caller may access; absent: all. */
  readonly models?: ModelScope;
  /** The project that the key belongs to; absent: the whole installation. */
  readonly project?: Project;
  /** Takes one request from the caller's quota; false when it is used up. Absent: no quota. */
  readonly mayAsk?: () => boolean;
}

/** Throws PERMISSION_DENIED for a model outside the caller's scope, RESOURCE_EXHAUSTED when its quota is used up. */
export function permit(caller: Caller, model: string): void {
  permitModel(caller, model);
  if (caller.mayAsk?.() === false)
    throw new HotloopError('RESOURCE_EXHAUSTED', 'the quota of this key is used up; try again in a moment', {
      reason: 'quota',
    });
}

/** Throws PERMISSION_DENIED for a model outside the caller's scope. */
export function permitModel(caller: Caller, model: string): void {
  if (caller.models !== undefined && !caller.models.has(model))
    throw new HotloopError('PERMISSION_DENIED', `this key may not access model ${model.slice(0, 128)}`, {
      reason: 'model_not_in_scope',
    });
}

/**
 * For servers that can see which model a call is about. A key that is limited to some models may access only these.
 * Operator calls without a model concern the whole installation and are denied to such a key with PERMISSION_DENIED
 * `whole_installation`.
 */
export function permitNamed(caller: Caller, requirement: Requirement, model: string | undefined): void {
  if (caller.models === undefined || requirement === 'public') return;
  if (model !== undefined && model !== '') permitModel(caller, model);
  else if (requirement === 'operate' || requirement === 'read')
    throw new HotloopError(
      'PERMISSION_DENIED',
      'this key is limited to some models, and the call concerns all of them; name a model, or use another key',
      { reason: 'whole_installation' },
    );
}

/** Reads a header of a call by its lower-case name, from gRPC metadata or HTTP headers. */
export type HeaderOf = (name: string) => string | undefined;

export interface Authenticator {
  /** False when no keys are configured: every caller may do everything, and the server may only listen on loopback. */
  readonly required: boolean;
  /**
   * Reads `authorization: Bearer KEY` or `x-api-key: KEY`; KEY may also be a token of the configured issuer. Throws
   * or rejects UNAUTHENTICATED for a missing or unknown key. Returns a promise only for a token that was not verified
   * before.
   */
  authenticate(header: HeaderOf): Caller | Promise<Caller>;
}

/** An authenticator that is always synchronous. */
export interface KeyAuthenticator extends Authenticator {
  authenticate(header: HeaderOf): Caller;
}

/** Authenticator over HOTLOOP_API_KEYS: `key:subject:role[+role...]`, comma-separated. Throws INVALID_ARGUMENT. */
export function createAuthenticator(apiKeys: string | undefined): KeyAuthenticator {
  const anyone: Caller = { subject: '', roles: new Set(ROLES) };
  if (apiKeys === undefined || apiKeys.trim() === '') return { required: false, authenticate: () => anyone };
  const callers = new Map<string, Caller>();
  for (const [index, entry] of apiKeys.split(',').entries()) {
    const { key, caller } = parseEntry(entry.trim(), index + 1);
    if (callers.has(digest(key))) throw invalidKeys(`entry ${index + 1} repeats the key of another entry`);
    callers.set(digest(key), caller);
  }
  return {
    required: true,
    authenticate(header) {
      const key = keyOf(header);
      if (key === undefined || key === '')
        throw new HotloopError('UNAUTHENTICATED', 'send an API key as "authorization: Bearer KEY"', {
          reason: 'missing_api_key',
        });
      // Looked up by digest, so that the timing reveals nothing about the keys.
      const caller = callers.get(digest(key));
      if (!caller)
        throw new HotloopError('UNAUTHENTICATED', 'unknown API key', { reason: 'unknown_api_key' });
      return caller;
    },
  };
}

/** The key of a call, if it has one. */
export function keyOf(header: HeaderOf): string | undefined {
  // gRPC passes values on as clients send them, and perf_analyzer adds a space, so surrounding spaces are ignored.
  const bearer = /^\s*Bearer +(\S+)\s*$/i.exec(header('authorization') ?? '')?.[1];
  return bearer ?? header('x-api-key')?.trim();
}

/** Throws or rejects PERMISSION_DENIED unless the table has a row for the RPC and the caller has its role. */
export function authorize(
  table: ReadonlyMap<string, Requirement>,
  path: string,
  authenticator: KeyAuthenticator,
  header: HeaderOf,
): Caller;
export function authorize(
  table: ReadonlyMap<string, Requirement>,
  path: string,
  authenticator: Authenticator,
  header: HeaderOf,
): Caller | Promise<Caller>;
export function authorize(
  table: ReadonlyMap<string, Requirement>,
  path: string,
  authenticator: Authenticator,
  header: HeaderOf,
): Caller | Promise<Caller> {
  const requirement = table.get(path);
  if (requirement === undefined)
    throw new HotloopError('PERMISSION_DENIED', 'this method cannot be called', {
      reason: 'no_authorization_row',
    });
  if (requirement === 'public') return { subject: '', roles: new Set() };
  const caller = authenticator.authenticate(header);
  return caller instanceof Promise
    ? caller.then((known) => withRole(known, requirement))
    : withRole(caller, requirement);
}

/** Throws PERMISSION_DENIED unless the caller has the role. */
export function withRole(caller: Caller, role: Role): Caller {
  if (caller.roles.has(role) || (role === 'read' && caller.roles.has('operate'))) return caller;
  throw new HotloopError('PERMISSION_DENIED', `this call needs a key with the role ${role}`, {
    reason: 'missing_role',
  });
}

function digest(key: string): string {
  return createHash('sha256').update(key).digest('base64');
}

function parseEntry(entry: string, position: number): { key: string; caller: Caller } {
  const [key, subject, roles, ...rest] = entry.split(':');
  if (!key || !subject || !roles || rest.length > 0)
    throw invalidKeys(`entry ${position} is not key:subject:role`);
  if (key.length < 16) throw invalidKeys(`the key of entry ${position} has fewer than 16 characters`);
  const names = roles.split('+');
  const unknown = names.find((name) => !ROLES.includes(name as Role));
  if (unknown !== undefined)
    throw invalidKeys(`entry ${position} has an unknown role; roles are ${ROLES.join(', ')}, joined by +`);
  return { key, caller: { subject, roles: new Set(names as Role[]) } };
}

function invalidKeys(problem: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `the API keys cannot be read: ${problem}`, {
    reason: 'invalid_configuration',
  });
}
