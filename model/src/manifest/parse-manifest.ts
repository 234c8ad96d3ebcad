import { HotloopError } from '@hotloop/proto/errors.ts';
import { parseDocument } from 'yaml';
import { type Manifest, manifestSchema } from './manifest.ts';
import { describeIssues } from './manifest-issues.ts';
import { manifestProblems } from './manifest-problems.ts';

const MAX_BYTES = 1024 * 1024;
const TWO_DOCUMENTS = 'holds two documents, parted by ---; one model is one document';

/**
 * Reads model.yaml. Throws INVALID_ARGUMENT naming every field that is wrong and why.
 * Aliases are bounded and custom tags refused, because the file comes from outside.
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
    // An alias of what it stands in makes a circle, which no reader of the value would come out of.
    JSON.stringify(value);
    return value;
  } catch (cause) {
    throw new HotloopError('INVALID_ARGUMENT', 'model.yaml: too many aliases, or one that holds itself', {
      reason: 'invalid_manifest',
      cause,
    });
  }
}
