import { ApiKeyStore } from '@hotloop/platform/auth/api-key-store.ts';
import { ROLES, type Role } from '@hotloop/platform/auth/authorization.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import { recordAct } from '@hotloop/retrainer/operations/record-act.ts';
import type { Command } from 'commander';
import { type CommandContext, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';
import { confirmed } from '../confirmed.ts';
import { openStores, WHERE } from './operations-commands.ts';

interface KeyOptions extends GlobalOptions {
  readonly dir?: string;
  readonly role: readonly string[];
  readonly model?: readonly string[];
  readonly days?: string;
  readonly perSecond?: string;
  readonly project?: string;
  readonly yes?: boolean;
}

/** `hotloop keys create|list|rotate|revoke`: API keys in Postgres, of which only a digest is kept. */
export function addKeyCommands(program: Command, context: CommandContext): void {
  const keys = program.command('keys').description('API keys that are kept in Postgres');
  keys
    .command('create')
    .description('make a key; it is shown once')
    .argument('<subject>', 'who will use it; written into the log and the ledger')
    .requiredOption('--role <role...>', `some of ${ROLES.join(', ')}`)
    .option('--model <model...>', 'models that it may name (default: all)')
    .option('--project <name>', 'only models and topics of this project')
    .option('--days <n>', 'days until it expires (default: never)')
    .option('--per-second <n>', 'predictions a second on each node')
    .option('--dir <folder>', WHERE)
    .addHelpText(
      'after',
      '\nExample: hotloop keys create shop --role predict feedback --days 90 --dir .hotloop',
    )
    .action(async (subject: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<KeyOptions>();
      await using stores = await openStores(context, options);
      const created = await new ApiKeyStore(stores.pool).create({
        subject,
        roles: options.role as Role[],
        ...(options.model === undefined ? {} : { models: options.model }),
        ...(options.project === undefined ? {} : { project: options.project }),
        ...(options.perSecond === undefined
          ? {}
          : { perSecond: numberOf('--per-second', options.perSecond) }),
        ...(options.days === undefined
          ? {}
          : { expiresAt: new Date(Date.now() + numberOf('--days', options.days) * DAY_MS) }),
      });
      await recordAct(stores.pool, 'key', {
        act: 'create',
        id: created.id,
        subject,
        roles: options.role,
        models: options.model ?? null,
        project: options.project ?? null,
      });
      present(
        context,
        options,
        created,
        () => `${created.key}\n(id ${created.id}; the key is not shown again)`,
      );
    });
  keys
    .command('list')
    .description('all keys, newest first; never the keys themselves')
    .option('--dir <folder>', WHERE)
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<KeyOptions>();
      await using stores = await openStores(context, options);
      const records = (await new ApiKeyStore(stores.pool).list()).map(
        ({ digest: _digest, ...record }) => record,
      );
      present(context, options, records, (table) =>
        table(
          ['id', 'subject', 'roles', 'reaches', 'state'],
          records.map((record) => [
            record.id,
            record.subject,
            record.roles.join('+'),
            record.models?.join(' ') ?? (record.project === undefined ? 'all' : `${record.project}-...`),
            stateOf(record),
          ]),
        ),
      );
    });
  keys
    .command('rotate')
    .description('make a new key like an old one; both work until the old one is revoked')
    .argument('<id>')
    .option('--dir <folder>', WHERE)
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<KeyOptions>();
      await using stores = await openStores(context, options);
      const store = new ApiKeyStore(stores.pool);
      const old = (await store.list()).find((record) => record.id === id);
      if (!old) throw new CommandError(`no API key has the id ${id}; \`hotloop keys list\` shows them`);
      const { subject, roles, models, perSecond, project } = old;
      const created = await store.create({
        subject,
        roles,
        ...(models === undefined ? {} : { models }),
        ...(project === undefined ? {} : { project }),
        ...(perSecond === undefined ? {} : { perSecond }),
        ...(old.expiresAt === undefined
          ? {}
          : { expiresAt: new Date(Date.now() + (old.expiresAt.getTime() - old.createdAt.getTime())) }),
      });
      await recordAct(stores.pool, 'key', { act: 'rotate', id: created.id, replaces: id, subject, roles });
      present(
        context,
        options,
        created,
        () => `${created.key}\n(id ${created.id}; when all callers use it: hotloop keys revoke ${id} --yes)`,
      );
    });
  keys
    .command('revoke')
    .description('end a key; services refuse it within seconds')
    .argument('<id>')
    .option('-y, --yes', 'do not ask first')
    .option('--dir <folder>', WHERE)
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<KeyOptions>();
      await confirmed(context, options, `revoke key ${id}? Its callers will be refused.`);
      await using stores = await openStores(context, options);
      await new ApiKeyStore(stores.pool).revoke(id);
      await recordAct(stores.pool, 'key', { act: 'revoke', id });
      present(context, options, { id, revoked: true }, () => `${id} is revoked`);
    });
}

function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new CommandError(`${option} must be a number above 0, not ${JSON.stringify(text)}`);
  return value;
}

function stateOf({ revoked, expiresAt }: { readonly revoked: boolean; readonly expiresAt?: Date }): string {
  if (revoked) return 'revoked';
  if (expiresAt === undefined) return 'in use';
  return `${expiresAt.getTime() < Date.now() ? 'expired' : 'until'} ${expiresAt.toISOString().slice(0, 10)}`;
}
