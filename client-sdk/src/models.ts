import { createHash } from 'node:crypto';
import type { ClientReadableStream } from '@grpc/grpc-js';
import type { GetModelReply__Output } from '@hotloop/proto/gen/hotloop/v1/GetModelReply.ts';
import type { ListModelsReply__Output } from '@hotloop/proto/gen/hotloop/v1/ListModelsReply.ts';
import type { Model__Output } from '@hotloop/proto/gen/hotloop/v1/Model.ts';
import type { ModelVersion__Output } from '@hotloop/proto/gen/hotloop/v1/ModelVersion.ts';
import type { PromoteProgress__Output } from '@hotloop/proto/gen/hotloop/v1/PromoteProgress.ts';
import type { PushModelReply__Output } from '@hotloop/proto/gen/hotloop/v1/PushModelReply.ts';
import type { PushModelRequest } from '@hotloop/proto/gen/hotloop/v1/PushModelRequest.ts';
import type { CallContext, CallPatience } from './call-context.ts';
import { callMetadata, serverStream } from './channel.ts';
import { HotloopClientError, toClientError } from './hotloop-client-error.ts';
import { Operation } from './operation.ts';
import { upload } from './upload.ts';

export type ModelSummary = Model__Output;
export type ModelVersion = ModelVersion__Output;
export type PromotionStep = PromoteProgress__Output;

/**
 * A bundle to register: the text of model.yaml, or just a name for a model of task tensor. Without `onnx` the version
 * keeps the live version's weights if they were trained and fit; a model without weights starts with the untrained
 * network that `training.network` of model.yaml declares.
 */
export interface ModelBundle {
  readonly onnx?: Uint8Array;
  readonly manifestYaml?: string;
  readonly name?: string;
  readonly note?: string;
  /** Without `onnx`: start with an untrained network even if the model was trained. */
  readonly untrained?: boolean;
}

export interface PushStep {
  readonly sentBytes: number;
  readonly totalBytes: number;
}

export interface PushResult {
  readonly version: ModelVersion;
  /** False when the same bundle was registered before; `version` is then that one. */
  readonly created: boolean;
  /** The version whose weights were kept, because no `onnx` was given; 0 if none. */
  readonly weightsFrom: number;
  /** Columns that these weights do not know, such as `month = Apr`; they have weight 0 until a retraining. */
  readonly newColumns: readonly string[];
}

export interface ModelDetails {
  readonly model: ModelSummary;
  /** In the order of the service. */
  readonly versions: readonly ModelVersion[];
}

/** Live, or in progress as the manifest requires; a rollout continues without its caller. */
const BEGUN: ReadonlySet<string> = new Set(['live', 'approval', 'shadow', 'canary', 'measuring', 'held']);
/** Loading a large model on every node takes time. */
const PROMOTE_TIMEOUT_MS = 300_000;
const PUSH_TIMEOUT_MS = 300_000;
const CHUNK_BYTES = 256 * 1024;

/** Models, their versions, and which version is live. */
export class Models {
  readonly #context: CallContext;

  constructor(context: CallContext) {
    this.#context = context;
  }

  async list(patience?: CallPatience): Promise<readonly ModelSummary[]> {
    const { registry } = this.#context.stubs;
    const reply = await this.#context.repeatable<ListModelsReply__Output>(
      (metadata, options, done) => registry.ListModels({}, metadata, options, done),
      patience,
    );
    return reply.models;
  }

  /** Throws NOT_FOUND for a model that is not registered. */
  async get(model: string, patience?: CallPatience): Promise<ModelDetails> {
    const { registry } = this.#context.stubs;
    const reply = await this.#context.repeatable<GetModelReply__Output>(
      (metadata, options, done) => registry.GetModel({ model }, metadata, options, done),
      patience,
    );
    if (!reply.model) throw new HotloopClientError('INTERNAL', `the service did not describe model ${model}`);
    return { model: reply.model, versions: reply.versions };
  }

  /**
   * Registers the next version, which serves only after it is promoted. Pushing the same bundle twice registers it
   * once.
   */
  push(bundle: ModelBundle, patience: CallPatience = {}): Operation<PushStep, PushResult> {
    return new Operation((report) => this.#push(bundle, patience, report));
  }

  /** Loads and warms up the version on every node, then switches traffic. */
  promote(
    model: string,
    version: number,
    options: CallPatience & { readonly expectedGeneration?: number; readonly actor?: string } = {},
  ): Operation<PromotionStep, PromotionStep> {
    const { registry } = this.#context.stubs;
    const request = {
      model,
      version,
      expectedGeneration: options.expectedGeneration ?? 0,
      actor: options.actor ?? '',
    };
    return this.#flip((metadata, call) => registry.Promote(request, metadata, call), options);
  }

  /** Switches back to the previous version, which is still loaded. */
  rollback(
    model: string,
    options: CallPatience & { readonly actor?: string } = {},
  ): Operation<PromotionStep, PromotionStep> {
    const { registry } = this.#context.stubs;
    const request = { model, actor: options.actor ?? '' };
    return this.#flip((metadata, call) => registry.Rollback(request, metadata, call), options);
  }

  #flip(
    start: (
      metadata: ReturnType<typeof callMetadata>,
      options: { deadline: number },
    ) => ClientReadableStream<PromotionStep>,
    patience: CallPatience,
  ): Operation<PromotionStep, PromotionStep> {
    return new Operation(async (report) => {
      const deadline = Date.now() + (patience.timeoutMs ?? PROMOTE_TIMEOUT_MS);
      let last: PromotionStep | undefined;
      try {
        const call = start(callMetadata(this.#context.options), { deadline });
        for await (const step of serverStream(call, patience.signal)) {
          last = step;
          report(step);
        }
      } catch (error) {
        throw toClientError(error);
      }
      if (last && BEGUN.has(last.state)) return last;
      throw new HotloopClientError('FAILED_PRECONDITION', last?.message ?? 'the service reported no step', {
        reason: 'promotion_failed',
      });
    });
  }

  async #push(
    bundle: ModelBundle,
    patience: CallPatience,
    report: (step: PushStep) => void,
  ): Promise<PushResult> {
    const { registry } = this.#context.stubs;
    const reply = await upload<PushModelRequest, PushModelReply__Output>(
      this.#context,
      (metadata, options, done) => registry.PushModel(metadata, options, done),
      pushMessages(bundle, report),
      { ...patience, timeoutMs: patience.timeoutMs ?? PUSH_TIMEOUT_MS },
    );
    if (!reply.version) throw new HotloopClientError('INTERNAL', 'the service named no version');
    const { version, created, weightsFrom, newColumns } = reply;
    return { version, created, weightsFrom, newColumns };
  }
}

function* pushMessages(bundle: ModelBundle, report: (step: PushStep) => void): Generator<PushModelRequest> {
  const onnx = bundle.onnx ?? new Uint8Array();
  yield {
    header: {
      manifestYaml: bundle.manifestYaml ?? '',
      name: bundle.name ?? '',
      onnxSha256: bundle.onnx ? createHash('sha256').update(onnx).digest('hex') : '',
      onnxBytes: onnx.length,
      note: bundle.note ?? '',
      untrained: bundle.untrained ?? false,
    },
  };
  for (let sent = 0; sent < onnx.length; ) {
    const chunk = Buffer.from(onnx.subarray(sent, sent + CHUNK_BYTES));
    yield { chunk };
    sent += chunk.length;
    report({ sentBytes: sent, totalBytes: onnx.length });
  }
}
