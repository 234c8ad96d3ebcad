import { readFileSync } from 'node:fs';

/**
 * The test files that failed, as vitest's JSON report names them; none when there is no report.
 *
 * @param {string} file
 * @returns {string[]}
 */
export function failedTestFiles(file) {
  try {
    const { testResults } = JSON.parse(readFileSync(file, 'utf8'));
    return testResults.filter(({ status }) => status === 'failed').map(({ name }) => name);
  } catch {
    return [];
  }
}

/**
 * Adds up vitest's JSON report. A file that could not be loaded counts as one failure, and so does a run that failed
 * without any failing test (an error outside of tests, or no report at all).
 *
 * @param {string} file
 * @param {number} exitCode vitest's
 * @param {string[]} except test files that are not counted, because they were run again
 * @returns {{ passed: number, failed: number, skipped: number }}
 */
export function readTestCounts(file, exitCode, except = []) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  let report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { ...counts, failed: 1 };
  }
  for (const suite of report.testResults ?? []) {
    if (except.includes(suite.name)) continue;
    const tests = suite.assertionResults ?? [];
    for (const { status } of tests) {
      if (status === 'passed') counts.passed += 1;
      else if (status === 'failed') counts.failed += 1;
      else counts.skipped += 1;
    }
    if (suite.status === 'failed' && !tests.some(({ status }) => status === 'failed')) counts.failed += 1;
  }
  if (exitCode !== 0 && counts.failed === 0 && except.length === 0) counts.failed = 1;
  return counts;
}

/** @param {{ passed: number, failed: number, skipped: number }} counts */
export function summaryLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
