import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';

/** Adds commands to the program. */
export type AddCommands = (program: Command, context: CommandContext) => void;

/** Top-level commands that are loaded together, when one of them is typed: `hotloop --help` reads none of their files. */
export interface CommandGroup {
  /** Names, with what the help says of each; a test compares them with the files. */
  readonly commands: Readonly<Record<string, string>>;
  load(): Promise<readonly AddCommands[]>;
}

/** Every group of commands, in the order of the help. */
export const COMMAND_GROUPS: readonly CommandGroup[] = [
  {
    commands: { status: 'models, versions, memory, rollouts, runs and alarms at a glance' },
    load: async () => [(await import('./status-command.ts')).addStatusCommand],
  },
  {
    commands: { predict: 'ask a model for a prediction' },
    load: async () => [(await import('./predict-command.ts')).addPredictCommand],
  },
  {
    commands: { model: 'register models and say which version is live' },
    load: async () => {
      const [own, exporting, versions] = await Promise.all([
        import('./model-commands.ts'),
        import('./export-commands.ts'),
        import('./version-commands.ts'),
      ]);
      return [own.addModelCommands, exporting.addExportCommand, versions.addVersionCommands];
    },
  },
  {
    commands: {
      promote: 'begin the rollout of a version',
      rollback: 'back to the previous version, or away from the one being tried out',
      rollout: 'follow rollouts, and say how they go on',
    },
    load: async () => [(await import('./rollout-commands.ts')).addRolloutCommands],
  },
  {
    commands: {
      plan: 'what pushing a folder of models would change; changes nothing',
      apply: 'push a folder of models, and roll out what is not live as each model.yaml says',
    },
    load: async () => [(await import('./plan-commands.ts')).addPlanCommands],
  },
  {
    commands: {
      ledger: 'who changed what, when and why',
      which: 'which version of a model was live at a moment',
    },
    load: async () => [(await import('./ledger-commands.ts')).addLedgerCommands],
  },
  {
    commands: { batch: 'predict all rows of a file, folder, bucket or table' },
    load: async () => [(await import('./batch-commands.ts')).addBatchCommands],
  },
  {
    commands: {
      up: 'run Hotloop on this machine until Ctrl-C',
      retrain: 'learn the next version from the labels so far',
      trace: 'what became of one prediction',
    },
    load: async () => [(await import('./loop-commands.ts')).addLoopCommands],
  },
  {
    commands: { client: 'typed clients of models' },
    load: async () => [(await import('./client-command.ts')).addClientCommand],
  },
  {
    commands: { explain: 'which features moved a prediction, and by how much' },
    load: async () => [(await import('./explain-command.ts')).addExplainCommand],
  },
  {
    commands: { runs: 'training runs: what they learnt from, with what, and how good' },
    load: async () => [(await import('./runs-commands.ts')).addRunsCommands],
  },
  {
    commands: { mlflow: 'runs and models to and from an MLflow server' },
    load: async () => [(await import('./mlflow-commands.ts')).addMlflowCommands],
  },
  {
    commands: { search: 'search for better training settings over the ranges of training.search' },
    load: async () => [(await import('./search-command.ts')).addSearchCommand],
  },
  {
    commands: { replay: 'what a version would have shown for logged requests, and its value' },
    load: async () => [(await import('./replay-command.ts')).addReplayCommand],
  },
  {
    commands: { worker: 'work on training runs (or batches) apart from the control API' },
    load: async () => [(await import('./worker-command.ts')).addWorkerCommand],
  },
  {
    commands: {
      dataset: 'what versions were trained on',
      outcomes: 'what happened after predictions',
      train: 'train a first version from a file, without live predictions',
    },
    load: async () => [(await import('./dataset-commands.ts')).addDatasetCommands],
  },
  {
    commands: { features: 'features of a model: explain, infer, share' },
    load: async () => [(await import('./features-commands.ts')).addFeaturesCommands],
  },
  {
    commands: {
      backup: 'copy everything that is kept (Postgres and the store) into a folder, while it runs',
      restore: 'put a backup back, into an empty database and store',
      forget: 'erase an entity, such as a user, wherever it is kept',
      doctor: 'look for problems, and say what to do about them',
      'support-bundle':
        'gather what a helper needs into one file: states, counts, findings, logs; no data, no secrets',
    },
    load: async () => [(await import('./operations-commands.ts')).addOperationsCommands],
  },
  {
    commands: { keys: 'API keys that are kept in Postgres' },
    load: async () => [(await import('./keys-commands.ts')).addKeyCommands],
  },
  {
    commands: { projects: 'teams that share an installation' },
    load: async () => [(await import('./projects-commands.ts')).addProjectCommands],
  },
  {
    commands: { sql: 'ask with SQL: predictions, the log, labels, files' },
    load: async () => [(await import('./sql-commands.ts')).addSqlCommands],
  },
  {
    commands: {
      predictions: 'predictions for people to look at',
      corrections: 'what analysts say about predictions',
    },
    load: async () => {
      const [predictions, corrections] = await Promise.all([
        import('./predictions-commands.ts'),
        import('./corrections-commands.ts'),
      ]);
      return [predictions.addPredictionsCommands, corrections.addCorrectionCommands];
    },
  },
  {
    commands: {
      monitor: 'calls, drift and incidents of a model',
      incidents: 'what is wrong now',
    },
    load: async () => [(await import('./monitor-commands.ts')).addMonitorCommands],
  },
  {
    commands: { events: 'what happens to entities' },
    load: async () => [(await import('./events-commands.ts')).addEventCommands],
  },
  {
    commands: { tables: 'reference tables that features look into' },
    load: async () => [(await import('./tables-commands.ts')).addTableCommands],
  },
  {
    commands: {
      config: 'named contexts: where Hotloop is, kept in a file',
      completion: 'print a script that completes commands in your shell',
    },
    load: async () => {
      const [config, completion] = await Promise.all([
        import('./config-commands.ts'),
        import('./completion-command.ts'),
      ]);
      return [config.addConfigCommands, completion.addCompletionCommand];
    },
  },
];
