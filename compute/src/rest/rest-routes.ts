import type { OipParts } from '../grpc/oip-service.ts';
import { EXTENSIONS, SERVER_NAME, SERVER_VERSION } from '../oip/model-views.ts';
import { invalid } from '../oip/tensor-checks.ts';
import { readRestRequest } from './read-rest-request.ts';
import { type RestAnswer, writeRestAnswer } from './write-rest-answer.ts';

/** The parts of an HTTP request that routes need. */
export interface RestCall {
  /** Model and version from the path; the version is empty when the path has none. */
  readonly model: string;
  readonly version: string;
  readonly caller: string;
  /** Timeout in milliseconds for a request that sets none. */
  readonly maxTimeoutMs: number;
  header(name: string): string | undefined;
  body(): Promise<Buffer>;
  isOver(): boolean;
}

export interface RestReply {
  readonly status: number;
  /** JSON, unless an answer with binary tensors is given. */
  readonly json?: unknown;
  readonly answer?: RestAnswer;
  /** Plain text of the given content type, instead of JSON. */
  readonly text?: string;
  readonly contentType?: string;
}

export interface RestRoute {
  readonly method: 'GET' | 'POST';
  /** Has the groups `model` and `version`. */
  readonly path: RegExp;
  /** The corresponding RPC; the route is authorized by that RPC's row in the authorization table. */
  readonly rpc: string;
  handle(call: RestCall, oip: OipParts): Promise<RestReply> | RestReply;
}

const MODEL = '/v2/models/(?<model>[^/]+)(?:/versions/(?<version>[^/]+))?';
const RPC = '/inference.GRPCInferenceService/';
const ok = (json: unknown): RestReply => ({ status: 200, json });

function route(method: 'GET' | 'POST', path: string, rpc: string, handle: RestRoute['handle']): RestRoute {
  return { method, path: new RegExp(`^${path}$`), rpc: `${RPC}${rpc}`, handle };
}

/** All routes of the protocol over REST. */
export const REST_ROUTES: readonly RestRoute[] = [
  route('GET', '/v2/health/live', 'ServerLive', () => ok({ live: true })),
  route('GET', '/v2/health/ready', 'ServerReady', (_, oip) => {
    const ready = oip.isReady();
    return { status: ready ? 200 : 503, json: { ready } };
  }),
  route('GET', '/v2/?', 'ServerMetadata', () =>
    ok({ name: SERVER_NAME, version: SERVER_VERSION, extensions: EXTENSIONS }),
  ),
  route('GET', '/v2/models/stats', 'ModelStatistics', async (call, oip) =>
    ok({ model_stats: await oip.models.statistics('', '', call.maxTimeoutMs) }),
  ),
  route('GET', `${MODEL}/ready`, 'ModelReady', ({ model, version }, oip) => {
    const ready = oip.models.isReady(model, version);
    return { status: ready ? 200 : 503, json: { name: model, ready } };
  }),
  route('GET', MODEL, 'ModelMetadata', async ({ model, version, maxTimeoutMs }, oip) =>
    ok(await oip.models.metadata(model, version, maxTimeoutMs)),
  ),
  route('GET', `${MODEL}/config`, 'ModelConfig', async ({ model, version, maxTimeoutMs }, oip) =>
    ok(await oip.models.config(model, version, maxTimeoutMs)),
  ),
  route('GET', `${MODEL}/stats`, 'ModelStatistics', async ({ model, version, maxTimeoutMs }, oip) =>
    ok({ model_stats: await oip.models.statistics(model, version, maxTimeoutMs) }),
  ),
  route('POST', `${MODEL}/infer`, 'ModelInfer', infer),
  route('POST', '/v2/repository/index', 'RepositoryIndex', async (call, oip) => {
    const { ready } = await bodyObject(call);
    return ok(oip.models.index(ready === true));
  }),
  route('POST', '/v2/repository/models/(?<model>[^/]+)/load', 'RepositoryModelLoad', async (call, oip) => {
    const parameters = parametersOf(await bodyObject(call));
    await oip.models.load(
      call.model,
      versionOf(parameters),
      Object.keys(parameters),
      Number.POSITIVE_INFINITY,
    );
    return ok({ name: call.model, load: true });
  }),
  route(
    'POST',
    '/v2/repository/models/(?<model>[^/]+)/unload',
    'RepositoryModelUnload',
    async (call, oip) => {
      oip.models.unload(call.model, versionOf(parametersOf(await bodyObject(call))));
      return ok({ name: call.model, unload: true });
    },
  ),
];

async function infer(call: RestCall, oip: OipParts): Promise<RestReply> {
  const body = await call.body();
  const length = call.header('inference-header-content-length');
  if (length !== undefined && !/^\d+$/.test(length))
    throw invalid('inference-header-content-length must be a whole number of bytes');
  const headerBytes = length === undefined ? undefined : Number(length);
  const target = { model: call.model, version: call.version };
  const { request, isBinary } =
    headerBytes === 0
      ? await rawRequest(call, body, oip)
      : readRestRequest(target, body, headerBytes, call.maxTimeoutMs);
  const answer = await oip.inference.answer(request, call.caller, call.isOver);
  return { status: 200, answer: writeRestAnswer(answer, isBinary) };
}

/** A body that consists only of the bytes of the model's single input. */
async function rawRequest(
  call: RestCall,
  body: Buffer,
  oip: OipParts,
): Promise<ReturnType<typeof readRestRequest>> {
  const { model, version, maxTimeoutMs } = call;
  const begun = performance.now();
  const input = await oip.models.rawInput(model, version, body, maxTimeoutMs);
  const request = {
    model,
    version,
    id: '',
    inputs: [input],
    outputs: [],
    priority: 0,
    timeoutMs: maxTimeoutMs - (performance.now() - begun),
  };
  return { request, isBinary: () => true };
}

async function bodyObject(call: RestCall): Promise<JsonObject> {
  const text = (await call.body()).toString('utf8');
  if (text.trim() === '') return {};
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw invalid('the request is not JSON');
  }
  if (!isObject(json)) throw invalid('the request must be a JSON object');
  return json;
}

function parametersOf({ parameters = {} }: JsonObject): JsonObject {
  if (!isObject(parameters)) throw invalid("'parameters' must be a JSON object");
  return parameters;
}

/**
 * Empty when no version is given. A version of another type is rejected: ignoring it would load another version, or
 * unload all versions.
 */
function versionOf({ version = '' }: JsonObject): string {
  if (typeof version !== 'string' && typeof version !== 'number')
    throw invalid("parameter 'version' must be a string or a number");
  return String(version);
}

type JsonObject = Readonly<Record<string, unknown>>;

function isObject(json: unknown): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
