import type { Variant } from '@hotloop/model/variant.ts';
import { createAuthenticator } from '@hotloop/platform/auth/authorization.ts';
import { framedHandler } from '@hotloop/platform/framed/served/framed-server.ts';
import {
  attributesFromMessage,
  candidateFromMessage,
  textsFromMessage,
} from '@hotloop/platform/grpc/attributes.ts';
import { type GrpcServer, startGrpcServer } from '@hotloop/platform/grpc/server.ts';
import { tensorFromMessage, tensorToMessage } from '@hotloop/platform/grpc/tensors.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import type { DecisionPort } from '@hotloop/platform/ports/decision.ts';
import type { InferencePort } from '@hotloop/platform/ports/inference.ts';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import type { DecideItem__Output } from '@hotloop/proto/gen/hotloop/v1/DecideItem.ts';
import type { DecideReplyItem } from '@hotloop/proto/gen/hotloop/v1/DecideReplyItem.ts';
import type { InferItem__Output } from '@hotloop/proto/gen/hotloop/v1/InferItem.ts';
import type { InferReplyItem } from '@hotloop/proto/gen/hotloop/v1/InferReplyItem.ts';

/** Serves an inference port as compute would, on a free port. */
export function serveInference(port: InferencePort, address = '127.0.0.1:0'): Promise<GrpcServer> {
  const inferStream = framedHandler<InferItem__Output, InferReplyItem>({
    async handle(item, { signal }) {
      const variant = item.variant as Variant;
      const entities = textsFromMessage(item.entities);
      const { outputs, queueUs, runUs } = await port.infer(
        { ...item, tensors: item.tensors.map(tensorFromMessage), variant, entities },
        signal,
      );
      return { output: { outputs: outputs.map(tensorToMessage), queueUs, runUs } };
    },
    timeoutMsOf: ({ timeoutMs }) => timeoutMs,
  });
  return startGrpcServer({
    services: [{ name: 'hotloop.v1.InferenceService', handlers: { InferStream: inferStream } }],
    definitions: loadDefinitions(['hotloop/v1/inference.proto']),
    address,
    authenticator: createAuthenticator(undefined),
    log: silentLog(),
  });
}

/** Serves a decision port as the postprocessor would, on a free port. */
export function serveDecision(port: DecisionPort, address = '127.0.0.1:0'): Promise<GrpcServer> {
  const decideStream = framedHandler<DecideItem__Output, DecideReplyItem>({
    async handle({ request }) {
      if (!request) throw new RangeError('no request');
      const { label, score, scores, ranked } = await port.decide({
        ...request,
        variant: request.variant as Variant,
        outputs: request.outputs.map(tensorFromMessage),
        candidates: request.candidates.map(candidateFromMessage),
        request: attributesFromMessage(request.request),
        entities: textsFromMessage(request.entities),
      });
      return { decision: { label, score, scores: [...scores], ranked: [...ranked] } };
    },
    timeoutMsOf: ({ request }) => request?.timeoutMs ?? 0,
  });
  return startGrpcServer({
    services: [
      {
        name: 'hotloop.v1.DecisionService',
        handlers: {
          DecideStream: decideStream,
          Decide: (_call: unknown, callback: (error: Error) => void) => callback(new Error('not served')),
        },
      },
    ],
    definitions: loadDefinitions(['hotloop/v1/decision.proto']),
    address,
    authenticator: createAuthenticator(undefined),
    log: silentLog(),
  });
}
