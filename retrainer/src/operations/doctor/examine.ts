import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import { type Checks, type Finding, ill, type Patient } from './check.ts';
import { LOOP_CHECKS } from './loop-checks.ts';
import { SAFETY_CHECKS } from './safety-checks.ts';
import { SERVING_CHECKS } from './serving-checks.ts';
import { STORE_CHECKS } from './store-checks.ts';

const CHECKS: Checks = { ...STORE_CHECKS, ...SERVING_CHECKS, ...LOOP_CHECKS, ...SAFETY_CHECKS };

/** Runs every check independently: a failing one does not hide the others. Never rejects. */
export async function examine(patient: Patient): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const [check, run] of Object.entries(CHECKS)) {
    const finding = await run(patient).catch((error: unknown) =>
      ill(
        error instanceof HotloopError ? error.message : toHotloopError(error).message,
        `see that its address is right and that it runs`,
      ),
    );
    findings.push({ check, ...finding });
  }
  return findings;
}
