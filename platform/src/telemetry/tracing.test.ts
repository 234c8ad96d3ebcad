import { createServer } from 'node:http';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { rootSpanIdOf, startProcessTracing, startTracing } from './tracing.ts';

interface ReceivedSpan {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly links: readonly string[];
  readonly statusCode: number;
}

/** The part of opentelemetry/proto/trace/v1 that these tests use. */
const REQUEST = protobuf
  .parse(`
  syntax = "proto3";
  message Request { repeated ResourceSpans resource_spans = 1; }
  message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
  message Resource { repeated KeyValue attributes = 1; }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message AnyValue { string string_value = 1; }
  message ScopeSpans { repeated Span spans = 2; }
  message Link { bytes trace_id = 1; bytes span_id = 2; }
  message Status { string message = 2; uint32 code = 3; }
  message Span { bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5;
                 repeated Link links = 13; Status status = 15; }
`)
  .root.lookupType('Request');

interface WireRequest {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue: string } }[] };
    scopeSpans: {
      spans: {
        name: string;
        traceId: string;
        spanId: string;
        parentSpanId: string;
        links: { traceId: string }[];
        status: { code: number } | null;
      }[];
    }[];
  }[];
}

const hex = (base64: string) => Buffer.from(base64, 'base64').toString('hex');

function decode(body: Buffer): ReceivedSpan[] {
  const request = REQUEST.toObject(REQUEST.decode(body), { bytes: String, defaults: true }) as WireRequest;
  return request.resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? '';
    return scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        service,
        name: span.name,
        traceId: hex(span.traceId),
        spanId: hex(span.spanId),
        parentSpanId: hex(span.parentSpanId),
        links: span.links.map((link) => hex(link.traceId)),
        statusCode: span.status?.code ?? 0,
      })),
    );
  });
}

/** A real OTLP/HTTP receiver. */
async function startReceiver() {
  const spans: ReceivedSpan[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.url === '/v1/traces') spans.push(...decode(Buffer.concat(chunks)));
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  return {
    endpoint: `http://127.0.0.1:${port}`,
    spans,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const predictionId = randomPredictionIds().next(Date.now());
const traceId = predictionId.replaceAll('-', '');

describe('tracing', () => {
  it('puts the spans of two services into the trace of the prediction id', async () => {
    await using receiver = await startReceiver();
    const endpoint = receiver.endpoint;
    await using front = startTracing({ service: 'preprocessor', endpoint, sampleRatio: 1 });
    await using compute = startTracing({ service: 'compute', endpoint, sampleRatio: 1 });
    const caller = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const root = front.span('predict', {
      predictionId,
      sampled: true,
      root: true,
      kind: 'server',
      links: [caller, 'nonsense'],
    });
    const run = compute.span('run', { predictionId, sampled: true });
    run.fail(new HotloopError('INTERNAL', 'x', { reason: 'nonfinite_output' }));
    run.end();
    root.end();
    root.end();
    await Promise.all([front.flush(), compute.flush()]);

    const [predict] = receiver.spans.filter((span) => span.name === 'predict');
    const [inner] = receiver.spans.filter((span) => span.name === 'run');
    expect(receiver.spans).toHaveLength(2);
    expect(predict).toMatchObject({
      service: 'preprocessor',
      traceId,
      spanId: rootSpanIdOf(predictionId),
      parentSpanId: '',
      links: ['0af7651916cd43dd8448eb211c80319c'],
    });
    expect(inner).toMatchObject({
      service: 'compute',
      traceId,
      parentSpanId: rootSpanIdOf(predictionId),
      statusCode: 2,
    });
  });

  it('also records through the global SDK of the process', async () => {
    await using receiver = await startReceiver();
    await using process = await startProcessTracing({
      service: 'retrainer',
      endpoint: receiver.endpoint,
      sampleRatio: 1,
    });
    process.span('outcome', { predictionId, sampled: process.sampled(predictionId) }).end();
    await process.flush();
    expect(receiver.spans).toEqual([
      expect.objectContaining({
        name: 'outcome',
        service: 'retrainer',
        traceId,
        parentSpanId: rootSpanIdOf(predictionId),
      }),
    ]);
  });

  it('records nothing without an endpoint', async () => {
    await using tracing = startTracing({ service: 'x', sampleRatio: 1 });
    expect(tracing.sampled(predictionId)).toBe(false);
    tracing.span('predict', { predictionId, sampled: true, root: true }).end();
  });

  it('makes the same decision in every service, for the configured share of predictions', async () => {
    const receiver = 'http://127.0.0.1:1';
    await using one = startTracing({ service: 'a', endpoint: receiver, sampleRatio: 0.25 });
    await using two = startTracing({ service: 'b', endpoint: receiver, sampleRatio: 0.25 });
    const ids = randomPredictionIds();
    let sampled = 0;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 41 }), (ms) => {
        const id = ids.next(ms);
        expect(two.sampled(id)).toBe(one.sampled(id));
        if (one.sampled(id)) sampled++;
      }),
      { numRuns: 4000 },
    );
    expect(sampled / 4000).toBeGreaterThan(0.2);
    expect(sampled / 4000).toBeLessThan(0.3);
  });

  it('does not fail when the receiver cannot be reached', async () => {
    await using tracing = startTracing({ service: 'a', endpoint: 'http://127.0.0.1:1', sampleRatio: 1 });
    tracing.span('x', { predictionId, sampled: true }).end();
    await tracing.flush();
  });
});
