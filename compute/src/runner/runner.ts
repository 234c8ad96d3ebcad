import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Log } from '@hotloop/platform/log.ts';
import { releaseBytes } from '@hotloop/platform/release-bytes.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Confinement, Confinements } from './confinement.ts';
import type { DeviceEnvironment } from './device-environment.ts';
import { FrameFile } from './frame-file.ts';
import {
  decodeFrame,
  elsewhere,
  encodeFrame,
  FrameAssembler,
  type FramePlace,
  type FrameTensor,
  type ReceivedFrame,
  textOf,
  textTensor,
} from './frames.ts';
import type { LoadedModel, LoadOptions } from './load-options.ts';
import { callersMessage } from './runtime-message.ts';
import { type RunnerLimits, type SpawnedRunner, spawnRunner } from './spawn-runner.ts';

const MAX_ERROR_OUTPUT = 4096;

/** The value of an input that a request may leave out. */
export interface DefaultTensor {
  readonly name: string;
  readonly tensor: FrameTensor;
}

export interface RunnerOptions extends Omit<LoadOptions, 'defaults'> {
  readonly defaults?: readonly DefaultTensor[];
  /** Names of inputs whose default cannot be overridden. */
  readonly fixed?: readonly string[];
  readonly loadTimeoutMs: number;
  /**
   * Memory that the model may use on top of the process itself. On the CPU, a larger allocation fails inside the
   * runner.
   */
  readonly memoryLimitBytes: number;
  /** See RunnerLimits. */
  readonly deviceEnvironment?: DeviceEnvironment;
  /** Shared by all runners. */
  readonly confinements: Confinements;
}

/** Carries the runtime's message, for the log. Callers get a fixed text. */
export class RunnerFailure extends Error {}

/** Why a runner no longer exists. */
export class RunnerGone extends Error {
  /** True when its batch is not the cause. */
  readonly isBlameless: boolean;

  constructor(how: string, isBlameless = false) {
    super(how);
    this.isBlameless = isBlameless;
  }
}

/** The answer to a batch. Contents share the memory of the received frame. */
export type RunResult = Pick<ReceivedFrame, 'tensors' | 'runUs'>;

interface Waiting {
  readonly id: number;
  readonly resolve: (frame: ReceivedFrame) => void;
  readonly reject: (error: Error) => void;
  /** The place of its frame in the file, unless the frame went through the socket. */
  readonly place: FramePlace | undefined;
}

/**
 * A child process that holds one loaded version. Its environment contains no secrets, and it has no more rights than
 * it needs, as far as the system allows. It reads only its socket and the file of its large frames, and ends when
 * this process ends. `run` may be called again before the first call has resolved: the next batch then waits in the
 * socket or the file, so that the runner does not idle. Answers come in the order of the requests; a runner that
 * breaks this order, or whose answers cannot be decoded, is killed. After `gone` has resolved, every call rejects
 * with RunnerGone.
 */
export interface Runner {
  readonly pid: number;
  readonly model: LoadedModel;
  /** Its private memory, as last reported, in bytes. */
  memoryBytes(): number;
  /**
   * Rejects RunnerFailure (the model rejected this input; the runner is still alive) or RunnerGone. No caller waits
   * longer than `timeoutMs`; a runner that can cancel a run may do so then.
   */
  run(inputs: readonly FrameTensor[], timeoutMs?: number): Promise<RunResult>;
  /** Measures memory, and shows that the runner responds. */
  ping(): Promise<void>;
  /** Resolves with the way it ended, once the process has ended. */
  readonly gone: Promise<string>;
  /** Kills the process at once; pending calls reject. */
  kill(): void;
}

/**
 * Starts a runner on bytes whose digest the caller has verified. Rejects INVALID_ARGUMENT `unloadable_model` (the
 * runtime rejects the model, with its reason), DEADLINE_EXCEEDED, CANCELLED, or UNAVAILABLE (the process ended).
 */
export async function startRunner(
  onnx: Uint8Array,
  options: RunnerOptions,
  log: Log,
  signal: AbortSignal,
): Promise<Runner> {
  const confinement = await options.confinements.for(options);
  signal.throwIfAborted();
  const process = new RunnerProcess(confinement, options, log);
  const abort = () => process.kill();
  const timer = setTimeout(abort, options.loadTimeoutMs);
  signal.addEventListener('abort', abort, { once: true });
  try {
    await process.load(onnx, options);
    return process;
  } catch (error) {
    process.kill();
    await process.gone;
    throw loadError(error, signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

function loadError(error: unknown, signal: AbortSignal): HotloopError {
  if (error instanceof RunnerFailure) {
    const reason = callersMessage(error.message);
    return new HotloopError('INVALID_ARGUMENT', `the runtime cannot load the model: ${reason}`, {
      reason: 'unloadable_model',
      cause: error,
    });
  }
  if (signal.aborted) return new HotloopError('CANCELLED', 'loading was cancelled', { cause: error });
  return new HotloopError('UNAVAILABLE', 'the runner ended or took too long while it loaded the model', {
    reason: 'runner_lost',
    cause: error,
  });
}

class RunnerProcess implements Runner {
  readonly gone: Promise<string>;
  model: LoadedModel = { inputs: [], outputs: [] };
  readonly #log: Log;
  readonly #spawned: SpawnedRunner;
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  /** Requests in the order in which they were sent, which is also the order of the answers. */
  readonly #waiting: Waiting[] = [];
  readonly #file = FrameFile.open();
  readonly #assembler = new FrameAssembler();
  readonly #onFrame = (frame: Buffer) => this.#receive(decodeFrame(frame));
  #memoryBytes = 0;
  #ping: Promise<void> | undefined;
  #nextId = 1;
  #ended: RunnerGone | undefined;

  constructor(confinement: Confinement, limits: RunnerLimits, log: Log) {
    this.#log = log;
    try {
      this.#spawned = spawnRunner(confinement, limits, this.#file?.readable);
    } catch (error) {
      this.#file?.close();
      throw error;
    } finally {
      this.#file?.given();
    }
    this.#child = this.#spawned.child;
    this.#socket = this.#spawned.socket;
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    // Ignored, because the child's exit reports the same.
    this.#socket.on('error', () => undefined);
    let output = '';
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-MAX_ERROR_OUTPUT);
    });
    this.gone = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(`could not be started: ${error.message}`));
      this.#child.once('close', (code, signal) => resolve(signal ?? `exit ${code}`));
    });
    void this.gone.then((how) => {
      if (output !== '') log.warn({ runner: this.pid, output }, 'a runner wrote to its error output');
      this.#end(how);
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async load(onnx: Uint8Array, options: RunnerOptions): Promise<void> {
    const { executionProviders, threads, defaults = [], fixed = [] } = options;
    const told: LoadOptions = { executionProviders, threads, defaults: defaults.map(({ name }) => name) };
    const bytes: FrameTensor = { index: 1, datatype: 'UINT8', shape: [onnx.length], pieces: [onnx] };
    const tensors = [textTensor(JSON.stringify(told)), bytes, ...defaults.map(({ tensor }) => tensor)];
    let sent = Buffer.alloc(0);
    const reply = await this.#ask('load', tensors, (length) => {
      sent = Buffer.allocUnsafeSlow(length);
      return sent;
    });
    // The runner has answered, so it has read the whole model.
    releaseBytes(sent);
    this.model = { ...JSON.parse(textOf(reply.tensors[0])), fixed };
  }

  memoryBytes(): number {
    return this.#memoryBytes;
  }

  run(inputs: readonly FrameTensor[]): Promise<RunResult> {
    return this.#ask('run', inputs);
  }

  ping(): Promise<void> {
    // The first ping follows the warm-up: from then on requests wait for this process.
    this.#spawned.raisePriority();
    this.#ping ??= this.#ask('ping', []).then(() => {
      this.#ping = undefined;
    });
    return this.#ping;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #ask(
    kind: 'load' | 'run' | 'ping',
    tensors: readonly FrameTensor[],
    allocate?: (bytes: number) => Buffer,
  ): Promise<ReceivedFrame> {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = this.#nextId++ & 0x7fffffff;
    return new Promise((resolve, reject) => {
      const parts = { id, kind, tensors };
      const place = kind === 'run' ? this.#file?.put(parts) : undefined;
      // Encode before the request is added to the list, because this may throw, and every entry must get an
      // answer.
      const frame = encodeFrame(place ? elsewhere(id, place) : parts, allocate);
      this.#waiting.push({ id, resolve, reject, place });
      this.#socket.write(frame);
    });
  }

  #read(chunk: Buffer): void {
    try {
      this.#assembler.push(chunk, this.#onFrame);
    } catch (error) {
      // Later bytes cannot be interpreted, because the start of the next frame is unknown.
      this.#socket.destroy();
      this.#log.error({ runner: this.pid, error }, 'a runner sent an invalid frame; it is killed');
      this.kill();
    }
  }

  #receive(frame: ReceivedFrame): void {
    if (frame.memoryBytes > 0) this.#memoryBytes = frame.memoryBytes;
    // An array, because there are only a few at a time, and a Map whose entries come and go would retain them too
    // long; see StreamTable.
    const waiting = this.#waiting[0];
    if (waiting?.id !== frame.id) {
      const fields = { runner: this.pid, answered: frame.id, expected: waiting?.id };
      this.#log.error(fields, 'a runner answered a request that was not sent; it is killed');
      this.kill();
      return;
    }
    this.#waiting.shift();
    if (waiting.place) this.#file?.release(waiting.place);
    if (frame.kind === 'failed') waiting.reject(new RunnerFailure(textOf(frame.tensors[0])));
    else waiting.resolve(frame);
  }

  #end(how: string): void {
    this.#ended = new RunnerGone(how);
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#ended);
    this.#socket.destroy();
    this.#file?.close();
  }
}
