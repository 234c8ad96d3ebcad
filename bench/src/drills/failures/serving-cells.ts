import type { TestCell } from './failure-cell.ts';

/** Rows of the failure matrix about serving, storing and models that tests of the suite show, on real services. */
export const SERVING_CELLS: readonly TestCell[] = [
  {
    id: 3,
    fault: 'kill -9 of a model runner; an input that kills runners',
    holds: 'its batch runs again on another one; an input that repeatedly kills runners is quarantined',
    tests: [
      { file: 'compute/src/swap.test.ts', name: 'replaces a runner that is killed' },
      { file: 'compute/src/failures.test.ts', name: 'quarantines an input that has ended three runners' },
      { file: 'compute/src/batching/batcher.test.ts', name: 'retries a lost batch, each request alone' },
    ],
    bug: {
      file: 'compute/src/batching/batcher.ts',
      from: '    this.#again(again);',
      to: "    for (const work of again) work.fail(new HotloopError('UNAVAILABLE', 'planted'));",
    },
  },
  {
    id: 4,
    fault: 'kill -9 of the postprocessor',
    holds: 'every decision that was answered is in the log',
    tests: [
      {
        file: 'postprocessor/src/main.test.ts',
        name: 'loses no decision when it is killed (SIGKILL) right after the answer',
      },
    ],
    bug: {
      file: 'postprocessor/src/decide.ts',
      from: '    await journal.append(',
      to: '    if (item.version === 0) await journal.append(',
    },
  },
  {
    id: 5,
    fault: 'kill -9 of the process that ships the log',
    holds: 'no row is lost or duplicated (the log is shipped from journals, not through a topic)',
    tests: [
      {
        file: 'compute/src/main.test.ts',
        name: 'loses no answered prediction when it is killed under load',
      },
      { file: 'platform/src/journal/shipper-failures.test.ts', name: 'continues at its position' },
    ],
    bug: {
      file: 'compute/src/infer.ts',
      from: '      this.#write(asked, outputs, result, failure ?? null).then(',
      to: '      (Math.random() < 0.2 ? Promise.resolve() : this.#write(asked, outputs, result, failure ?? null)).then(',
    },
  },
  {
    id: 6,
    fault: 'kill -9 of a worker in the middle of a run',
    holds: 'the run is resumed, and its candidate is registered once',
    tests: [
      {
        file: 'retrainer/src/runs/run-worker.test.ts',
        name: 'continues with the promotion when a worker was lost after registering',
      },
      {
        file: 'retrainer/src/runs/run-worker.test.ts',
        name: 'is retried when the training process died',
      },
      { file: 'retrainer/src/runs/run-worker.test.ts', name: 'is given to one worker' },
    ],
    bug: {
      file: 'retrainer/src/runs/run-store.ts',
      from: 'AND (lease_until IS NULL OR lease_until < now())\n           AND (kind',
      to: 'AND lease_until IS NULL\n           AND (kind',
    },
  },
  {
    id: 7,
    fault: 'kill -9 of the web console',
    holds: 'a login survives: the server keeps no session state',
    tests: [
      {
        file: 'platform/src/http/browser-session.test.ts',
        name: 'remain valid after a restart with the same secret',
      },
    ],
    bug: {
      file: 'platform/src/http/browser-session.ts',
      from: 'secret === undefined ? randomBytes(32)',
      to: 'secret !== undefined ? randomBytes(32)',
    },
  },
  {
    id: 11,
    fault: 'Redis comes back empty',
    holds: 'the history is rebuilt from the archive automatically',
    tests: [
      {
        file: 'preprocessor/src/archive/archive-events.test.ts',
        name: 'rebuild an emptied history automatically',
      },
      {
        file: 'preprocessor/src/history/redis-history.test.ts',
        name: 'is not filled until it is marked as filled again',
      },
    ],
    bug: {
      file: 'preprocessor/src/archive/rebuild-history.ts',
      from: '  if (await history.isFilled()) return undefined;',
      to: '  if (!(await history.isFilled())) return undefined;',
    },
  },
  {
    id: 12,
    fault: 'the queue (Redis) is lost with all its contents',
    holds: 'waiting runs are queued again from Postgres, each once',
    tests: [{ file: 'retrainer/src/runs/queue/run-queue.test.ts', name: 'restores lost runs' }],
    bug: {
      file: 'retrainer/src/runs/run-outbox.ts',
      from: 'rows.filter((row) => all || row.urgent)',
      to: 'rows.filter((row) => row.urgent)',
    },
  },
  {
    id: 15,
    fault: 'Postgres ends a connection in the middle of a batch',
    holds: 'the batch is sent again, and each row is stored once',
    tests: [
      {
        file: 'platform/src/journal/shipper.test.ts',
        name: 'keeps one row per key however often it arrives',
      },
      { file: 'platform/src/journal/shipper-failures.test.ts', name: 'pg_terminate_backend' },
      {
        file: 'platform/src/journal/shipper-failures.test.ts',
        name: 'waits while Postgres is down, loses nothing',
      },
    ],
    bug: {
      file: 'platform/src/journal/ship-rows.ts',
      from: 'IS NOT NULL AND EXCLUDED."',
      to: 'IS NULL AND EXCLUDED."',
    },
  },
  {
    id: 17,
    fault: 'events are delivered twice, consumers come and go',
    holds: 'each event counts once',
    tests: [
      {
        file: 'preprocessor/src/events.test.ts',
        name: 'reach the history once each, however often they are sent',
      },
      {
        file: 'preprocessor/src/history/redis-history.test.ts',
        name: 'has the same contents after any',
        titledIn: 'preprocessor/src/testing/history-contract.ts',
      },
      { file: 'platform/src/kafka/kafka.test.ts', name: 'stops within its deadline while the handler fails' },
    ],
    bug: {
      file: 'preprocessor/src/history/append-events.ts',
      from: 'if (atMs <= this.#floorMs || holds(this.#rows, row)) return;',
      to: 'if (atMs <= this.#floorMs) return;',
    },
  },
  {
    id: 18,
    fault: 'an unreadable message on a topic',
    holds: 'it becomes a dead letter with its bytes, and the messages around it are processed',
    tests: [
      {
        file: 'platform/src/kafka/kafka.test.ts',
        name: 'stores a malformed one as a dead letter with its bytes',
      },
      {
        file: 'platform/src/kafka/kafka.test.ts',
        name: 'makes a dead letter of the one message that the handler never accepts',
      },
    ],
    bug: {
      file: 'platform/src/kafka/consumer.ts',
      from: 'for (const { raw, error } of unreadable) {',
      to: 'for (const { raw, error } of unreadable.slice(1)) {',
    },
  },
  {
    id: 19,
    fault: 'the disk of the journal is full',
    holds:
      'strict models reject requests with RESOURCE_EXHAUSTED, accepted rows are kept, and service continues when there is room',
    tests: [
      { file: 'platform/src/journal/journal.test.ts', name: 'rejects rows when its limit is reached' },
      {
        file: 'platform/src/journal/journal.test.ts',
        name: 'if an attempt on a full disk left an incomplete one',
      },
      { file: 'platform/src/journal/journal.test.ts', name: 'continues when there is room again' },
      { file: 'compute/src/failures.test.ts', name: 'rejects requests when the log is full' },
    ],
    bug: {
      file: 'platform/src/journal/journal.ts',
      from: "code === 'ENOSPC' || ",
      to: '',
    },
  },
  {
    id: 20,
    fault: 'the disk of Postgres is full (53100)',
    holds: 'shipping waits and resumes by itself; predictions are answered as long as the journal has room',
    tests: [
      {
        file: 'platform/src/journal/shipper-failures.test.ts',
        name: 'waits while the disk of Postgres is full',
      },
    ],
    bug: {
      file: 'platform/src/journal/ship-rows.ts',
      from: '/^(22|23)/.test(code)',
      to: '/^(22|23|53)/.test(code)',
    },
  },
  {
    id: 21,
    fault: 'the disk of the model store is full or cannot be written',
    holds: 'no partial file is left, and the push reports the cause',
    tests: [
      {
        file: 'platform/src/registry/bundle-store.test.ts',
        name: 'leaves no partial files next to the bundles',
      },
      {
        file: 'platform/src/registry/bundle-store.test.ts',
        name: 'reports that the store cannot be written when its folder is read-only',
      },
    ],
    bug: {
      file: 'platform/src/registry/bundle-store.ts',
      from: "new HotloopError('RESOURCE_EXHAUSTED', 'the model store",
      to: "new HotloopError('INTERNAL', 'the model store",
    },
  },
  {
    id: 22,
    fault: 'a model file with a changed byte, or cut',
    holds: 'the digest check rejects it before the runtime loads it; the live version stays',
    tests: [
      {
        file: 'compute/src/slots/hostile-models.test.ts',
        name: 'copies of a good model with a byte flipped',
      },
      { file: 'model/src/onnx/inspect-refusals.test.ts', name: 'rejects a file truncated at any position' },
      { file: 'platform/src/registry/bundle-store.test.ts', name: 'of which one bit has changed' },
    ],
    bug: {
      file: 'platform/src/registry/bundle-store.ts',
      from: 'if (bundleDigest(bundle) !== bundleSha256)',
      to: "if (bundleDigest(bundle) === '')",
    },
  },
  {
    id: 23,
    fault: 'a model that does not fit its manifest',
    holds: 'it is rejected when it is pushed, with the reason',
    tests: [
      { file: 'model/src/manifest/check-model.test.ts', name: 'a manifest that does not fit its model' },
      { file: 'retrainer/src/registry/push-model.test.ts', name: 'of invalid input' },
    ],
    bug: {
      file: 'model/src/manifest/check-model.ts',
      from: '  if (found.length > 0)\n',
      to: '  if (found.length > 99)\n',
    },
  },
  {
    id: 24,
    fault: 'outputs that are not finite numbers',
    holds:
      'INTERNAL nonfinite_output, the request stays in the log; a canary that returns them is rolled back',
    tests: [
      { file: 'compute/src/grpc/inference-service.test.ts', name: 'an invalid item fails alone' },
      { file: 'compute/src/rest/rest-refusals.test.ts', name: 'where JSON cannot carry' },
      { file: 'retrainer/src/rollouts/rollouts.test.ts', name: 'is rolled back by failed answers' },
    ],
    bug: {
      file: 'compute/src/infer.ts',
      from: '    if (index >= 0)\n      return new HotloopError(',
      to: '    if (index >= 1e9)\n      return new HotloopError(',
    },
  },
  {
    id: 25,
    fault: 'a model that is too slow, hangs, or allocates too much memory',
    holds: 'it fails inside its runner; a hung runner is killed, and other requests are served',
    tests: [
      { file: 'compute/src/failures.test.ts', name: 'kills a runner that hangs' },
      {
        file: 'compute/src/slots/hostile-models.test.ts',
        name: 'fails a run that allocates more memory than allowed inside its runner',
      },
    ],
    bug: {
      file: 'compute/src/batching/batcher.ts',
      from: '        runner.kill();\n',
      to: '',
    },
  },
  {
    id: 26,
    fault: 'oversized, malformed and compressed requests',
    holds: 'rejected before they cost much, with a code that blames the caller',
    tests: [
      {
        file: 'platform/src/grpc/server.test.ts',
        name: 'answer RESOURCE_EXHAUSTED to a message that is too large',
      },
      { file: 'platform/src/grpc/unreadable-request.test.ts', name: 'bytes that are not a request' },
      { file: 'compute/src/rest/rest-server.test.ts', name: 'Open Inference Protocol over REST' },
      {
        file: 'model/src/onnx/inspect.test.ts',
        name: 'rejects a small file that would decode into a large one',
      },
    ],
    bug: {
      file: 'platform/src/grpc/guard.ts',
      from: '      if (call.request instanceof UnreadableRequest) throw call.request.refusal();\n',
      to: '',
    },
  },
  {
    id: 27,
    fault: 'a client that does not read',
    holds: 'backpressure: no more requests are read from it, so nothing accumulates',
    tests: [
      {
        file: 'platform/src/framed/served/ordered-stream.test.ts',
        name: 'reads no more requests while the client does not read',
      },
    ],
    bug: {
      file: 'platform/src/framed/served/ordered-stream.ts',
      from: 'this.#call.pause();',
      to: 'void this.#call;',
    },
  },
  {
    id: 28,
    fault: 'a deadline expires, or a caller cancels',
    holds: 'waiting work never runs, running work is cancelled',
    tests: [
      {
        file: 'compute/src/failures.test.ts',
        name: 'fails expired and cancelled requests without running them',
      },
      { file: 'platform/src/framed/framed.test.ts', name: 'cancel a running item at the server' },
      {
        file: 'compute/src/batching/work-queue.test.ts',
        name: 'never hands out expired or cancelled work',
      },
    ],
    bug: {
      file: 'compute/src/batching/work-queue.ts',
      from: 'const isOver = item.deadlineAt <= now || item.isOver();',
      to: 'const isOver = item.deadlineAt <= now;',
    },
  },
];
