import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { z } from 'zod';
import { permitPush } from './permit-push.ts';
import { type PushDependencies, pushModel } from './push-model.ts';

/** The manifest is sent in the query, as base64url; the file is the body. */
const MOST_MANIFEST_CHARACTERS = 60_000;
const MOST_ONNX_BYTES = 512 * 1024 * 1024;

/** `POST /v1/models/push`: a version from model.yaml and, as the body, model.onnx; an empty body for a network that the manifest declares. */
export function pushRoutes(dependencies: PushDependencies): RouteModule {
  return (app) => {
    app.post(
      '/v1/models/push',
      {
        config: { requires: 'operate', checksModel: true },
        bodyLimit: MOST_ONNX_BYTES + 1,
        schema: {
          summary: 'Register the next version of a model (application/octet-stream: model.onnx, or nothing)',
          querystring: z.object({
            manifest: z.string().max(MOST_MANIFEST_CHARACTERS).describe('model.yaml as base64url'),
            note: z.string().max(2000).default(''),
            untrained: z
              .stringbool()
              .default(false)
              .describe('Begin untrained even where it has been trained'),
          }),
          response: { 200: z.object({ model: z.string(), version: z.int(), created: z.boolean() }) },
        },
      },
      async ({ query, body, caller }) => {
        const onnx = await bytesOf(body as Readable);
        const header = {
          manifestYaml: Buffer.from(query.manifest, 'base64url').toString('utf8'),
          ...{ name: '', note: query.note, untrained: query.untrained, onnxBytes: onnx.length },
          onnxSha256: onnx.length === 0 ? '' : createHash('sha256').update(onnx).digest('hex'),
        };
        const chunks = async function* () {
          yield onnx;
        };
        const limits = {
          maxOnnxBytes: MOST_ONNX_BYTES,
          permit: (manifest: Parameters<typeof permitPush>[1]) =>
            permitPush(caller, manifest, dependencies.pool),
        };
        const { model, version, created } = await pushModel(
          header,
          chunks(),
          caller.subject || 'anonymous',
          dependencies,
          limits,
        );
        return { model, version, created };
      },
    );
  };
}

async function bytesOf(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_ONNX_BYTES)
      throw new HotloopError('RESOURCE_EXHAUSTED', `model.onnx is larger than ${MOST_ONNX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
