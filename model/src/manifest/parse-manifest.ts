import { HotloopError } from '@hotloop/proto/errors.ts';
import { parseDocument } from 'yaml';
import { type Manifest, manifestSchema } from './manifest.ts';
import { describeIssues } from './manifest-issues.ts';
import { manifestProblems } from './manifest-problems.ts';

const MAX_BYTES = 1024 * 1024;
const TWO_DOCUMENTS = 'contains two documents separated by ---; a model must be one document';

/**
 * Parses model.yaml. Throws INVALID_ARGUMENT naming every invalid field and why. The number of aliases is limited and
 * custom tags are rejected, because the file comes from outside.
 */
export function parseManifest(yaml: string): Manifest {
  if (yaml.length > MAX_BYTES) throw new HotloopError('INVALID_ARGUMENT', 'model.yaml is larger than 1 MiB');
  const value = plainYaml(yaml);
  const result = manifestSchema.safeParse(value);
  const issues = result.success ? manifestProblems(result.data) : describeIssues(result.error.issues, value);
  if (result.success && issues.length === 0) return result.data;
  throw new HotloopError('INVALID_ARGUMENT', `model.yaml: ${issues.join('; ')}`, {
    reason: 'invalid_manifest',
  });
}

function invalid(problem: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `model.yaml: ${problem}`, { reason: 'invalid_manifest' });
}

function plainYaml(yaml: string): unknown {
  const document = parseDocument(yaml, { schema: 'core', uniqueKeys: true });
  const problem = document.errors[0];
  if (problem)
    throw invalid(problem.code === 'MULTIPLE_DOCS' ? TWO_DOCUMENTS : (problem.message.split('\n')[0] ?? ''));
  if (document.contents === null) throw invalid('the file is empty; write at least name and features');
  try {
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    // An alias inside its own anchor gives a circular value, on which readers would loop forever.
    JSON.stringify(value);
    return value;
  } catch (cause) {
    throw new HotloopError('INVALID_ARGUMENT', 'model.yaml: too many aliases, or one that contains itself', {
      reason: 'invalid_manifest',
      cause,
    });
  }
}
