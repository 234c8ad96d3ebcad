import { HotloopError } from '@hotloop/proto/errors.ts';
import { parseDocument } from 'yaml';
import type { GoldenExample } from './golden-schema.ts';

/**
 * The text of a model.yaml with other golden examples. A declared tolerance is kept, and so is everything else,
 * including comments. Without new examples, the old ones are removed, because they belong to other weights. The text
 * must have been parsed before.
 */
export function replaceGolden(yaml: string, examples: readonly GoldenExample[]): string {
  const document = parseDocument(yaml, { schema: 'core' });
  const path = ['golden', 'examples'];
  if (examples.length === 0 && !document.hasIn(path)) return yaml;
  try {
    if (examples.length === 0) document.deleteIn(path);
    else document.setIn(path, document.createNode(examples, { flow: true }));
    return document.toString({ lineWidth: 0, flowCollectionPadding: false });
  } catch (cause) {
    throw new HotloopError(
      'FAILED_PRECONDITION',
      'model.yaml: golden.examples cannot be replaced, because golden shares an anchor with other fields; write it out',
      { reason: 'invalid_manifest', cause },
    );
  }
}
