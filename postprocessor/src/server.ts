import type { Decision } from '@hotloop/model/decision/decision.ts';
import type { Variant } from '@hotloop/model/variant.ts';
import { permitModel } from '@hotloop/platform/auth/authorization.ts';
import { framedHandler } from '@hotloop/platform/framed/served/framed-server.ts';
import {
  attributesFromMessage,
  candidateFromMessage,
  textsFromMessage,
} from '@hotloop/platform/grpc/attributes.ts';
import { unary } from '@hotloop/platform/grpc/handlers.ts';
import { tensorFromMessage } from '@hotloop/platform/grpc/tensors.ts';
import type { DecideItem, DecisionPort } from '@hotloop/platform/ports/decision.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { DecideItem__Output } from '@hotloop/proto/gen/hotloop/v1/DecideItem.ts';
import type { DecideReplyItem } from '@hotloop/proto/gen/hotloop/v1/DecideReplyItem.ts';
import type { DecideRequest__Output } from '@hotloop/proto/gen/hotloop/v1/DecideRequest.ts';
import type { Decision as DecisionMessage } from '@hotloop/proto/gen/hotloop/v1/Decision.ts';
import type { DecisionServiceHandlers } from '@hotloop/proto/gen/hotloop/v1/DecisionService.ts';

const VARIANTS: ReadonlySet<string> = new Set<Variant>(['live', 'canary', 'shadow', 'pinned']);

/** Maps DecisionService to the decision port and back; contains no logic. */
export function decisionHandlers(decider: DecisionPort): DecisionServiceHandlers {
  return {
    Decide: unary(async (request: DecideRequest__Output, { signal }) => ({
      decision: decisionOf(await decider.decide(itemOf(request), signal)),
    })),
    DecideStream: framedHandler<DecideItem__Output, DecideReplyItem>({
      async handle({ request }, { caller }) {
        if (!request) throw new HotloopError('INVALID_ARGUMENT', 'the item has no request');
        permitModel(caller, request.model);
        // A decision takes less time than checking whether its caller still waits.
        return { decision: decisionOf(await decider.decide(itemOf(request))) };
      },
      timeoutMsOf: ({ request }) => request?.timeoutMs ?? 0,
      sizeOf: ({ decision }) =>
        64 + (decision?.ranked?.length ?? 0) * 64 + (decision?.scores?.length ?? 0) * 8,
    }),
  };
}

function itemOf(request: DecideRequest__Output): DecideItem {
  if (!isVariant(request.variant))
    throw new HotloopError('INVALID_ARGUMENT', 'variant must be live, canary, shadow or pinned');
  return {
    predictionId: request.predictionId,
    model: request.model,
    version: request.version,
    variant: request.variant,
    outputs: request.outputs.map(tensorFromMessage),
    candidates: request.candidates.map(candidateFromMessage),
    request: attributesFromMessage(request.request),
    entities: textsFromMessage(request.entities),
    excluded: request.excluded,
    timeoutMs: request.timeoutMs,
    sampled: request.sampled,
  };
}

function isVariant(text: string): text is Variant {
  return VARIANTS.has(text);
}

function decisionOf({ label, score, scores, ranked }: Decision): DecisionMessage {
  return { label, score, scores: [...scores], ranked: [...ranked] };
}
