import { type Command, InvalidArgumentError } from 'commander';
import { type CommandContext, type CommandTree, type GlobalOptions, present } from '../command-context.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

/** `hotloop completion bash|zsh|fish`. */
export function addCompletionCommand(program: Command, context: CommandContext): void {
  program
    .command('completion')
    .description('print a script that completes commands in your shell')
    .argument('<shell>', SHELLS.join(', '), parseShell)
    .addHelpText(
      'after',
      [
        '\nExamples:',
        '  hotloop completion bash >> ~/.bashrc',
        '  hotloop completion zsh > ~/.zfunc/_hotloop',
        '  hotloop completion fish > ~/.config/fish/completions/hotloop.fish',
      ].join('\n'),
    )
    .action(async (shell: Shell, _options: unknown, command: Command) => {
      const text = script(shell, (await context.commandTree?.()) ?? {});
      present(context, command.optsWithGlobals<GlobalOptions>(), { shell, script: text }, () => text);
    });
}

function script(shell: Shell, tree: CommandTree): string {
  const top = (tree[''] ?? []).join(' ');
  const groups = Object.entries(tree).filter(([name, words]) => name !== '' && words.length > 0);
  switch (shell) {
    case 'bash':
      return [
        '_hotloop() {',
        '  local words=""',
        '  if [ "$COMP_CWORD" -eq 1 ]; then',
        `    words="${top}"`,
        `  else case "\${COMP_WORDS[1]}" in`,
        ...groups.map(([name, words]) => `    ${name}) words="${words.join(' ')}";;`),
        '  esac; fi',
        `  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))`,
        '}',
        'complete -o default -F _hotloop hotloop',
      ].join('\n');
    case 'zsh':
      return [
        '#compdef hotloop',
        '_hotloop() {',
        '  if (( CURRENT == 2 )); then',
        `    compadd -- ${top}`,
        '  else case "$words[2]" in',
        ...groups.map(([name, words]) => `    ${name}) compadd -- ${words.join(' ')};;`),
        '    *) _files;;',
        '  esac; fi',
        '}',
        'compdef _hotloop hotloop',
      ].join('\n');
    case 'fish':
      return [
        'complete -c hotloop -f',
        `complete -c hotloop -n __fish_use_subcommand -a "${top}"`,
        ...groups.map(
          ([name, words]) =>
            `complete -c hotloop -n "__fish_seen_subcommand_from ${name}" -a "${words.join(' ')}"`,
        ),
      ].join('\n');
  }
}

function parseShell(text: string): Shell {
  const shell = SHELLS.find((known) => known === text);
  if (!shell) throw new InvalidArgumentError(`must be ${SHELLS.join(', ')}`);
  return shell;
}
