import { type Project, ProjectStore } from '@hotloop/platform/auth/project-store.ts';
import { recordAct } from '@hotloop/retrainer/operations/record-act.ts';
import type { Command } from 'commander';
import { type CommandContext, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';
import { confirmed } from '../confirmed.ts';
import { openStores, WHERE } from './operations-commands.ts';

interface ProjectOptions extends GlobalOptions {
  readonly dir?: string;
  readonly perSecond?: number;
  readonly maxModels?: number;
  readonly yes?: boolean;
}

/** `hotloop projects create|list|remove`: teams that share an installation and do not see each other's models. */
export function addProjectCommands(program: Command, context: CommandContext): void {
  const projects = program.command('projects').description('teams that share an installation');
  projects
    .command('create')
    .description(
      'make a project, or change the limits of one; its models are named NAME-..., its topics NAME....',
    )
    .argument('<name>', 'letters, digits and _; no hyphen')
    .option('--per-second <n>', 'predictions a second on each node, of all its keys together', numberOf)
    .option('--max-models <n>', 'models that it may have', numberOf)
    .option('--dir <folder>', WHERE)
    .addHelpText(
      'after',
      '\nExample:\n  hotloop projects create shop --per-second 500 --max-models 20 --dir .hotloop' +
        '\n  hotloop keys create shop-app --role predict feedback operate --project shop --dir .hotloop',
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ProjectOptions>();
      await using stores = await openStores(context, options);
      const project: Project = {
        name,
        ...(options.perSecond === undefined ? {} : { perSecond: options.perSecond }),
        ...(options.maxModels === undefined ? {} : { maxModels: options.maxModels }),
      };
      await new ProjectStore(stores.pool).put(project);
      await recordAct(stores.pool, 'project', { act: 'create', ...project });
      present(
        context,
        options,
        project,
        () => `project ${name}; make keys for it with: hotloop keys create SUBJECT --project ${name}`,
      );
    });
  projects
    .command('list')
    .description('all projects and their limits')
    .option('--dir <folder>', WHERE)
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ProjectOptions>();
      await using stores = await openStores(context, options);
      const listed = await new ProjectStore(stores.pool).list();
      present(context, options, listed, (table) =>
        listed.length === 0
          ? 'no projects; keys reach all models'
          : table(
              ['project', 'predictions/s', 'models'],
              listed.map(({ name, perSecond, maxModels }) => [
                name,
                perSecond === undefined ? 'no quota' : String(perSecond),
                maxModels === undefined ? 'any number' : `at most ${maxModels}`,
              ]),
            ),
      );
    });
  projects
    .command('remove')
    .description('remove a project that has no keys; its models stay')
    .argument('<name>')
    .option('-y, --yes', 'do not ask first')
    .option('--dir <folder>', WHERE)
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ProjectOptions>();
      await confirmed(context, options, `remove project ${name}?`);
      await using stores = await openStores(context, options);
      await new ProjectStore(stores.pool).remove(name);
      await recordAct(stores.pool, 'project', { act: 'remove', name });
      present(context, options, { name, removed: true }, () => `project ${name} is removed`);
    });
}

function numberOf(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new CommandError(`a limit must be a number above 0, not ${JSON.stringify(text)}`);
  return value;
}
