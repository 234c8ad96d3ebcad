import type { TestCell } from './failure-cell.ts';

/**
 * Rows of the failure matrix about outcomes, runs, rollouts and releases that tests of the suite show, on real
 * services.
 */
export const LEARNING_CELLS: readonly TestCell[] = [
  {
    id: 30,
    fault: 'the same outcome is reported repeatedly',
    holds: 'it is stored once; a different body under the same id is rejected',
    tests: [
      {
        file: 'retrainer/src/outcomes/record-outcomes.test.ts',
        name: 'keeps each report once, across calls and within one',
      },
    ],
    bug: {
      file: 'retrainer/src/outcomes/outcome-store.ts',
      from: 'ON CONFLICT (model, source, id) DO NOTHING',
      to: 'ON CONFLICT (model, source, id) DO UPDATE SET value = EXCLUDED.value',
    },
  },
  {
    id: 31,
    fault: 'an outcome of an unknown prediction, too early or too late',
    holds:
      'it is kept and counted, and labels its prediction when that arrives; outside the window it does not',
    tests: [
      {
        file: 'retrainer/src/outcomes/record-outcomes.test.ts',
        name: 'keeps an outcome of an unknown prediction',
      },
      {
        file: 'retrainer/src/datasets/join.test.ts',
        name: 'counts an outcome whose prediction is not known',
      },
      {
        file: 'retrainer/src/datasets/join.test.ts',
        name: 'matches every prediction whose window contains the event',
      },
      {
        file: 'retrainer/src/datasets/join.test.ts',
        name: 'is given when the window has ended, and not before',
      },
    ],
    bug: {
      file: 'retrainer/src/datasets/join.ts',
      from: 'const open = now < at + spec.windowMs;',
      to: 'const open = now < 0;',
    },
  },
  {
    id: 32,
    fault: 'poisoned outcomes',
    holds:
      'a candidate that they make worse is rejected by the gate: slices, corrections and the frozen holdout decide',
    tests: [
      {
        file: 'retrainer/src/improve/judge-candidate.test.ts',
        name: 'is refused when it answers accepted corrections wrongly',
      },
      {
        file: 'retrainer/src/improve/judge-candidate.test.ts',
        name: 'is refused when a declared slice gets worse',
      },
    ],
    bug: {
      file: 'retrainer/src/improve/gate-checks.ts',
      from: '    ...sliceChecks(subject),\n',
      to: '',
    },
  },
  {
    id: 33,
    fault: 'two workers on one run, one of them stalled and resumed',
    holds: 'a fencing token decides: one candidate, the other worker gets ABORTED',
    tests: [
      {
        file: 'retrainer/src/runs/run-worker.test.ts',
        name: 'counts once when a worker continues after its lease and both write',
      },
      { file: 'retrainer/src/runs/run-worker.test.ts', name: 'that has expired writes nothing' },
    ],
    bug: {
      file: 'retrainer/src/runs/run-store.ts',
      from: "'SELECT * FROM training_run WHERE run_id = $1 AND token = $2 AND ended_at IS NULL FOR UPDATE'",
      to: "'SELECT * FROM training_run WHERE run_id = $1 AND token >= $2 AND ended_at IS NULL FOR UPDATE'",
    },
  },
  {
    id: 34,
    fault: 'a promoter dies midway',
    holds: 'before the flip the old version is live, after it the new one; another promoter continues',
    tests: [
      {
        file: 'retrainer/src/rollouts/promote.test.ts',
        name: 'continues after a promoter was lost half way',
      },
      { file: 'retrainer/src/rollouts/promote.test.ts', name: 'continues when its caller disconnects' },
    ],
    bug: {
      file: 'retrainer/src/rollouts/reconciler.ts',
      from: 'of await dueRollouts(dependencies.pool)) {',
      to: 'of (await dueRollouts(dependencies.pool)).slice(0, 0)) {',
    },
  },
  {
    id: 35,
    fault: 'many promoters at once',
    holds: 'one wins, the others get ABORTED; the history is one chain',
    tests: [
      { file: 'retrainer/src/rollouts/promote.test.ts', name: 'lets one of many promoters win' },
      { file: 'retrainer/src/rollouts/promote.test.ts', name: 'changes nothing for another generation' },
    ],
    bug: {
      file: 'retrainer/src/rollouts/promotion-store.ts',
      from: 'WHERE name = $1 AND generation = $3 AND $',
      to: 'WHERE name = $1 AND generation >= $3 AND $',
    },
  },
  {
    id: 36,
    fault: 'a node that cannot reach the registry',
    holds:
      'it continues to serve from the last snapshot and catches up when the registry is back (DESIGN: serving continues)',
    tests: [
      {
        file: 'platform/src/registry/registry.test.ts',
        name: 'keeps the last snapshot while Postgres is down',
      },
      { file: 'platform/src/registry/registry.test.ts', name: 'finds a change by polling' },
      { file: 'platform/src/registry/registry.test.ts', name: 'listens again after its connection was lost' },
    ],
    bug: {
      file: 'platform/src/registry/postgres-registry.ts',
      from: '      this.#away = true;\n',
      to: '      this.#away = true;\n      this.#snapshot = { ...this.#snapshot, models: new Map() };\n',
    },
  },
  {
    id: 37,
    fault: 'a rollback',
    holds: 'it needs no load: the version before is still warm; with nothing to go back to it is refused',
    tests: [
      { file: 'retrainer/src/rollouts/promote.test.ts', name: 'switches to the previous version at once' },
      { file: 'retrainer/src/rollouts/promote.test.ts', name: 'refuses when there is nothing to go back to' },
    ],
    bug: {
      file: 'retrainer/src/rollouts/promotion-store.ts',
      from: 'UPDATE model SET live_version = $2, previous_version = live_version,',
      to: 'UPDATE model SET live_version = $2, previous_version = NULL,',
    },
  },
  {
    id: 39,
    fault: 'services of two versions side by side',
    holds:
      'an older one runs on newer tables, and leaves out what it cannot read (`drill upgrade` runs them under load)',
    tests: [
      { file: 'platform/src/postgres/postgres.test.ts', name: 'runs on the tables of a newer release' },
      {
        file: 'platform/src/registry/registry.test.ts',
        name: 'skips a version whose manifest it cannot read',
      },
    ],
    bug: {
      file: 'platform/src/postgres/migrate.ts',
      from: 'if (!migration && name > newest) continue;',
      to: 'if (!migration && name < newest) continue;',
    },
  },
  {
    id: 40,
    fault: 'a runner exceeds its memory limit',
    holds: 'only this runner is killed and replaced; its work runs on another one',
    tests: [
      {
        file: 'compute/src/slots/measured-memory.test.ts',
        name: 'a runner that retains more than its limit is killed and replaced',
      },
      {
        file: 'compute/src/slots/measured-memory.test.ts',
        name: 'is not blamed on the work that runs when the runner is killed',
      },
    ],
    bug: {
      file: 'compute/src/slots/memory-limit.ts',
      from: 'if (memoryBytes <= limitBytes) return undefined;',
      to: 'if (memoryBytes <= limitBytes * 1000) return undefined;',
    },
  },
  {
    id: 42,
    fault: 'a wrong configuration',
    holds: 'the start is refused in one line that names each variable, and never prints a value',
    tests: [
      { file: 'platform/src/config.test.ts', name: 'the configuration' },
      { file: 'compute/src/main.test.ts', name: 'refuses to start with an unknown execution provider' },
      { file: 'retrainer/src/main.test.ts', name: 'in one line' },
    ],
    bug: {
      file: 'platform/src/config.ts',
      from: '  if (problems.length > 0)\n',
      to: '  if (problems.length > 99)\n',
    },
  },
];
