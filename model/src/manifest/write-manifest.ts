import { Document, isCollection, isMap, isSeq } from 'yaml';

/** YAML in the usual style: one line per field of a feature, and short lists and maps within one line. */
export function writeManifest(manifest: Readonly<Record<string, unknown>>): string {
  const document = new Document(manifest);
  const features = document.get('features');
  const sections = isSeq(features) ? [...features.items] : [];
  sections.push(document.get('decision'), document.get('training'));
  for (const section of sections)
    for (const { value } of isMap(section) ? section.items : []) if (isCollection(value)) value.flow = true;
  return document.toString({ lineWidth: 110, flowCollectionPadding: false });
}
