import { createHash } from 'node:crypto';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Project } from './project-store.ts';

/** `read`: sees what `operate` sees, and changes nothing. Who may operate may read. */
export const ROLES = ['predict', 'feedback', 'read', 'operate'] as const;
export type Role = (typeof ROLES)[number];

/** What an RPC asks of its caller; public asks nothing. */
export type Requirement = 'public' | Role;

/**
 * The one authorization table: every RPC that any server of ours may serve, by its full path. A method without a row is
 * refused: at a call, and already when a server is started with such a method.
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

/** The models that a key may name. */
export interface ModelScope {
  has(model: string): boolean;
}

/** Who asks. `subject` is written into the prediction log and the ledger. */
export interface Caller {
  readonly subject: string;
  readonly roles: ReadonlySet<Role>;
  /** Models that it may name; absent: all. */
  readonly models?: ModelScope;
  /** The project that the key belongs to; absent: the whole installation. */
  readonly project?: Project;
  /** Takes one of its quota; false when there is none left. Absent: no quota. */
  readonly mayAsk?: () => boolean;
}

/** Throws PERMISSION_DENIED for a model outside of the caller's scope, RESOURCE_EXHAUSTED when its quota is used up. */
export function permit(caller: Caller, model: string): void {
  permitModel(caller, model);
  if (caller.mayAsk?.() === false)
    throw new HotloopError('RESOURCE_EXHAUSTED', 'the quota of this key is used up; try again in a moment', {
      reason: 'quota',
    });
}

/** Throws PERMISSION_DENIED for a model outside of the caller's scope. */
export function permitModel(caller: Caller, model: string): void {
  if (caller.models !== undefined && !caller.models.has(model))
    throw new HotloopError('PERMISSION_DENIED', `this key may not name model ${model.slice(0, 128)}`, {
      reason: 'model_not_in_scope',
    });
}

/**
 * For doors that see what a call is about. A key that is limited to some models may name these; calls of operators that name
 * none are about the whole installation, and refused with PERMISSION_DENIED `whole_installation`.
 */
export function permitNamed(caller: Caller, requirement: Requirement, model: string | undefined): void {
  if (caller.models === undefined || requirement === 'public') return;
  if (model !== undefined && model !== '') permitModel(caller, model);
  else if (requirement === 'operate' || requirement === 'read')
    throw new HotloopError(
      'PERMISSION_DENIED',
      'this key is limited to some models, and the call is about all of them; name a model, or use another key',
      { reason: 'whole_installation' },
    );
}

/** The headers of a call, by lower-case name; gRPC metadata and HTTP headers both fit. */
export type HeaderOf = (name: string) => string | undefined;

export interface Authenticator {
  /** False: no keys are configured, every caller may do everything, and only loopback may be listened on. */
  readonly required: boolean;
  /**
   * Reads `authorization: Bearer KEY` or `x-api-key: KEY`; KEY may be a token of the issuer that is configured. Throws or rejects
   * UNAUTHENTICATED for a missing or unknown key. A promise only where a token is seen for the first time.
   */
  authenticate(header: HeaderOf): Caller | Promise<Caller>;
}

/** An authenticator that never has to wait. */
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
      // Looked up by digest, so that the time it takes says nothing about the keys.
      const caller = callers.get(digest(key));
      if (!caller)
        throw new HotloopError('UNAUTHENTICATED', 'the API key is not known', { reason: 'unknown_api_key' });
      return caller;
    },
  };
}

/** The key of a call, if it has one. */
export function keyOf(header: HeaderOf): string | undefined {
  // Space around a header's value is no part of it; gRPC hands on what a client sends, perf_analyzer's space too.
  const bearer = /^\s*Bearer +(\S+)\s*$/i.exec(header('authorization') ?? '')?.[1];
  return bearer ?? header('x-api-key')?.trim();
}

/** Throws or rejects PERMISSION_DENIED unless the table has a row for the RPC and the caller holds its role. */
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
    throw new HotloopError('PERMISSION_DENIED', 'this method is not open to anyone', {
      reason: 'no_authorization_row',
    });
  if (requirement === 'public') return { subject: '', roles: new Set() };
  const caller = authenticator.authenticate(header);
  return caller instanceof Promise
    ? caller.then((known) => withRole(known, requirement))
    : withRole(caller, requirement);
}

/** Throws PERMISSION_DENIED unless the caller holds the role. */
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
