import { enableCompileCache } from 'node:module';

// Before anything else is loaded: the second start of the command reads compiled code.
enableCompileCache();
const { startCommand } = await import('./start-command.ts');
process.exitCode = await startCommand(process.argv.slice(2), process.env);
