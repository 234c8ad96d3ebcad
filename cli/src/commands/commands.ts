import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { addBatchCommands } from './batch-commands.ts';
import { addCorrectionCommands } from './corrections-commands.ts';
import { addDatasetCommands } from './dataset-commands.ts';
import { addEventCommands } from './events-commands.ts';
import { addExportCommand } from './export-commands.ts';
import { addFeaturesCommands } from './features-commands.ts';
import { addLoopCommands } from './loop-commands.ts';
import { addModelCommands } from './model-commands.ts';
import { addMonitorCommands } from './monitor-commands.ts';
import { addOperationsCommands } from './operations-commands.ts';
import { addPredictCommand } from './predict-command.ts';
import { addSqlCommands } from './sql-commands.ts';
import { addTableCommands } from './tables-commands.ts';

/** Adds one group of commands to the program. A group is one file beside this one. */
export type AddCommands = (program: Command, context: CommandContext) => void;

/** Every group of commands, in the order of the help. */
export const COMMANDS: readonly AddCommands[] = [
  addPredictCommand,
  addModelCommands,
  addExportCommand,
  addBatchCommands,
  addDatasetCommands,
  addSqlCommands,
  addCorrectionCommands,
  addLoopCommands,
  addEventCommands,
  addTableCommands,
  addFeaturesCommands,
  addOperationsCommands,
  addMonitorCommands,
];
