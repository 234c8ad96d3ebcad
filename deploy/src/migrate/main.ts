import { readConfig, urlSchema, z } from '@hotloop/platform/config.ts';
import { createLog } from '@hotloop/platform/log.ts';
import { migrate } from '@hotloop/platform/postgres/migrate.ts';
import { SERVICE_VARIABLES } from '@hotloop/platform/start-up/settings.ts';

// Migrates the database to the newest schema and ends: the step before an upgrade. Services of the previous version
// continue meanwhile.
const log = createLog({ service: 'migrate', level: 'info' });
const schema = z.object({ DATABASE_URL: urlSchema('postgres', 'postgresql') });
try {
  const settings = readConfig(schema, process.env, { prefix: 'HOTLOOP_', known: SERVICE_VARIABLES });
  const applied = await migrate(settings.DATABASE_URL, { log });
  log.info({ applied }, 'the database is up to date');
} catch (error) {
  log.error({ err: error }, error instanceof Error ? error.message : 'migration failed');
  process.exitCode = 1;
}
