import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { callersMessage } from './runtime-message.ts';

const LAMBDA =
  '/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(const onnxruntime::webgpu::WebGpuContextConfig&)::<lambda()> adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters\n';
const OPSET =
  '/onnxruntime_src/onnxruntime/core/graph/model_load_utils.h:46 void onnxruntime::model_load_utils::ValidateOpsetForDomain(const std::unordered_map<std::__cxx11::basic_string<char>, int>&, const onnxruntime::logging::Logger&, bool, const std::string&, int) ONNX Runtime only *guarantees* support for models stamped with official released onnx opset versions. Opset 99 is under development.\n';

describe('the message of the runtime as a caller sees it', () => {
  it.each([
    [LAMBDA, 'Failed to get a WebGPU adapter: No supported adapters'],
    [
      OPSET,
      'ONNX Runtime only *guarantees* support for models stamped with official released onnx opset versions. Opset 99 is under development.',
    ],
    [
      '/onnxruntime_src/onnxruntime/core/graph/model.cc:202 onnxruntime::Model::Model(onnx::ModelProto&&, const onnxruntime::PathString&, const onnxruntime::ModelOptions&) Unsupported model IR version: 99, max supported IR version: 13\n',
      'Unsupported model IR version: 99, max supported IR version: 13',
    ],
    [
      '/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:1539 T onnxruntime::ProviderLibrary::Get() [with T = onnxruntime::Provider&; Alloc = std::allocator<char>] [ONNXRuntimeError] : 1 : FAIL : Failed to load library /usr/lib/node_modules/onnxruntime-node/bin/libonnxruntime_providers_cuda.so with error: libcudnn.so.9: cannot open shared object file',
      '[ONNXRuntimeError] : 1 : FAIL : Failed to load library …libonnxruntime_providers_cuda.so with error: libcudnn.so.9: cannot open shared object file',
    ],
    [
      'Exception during initialization: C:\\a\\_work\\1\\s\\onnxruntime\\core\\optimizer\\initializer.cc:31 onnxruntime::(anonymous namespace)::Load(int) const !model_path.IsEmpty() was false. model_path must not be empty.',
      'Exception during initialization: model_path must not be empty.',
    ],
    [
      'CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=node-7 ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=352 ; expr=cudaSetDevice(info_.device_id);',
      'CUDA failure 100: no CUDA-capable device is detected',
    ],
    [
      'Failed in onnxruntime::Graph::Resolve(const std::vector<int>&) const for node x',
      'Failed in for node x',
    ],
  ])('contains no source location, no signature and no host name: %#', (message, seen) => {
    expect(callersMessage(message)).toBe(seen);
  });

  it.each([
    'This is an invalid model. In Node, ("it", NoSuch, "", -1) : ("x": tensor(float),) -> ("y": tensor(float),) , Error No Op registered for NoSuch with domain_version of 17',
    'Error Node(it) with schema(::Add:14) has input size 1 not in range [min=2, max=2].',
    "Type Error: Type 'tensor(float)' of input parameter (x) of operator (And) in node (encoder/And_1) is invalid.",
    'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library',
    'no available backend found. ERR: [coreml] backend not found.',
    'state.h:0 is not a graph input',
  ])('keeps the names that its author needs: %s', (message) => {
    expect(callersMessage(message)).toBe(message);
  });

  it.each([
    "Node input '/encoder/layer.0/Add_output_0' is not a graph input",
    'in node (/encoder/layer.0/Add)',
    'Node (/MatMul) Op (MatMul) [ShapeInferenceError] Incompatible dimensions',
    'Nodes /MatMul_1, /Relu_2 and /down-blocks.1/Conv+Relu. All are wrong.',
    'Type Error: (tensor(float)) of input parameter [/a/Cast_output_0]',
  ])('keeps a name that looks like a path but cannot be one here: %s', (message) => {
    expect(callersMessage(message)).toBe(message);
  });

  it.each([
    ["cannot open '/home/some one/their model.onnx'", "cannot open '…their model.onnx'"],
    ['cannot open /encoder/weights.bin', 'cannot open …weights.bin'],
    ['cannot open /encoder/libcustom.so.1.2: gone', 'cannot open …libcustom.so.1.2: gone'],
    ['no folder /opt/models/encoder', 'no folder …encoder'],
    ['no folder /encoder/.cache/tmp', 'no folder …tmp'],
    ['no folder ../encoder/MatMul', 'no folder ..…MatMul'],
    ['no folder ~/encoder/MatMul', 'no folder …MatMul'],
    ['no folder /encoder/../MatMul', 'no folder …MatMul'],
    ['from //host/share/MatMul', 'from …MatMul'],
    ['from http://host/share/MatMul', 'from http:…MatMul'],
    ['from C:\\encoder\\MatMul', 'from …MatMul'],
  ])('keeps only the last part of a possible path: %s', (message, seen) => {
    expect(callersMessage(message)).toBe(seen);
  });

  it('removes names that begin like a folder at the root of the machine, and all names where those folders are unknown', () => {
    const message = 'in node (/Encoder/MatMul)';
    expect(callersMessage(message, new Set(['models']))).toBe(message);
    expect(callersMessage(message, new Set(['encoder']))).toBe('in node (…MatMul)');
    expect(callersMessage(message, null)).toBe('in node (…MatMul)');
  });

  it('knows the folders at the root of the machine', () => {
    for (const name of readdirSync('/'))
      if (/^\w/.test(name)) expect(callersMessage(`in (/${name}/x/y)`)).toBe('in (…y)');
  });

  it('contains no stack trace, and is one line of bounded length', () => {
    expect(callersMessage('\n    at load (/srv/x/runner.ts:1:2)\nbad model\n    at next (y)\n')).toBe(
      'bad model',
    );
    expect(callersMessage('#0 0x7f1 in main\n')).toBe('no reason given');
    expect(callersMessage('')).toBe('no reason given');
    expect(callersMessage('x'.repeat(10_000)).length).toBe(501);
  });

  const segment = fc.stringMatching(/^[\w.@+-]{1,12}$/).filter((text) => /\w/.test(text));
  const segments = fc.array(segment, { minLength: 2, maxLength: 6 });
  const tail = fc.constantFrom('', ':12', ':12:5', '(12)', '.cc:136 a::b(int) ', '/', '.');
  const words = fc.oneof(
    fc.string({ maxLength: 30 }),
    fc.constantFrom('x was false. ', 'a::b(', '<', '[', '/encoder/MatMul', "'/encoder/"),
  );
  const edge = fc.constantFrom(' ', '"', "'", '(', '=', ':', ',', '\n', '.', '[', '<', '|');
  /** Messages that contain such paths, and the paths. */
  const messagesWith = (path: fc.Arbitrary<string>) =>
    fc.tuple(fc.array(fc.tuple(words, edge, path, tail), { maxLength: 4 }), words).map(([parts, last]) => ({
      message: [...parts.map(([text, before, at, end]) => text + before + at + end), last].join(' '),
      paths: parts.map(([, , at]) => at),
    }));

  it('contains no absolute path, at any position', () => {
    const path = fc.oneof(
      segments.map((parts) => `/${parts.join('/')}`),
      segments.map((parts) => `C:\\${parts.join('\\')}`),
      segments.map((parts) => `\\\\${parts.join('\\')}`),
      segments.map((parts) => `file:///${parts.join('/')}`),
      segments.map((parts) => `~/${parts.join('/')}`),
    );
    fc.assert(
      fc.property(messagesWith(path), ({ message, paths }) => {
        const seen = callersMessage(message, null);
        for (const at of paths) expect(seen).not.toContain(at);
        expect(seen).not.toMatch(/(?<!\w)[/\\]\w/);
      }),
      { numRuns: 5_000 },
    );
  });

  it('contains no path to a file where it keeps names', () => {
    const roots = fc.constantFrom(...readdirSync('/').filter((name) => /^\w/.test(name)), 'Users', 'mnt');
    const file = fc.constantFrom('model.onnx', 'weights.bin', 'libx.so', 'libx.so.9', 'a.json', 'x.PB');
    const path = fc.oneof(
      fc.tuple(roots, segments).map(([root, parts]) => `/${root}/${parts.join('/')}`),
      fc.tuple(segments, file).map(([parts, name]) => `/${parts.join('/')}/${name}`),
      segments.map((parts) => `C:\\${parts.join('\\')}`),
      fc.tuple(roots, segments).map(([root, parts]) => `file:///${root}/${parts.join('/')}`),
      segments.map((parts) => `~/${parts.join('/')}`),
    );
    fc.assert(
      fc.property(messagesWith(path), ({ message, paths }) => {
        const seen = callersMessage(message);
        for (const at of paths) expect(seen).not.toContain(at);
      }),
      { numRuns: 5_000 },
    );
  });

  it('is computed in bounded time, whatever the text', () => {
    for (const piece of ['a', '/', 'a/', '(', '<', 'a::b(', 'a::', '::<', '"/', 'x.cc:1 '])
      expect(callersMessage(piece.repeat(100_000)).length).toBeLessThanOrEqual(501);
  }, 5_000);
});
