#!/usr/bin/env node
// Starts the command line with a Node that is new enough: this one, or the one that npm installed beside it.
import { existsSync } from 'node:fs';
import module, { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, '..', 'src', 'main.ts');
const built = join(here, '..', 'src', 'main.js');
const NEEDED = 24;

function isNewEnough() {
  return Number(process.versions.node.split('.')[0]) >= NEEDED;
}

/** The Node that came as an npm package, with the project or with this package; undefined where there is none. */
function projectNode() {
  for (const name of ['node', `node-${process.platform}-${process.arch}`])
    try {
      const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
      const path = join(dirname(manifest), 'bin', 'node');
      if (existsSync(path)) return path;
    } catch {
      // Not installed; the next one may be.
    }
  return undefined;
}

const script = existsSync(source) ? source : built;
const own = isNewEnough();
const node = own ? process.execPath : projectNode();
if (node === undefined) {
  process.stderr.write(`hotloop: Node ${NEEDED} or later is needed; this is ${process.versions.node}\n`);
  process.exit(1);
}
// kafkajs sets timers for moments that have passed, which is harmless and which Node would warn about.
const HARMLESS = 'TimeoutNegativeWarning';
if (own) {
  const warn = process.emitWarning;
  process.emitWarning = (warning, ...more) => {
    if (more[0] !== HARMLESS) warn.call(process, warning, ...more);
  };
  // Before any TypeScript is loaded: from the second start on neither types are stripped nor code is compiled, which is most of the time.
  module.enableCompileCache?.();
  await import(script);
} else {
  const [{ spawn }, { constants }] = await Promise.all([import('node:child_process'), import('node:os')]);
  const child = spawn(node, [`--disable-warning=${HARMLESS}`, script, ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  // The terminal sends Ctrl-C to both, and both of the same press count as one; one sent to this process alone is handed on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}
