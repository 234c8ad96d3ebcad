import { createHash } from 'node:crypto';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { ServiceFetch } from '@hotloop/platform/tls/service-fetch.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { z } from 'zod';
import { permitPush } from '../../registry/permit-push.ts';
import { pushModel } from '../../registry/push-model.ts';

/** Where the other services answer over HTTP, for the first prediction of a person in a browser. */
export interface FrontDoor {
  /** host:port of the preprocessor. */
  readonly predictions: string;
  /** host:port of compute, which answers tensors. */
  readonly inference: string;
  readonly apiKey: string | undefined;
  /** How both are called. */
  readonly calls: ServiceFetch;
}

export interface FirstRunDependencies {
  readonly pool: Pool;
  readonly bundles: BundleStore;
  readonly clock: Clock;
  /** Null: this server does not know where predictions are answered. */
  readonly frontDoor: FrontDoor | null;
}

/** Larger files are pushed with the command line, which shows how far it is. */
const MOST_ONNX_BYTES = 256 * 1024 * 1024;
const ANSWER_MS = 30_000;
const named = z.object({ model: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/) });

/** From a file to a first prediction, without leaving the browser. */
export function firstRunRoutes({ pool, bundles, clock, frontDoor }: FirstRunDependencies): RouteModule {
  return (app) => {
    app.addContentTypeParser(
      'application/onnx',
      { parseAs: 'buffer', bodyLimit: MOST_ONNX_BYTES },
      async (_request: unknown, body: Buffer) => body,
    );
    app.post(
      '/v1/console/models/:model/onnx',
      { config: { requires: 'operate' }, bodyLimit: MOST_ONNX_BYTES, schema: { params: named } },
      async ({ params, body, caller }) => {
        if (!(body instanceof Buffer))
          throw new HotloopError('INVALID_ARGUMENT', 'send an ONNX file as content-type application/onnx');
        const onnxSha256 = createHash('sha256').update(body).digest('hex');
        const header = {
          ...{ manifestYaml: '', name: params.model, note: 'uploaded in the console' },
          ...{ onnxSha256, onnxBytes: body.length },
        };
        const chunks = async function* () {
          yield body;
        };
        return pushModel(
          header,
          chunks(),
          caller.subject || 'console',
          { pool, bundles, clock },
          { maxOnnxBytes: MOST_ONNX_BYTES, permit: (manifest) => permitPush(caller, manifest, pool) },
        );
      },
    );
    app.post(
      '/v1/console/models/:model/predict',
      { config: { requires: 'predict' }, schema: { params: named, body: z.record(z.string(), z.unknown()) } },
      ({ params, body }) => ask(frontDoor, 'predictions', `/v1/models/${params.model}/predict`, body),
    );
    app.get(
      '/v1/console/models/:model/tensors',
      { config: { requires: 'predict' }, schema: { params: named } },
      ({ params }) => ask(frontDoor, 'inference', `/v2/models/${params.model}`),
    );
    app.post(
      '/v1/console/models/:model/infer',
      { config: { requires: 'predict' }, schema: { params: named, body: z.record(z.string(), z.unknown()) } },
      ({ params, body }) => ask(frontDoor, 'inference', `/v2/models/${params.model}/infer`, body),
    );
  };
}

/** Hands a question on. What the service refuses is refused with its words. */
async function ask(
  frontDoor: FrontDoor | null,
  where: 'predictions' | 'inference',
  path: string,
  body?: unknown,
): Promise<unknown> {
  if (frontDoor === null)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      'this server does not know where predictions are answered: set HOTLOOP_FRONT_DOOR',
    );
  let answer: Response;
  try {
    answer = await frontDoor.calls.fetch(`${frontDoor.calls.scheme}://${frontDoor[where]}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      signal: AbortSignal.timeout(ANSWER_MS),
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(frontDoor.apiKey === undefined ? {} : { authorization: `Bearer ${frontDoor.apiKey}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (cause) {
    throw new HotloopError('UNAVAILABLE', 'the service that answers predictions cannot be reached', {
      cause,
    });
  }
  const text = await answer.text();
  if (answer.ok) return JSON.parse(text) as unknown;
  const { detail, error } = parsed(text);
  throw new HotloopError(
    answer.status === 404 ? 'NOT_FOUND' : answer.status < 500 ? 'INVALID_ARGUMENT' : 'UNAVAILABLE',
    detail ?? error ?? `it answered ${answer.status}`,
  );
}

function parsed(text: string): { readonly detail?: string; readonly error?: string } {
  try {
    return JSON.parse(text) as { detail?: string; error?: string };
  } catch {
    return {};
  }
}
