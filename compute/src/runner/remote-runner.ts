import { decodeModel } from '@hotloop/model/onnx/model.ts';
import { remoteInterfaceFile } from '@hotloop/model/onnx/remote-interface.ts';
import type { Datatype } from '@hotloop/model/tensor.ts';
import {
  openRemoteModel,
  type RemoteModel,
  type RemoteModelAddress,
} from '@hotloop/platform/grpc/remote-model.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { sha256 } from '@hotloop/platform/registry/bundle-store.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import type { ModelMetadataResponse__Output } from '@hotloop/proto/gen/inference/ModelMetadataResponse.ts';
import { rawContents } from '../oip/typed-contents.ts';
import type { FrameTensor, ReceivedTensor } from './frames.ts';
import type { LoadedModel, TensorDescription } from './load-options.ts';
import { type Runner, RunnerFailure, RunnerGone, type RunResult } from './runner.ts';

export interface RemoteRunnerOptions {
  /** Timeout for the questions asked of the server before it serves. */
  readonly loadTimeoutMs: number;
  /** Maximum duration of a run. */
  readonly hangMs: number;
  /** Interval at which the server is asked whether the model is ready. */
  readonly askMs?: number;
}

const ASK_MS = 1_000;

/**
 * Represents a model on another server. It accepts batches like a local runner, and is gone when the server reports
 * the model as not ready or cannot be reached. Rejects UNAVAILABLE (`remote_model`) until the model is ready with the
 * interface that the version was registered with; the version's slot then tries again.
 */
export async function startRemoteRunner(
  address: RemoteModelAddress,
  registered: Uint8Array,
  options: RemoteRunnerOptions,
  log: Log,
  signal: AbortSignal,
): Promise<Runner> {
  const remote = openRemoteModel(address);
  try {
    if (!(await remote.isReady(options.loadTimeoutMs)))
      throw unavailable(`model ${address.model} is not ready on its server`);
    const metadata = await remote.metadata(options.loadTimeoutMs);
    signal.throwIfAborted();
    if (sha256(remoteInterfaceFile(metadata.inputs, metadata.outputs)) !== sha256(registered))
      throw unavailable(
        `the inputs or outputs of model ${address.model} have changed on its server; push this version again`,
      );
    return new RemoteRunner(remote, loadedModel(metadata, registered), options, log);
  } catch (error) {
    remote[Symbol.dispose]();
    const { code, message } = toHotloopError(error);
    // An error while the server starts may be temporary.
    throw code === 'CANCELLED'
      ? error
      : new HotloopError('UNAVAILABLE', message, { reason: 'remote_model', cause: error });
  }
}

class RemoteRunner implements Runner {
  /** There is no local process. */
  readonly pid = 0;
  readonly model: LoadedModel;
  readonly gone: Promise<string>;
  readonly #remote: RemoteModel;
  readonly #options: RemoteRunnerOptions;
  readonly #end = Promise.withResolvers<string>();
  readonly #asking: NodeJS.Timeout;
  #ended: RunnerGone | undefined;

  constructor(remote: RemoteModel, model: LoadedModel, options: RemoteRunnerOptions, log: Log) {
    this.#remote = remote;
    this.model = model;
    this.#options = options;
    this.gone = this.#end.promise;
    this.#asking = setInterval(() => {
      this.ping().catch((error: unknown) => {
        log.warn({ error }, 'a remote model is not ready');
        this.#finish(toHotloopError(error).message);
      });
    }, options.askMs ?? ASK_MS);
    this.#asking.unref();
  }

  memoryBytes(): number {
    return 0;
  }

  async run(inputs: readonly FrameTensor[], timeoutMs?: number): Promise<RunResult> {
    if (this.#ended) throw this.#ended;
    const request = {
      inputs: inputs.map(({ index, datatype, shape }) => ({
        name: this.model.inputs[index]?.name ?? '',
        datatype,
        shape: [...shape],
      })),
      outputs: this.model.outputs.map(({ name }) => ({ name })),
      rawInputContents: inputs.map(({ pieces }) =>
        pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces),
      ),
    };
    const begun = performance.now();
    try {
      const answer = await this.#remote.infer(
        request,
        Math.min(timeoutMs ?? this.#options.hangMs, this.#options.hangMs),
      );
      const runUs = Math.round((performance.now() - begun) * 1000);
      return { tensors: this.#tensorsOf(answer), runUs };
    } catch (error) {
      if (this.#ended) throw this.#ended;
      const known = toHotloopError(error);
      if (known.code !== 'UNAVAILABLE') throw new RunnerFailure(known.message, { cause: known });
      this.#finish(known.message);
      throw this.#ended;
    }
  }

  async ping(): Promise<void> {
    const isReady = await this.#remote.isReady(this.#options.askMs ?? ASK_MS * 5);
    if (!isReady) throw unavailable('the model is not ready on its server');
  }

  kill(): void {
    this.#finish('it was terminated');
  }

  #tensorsOf(answer: Awaited<ReturnType<RemoteModel['infer']>>): ReceivedTensor[] {
    return this.model.outputs.map((expected, index) => {
      const at = answer.outputs.findIndex(({ name }) => name === expected.name);
      const output = answer.outputs[at];
      if (output === undefined || output.datatype !== expected.datatype)
        throw new HotloopError(
          'INTERNAL',
          `the server answered without ${expected.name} of type ${expected.datatype}`,
        );
      const contents =
        answer.rawOutputContents[at] ??
        (output.contents === null
          ? new Uint8Array()
          : rawContents(expected.name, expected.datatype, output.contents));
      return { index, datatype: expected.datatype, shape: output.shape.map(Number), contents };
    });
  }

  #finish(how: string): void {
    if (this.#ended) return;
    this.#ended = new RunnerGone(how, true);
    clearInterval(this.#asking);
    this.#remote[Symbol.dispose]();
    this.#end.resolve(how);
  }
}

/** Inputs and outputs in the order of the version's file, which its features and decision refer to. */
function loadedModel(metadata: ModelMetadataResponse__Output, registered: Uint8Array): LoadedModel {
  const { inputs, outputs } = decodeModel(registered).graph;
  const described = (
    names: readonly { readonly name: string }[],
    tensors: ModelMetadataResponse__Output['inputs'],
  ) =>
    names.flatMap(({ name }): TensorDescription[] => {
      const tensor = tensors.find((candidate) => candidate.name === name);
      if (tensor === undefined) return [];
      const shape = tensor.shape.map((size) => (Number(size) < 0 ? -1 : Number(size)));
      const dimensionNames = shape.map((size, axis) => (size < 0 && axis === 0 ? 'N' : null));
      return [{ name, datatype: tensor.datatype as Datatype, shape, dimensionNames }];
    });
  return { inputs: described(inputs, metadata.inputs), outputs: described(outputs, metadata.outputs) };
}

function unavailable(message: string): HotloopError {
  return new HotloopError('UNAVAILABLE', message, { reason: 'remote_model' });
}
