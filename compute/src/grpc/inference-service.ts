import type { Variant } from '@hotloop/model/variant.ts';
import { permitModel } from '@hotloop/platform/auth/authorization.ts';
import { framedHandler } from '@hotloop/platform/framed/served/framed-server.ts';
import type { ServedService } from '@hotloop/platform/grpc/server.ts';
import { tensorFromMessage, tensorToMessage } from '@hotloop/platform/grpc/tensors.ts';
import type { InferItem, InferOutput } from '@hotloop/platform/ports/inference.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { InferItem__Output } from '@hotloop/proto/gen/hotloop/v1/InferItem.ts';
import type { InferReplyItem } from '@hotloop/proto/gen/hotloop/v1/InferReplyItem.ts';

const NAME = 'hotloop.v1.InferenceService';
const DEFAULT_TIMEOUT_MS = 5_000;
const VARIANTS: ReadonlySet<string> = new Set<Variant>(['live', 'canary', 'shadow', 'pinned']);

const NO_TENSORS: InferItem['tensors'] = [];

type InferWith = (item: InferItem, isOver: () => boolean) => Promise<InferOutput>;

/** hotloop.v1.InferenceService: maps proto to domain and back; contains no logic. */
export function inferenceService(infer: InferWith): ServedService {
  return {
    name: NAME,
    handlers: {
      InferStream: framedHandler<InferItem__Output, InferReplyItem>({
        defaultTimeoutMs: DEFAULT_TIMEOUT_MS,
        timeoutMsOf: (item) => item.timeoutMs,
        sizeOf: sizeOfReply,
        async handle(item, context) {
          permitModel(context.caller, item.model);
          const output = await infer(toDomain(item, context.remainingMs()), () => context.isOver());
          return { output: toWire(output) };
        },
      }),
    },
  };
}

function toDomain(item: InferItem__Output, timeoutMs: number): InferItem {
  if (!VARIANTS.has(item.variant))
    throw new HotloopError('INVALID_ARGUMENT', 'variant must be live, canary, shadow or pinned');
  if (!(item.propensity >= 0 && item.propensity <= 1))
    throw new HotloopError('INVALID_ARGUMENT', 'propensity must be from 0 to 1');
  const tensors = item.tensors.length === 0 ? NO_TENSORS : item.tensors.map(tensorFromMessage);
  return { ...item, tensors, variant: item.variant as Variant, timeoutMs };
}

function toWire(output: InferOutput): NonNullable<InferReplyItem['output']> {
  return {
    outputs: output.outputs.map(tensorToMessage),
    queueUs: output.queueUs,
    runUs: output.runUs,
  };
}

function sizeOfReply(reply: InferReplyItem): number {
  let bytes = 64;
  for (const tensor of reply.output?.outputs ?? []) bytes += 64 + (tensor.contents?.length ?? 0);
  return bytes;
}
