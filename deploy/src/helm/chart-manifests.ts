import { parseAllDocuments } from 'yaml';

/** What is read of a manifest; it may hold more. */
export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: {
    readonly template?: PodTemplate;
    readonly jobTemplate?: { readonly spec: { readonly template: PodTemplate } };
    readonly jobTargetRef?: { readonly template: PodTemplate };
  };
}

interface PodTemplate {
  readonly spec: PodSpec;
}

export interface PodSpec {
  readonly automountServiceAccountToken?: boolean;
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly volumes?: readonly { readonly name: string }[];
  readonly containers: readonly Container[];
}

export interface Container {
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly volumeMounts?: readonly { readonly name: string }[];
}

/** Reads rendered manifests (YAML documents). */
export function manifestsOf(yaml: string): Manifest[] {
  return parseAllDocuments(yaml)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

/** The pods of a manifest: of a controller, of a CronJob, or of KEDA's ScaledJob. */
export function podsOf({ spec }: Manifest): PodSpec[] {
  return [spec?.template, spec?.jobTemplate?.spec.template, spec?.jobTargetRef?.template].flatMap(
    (template) => template?.spec ?? [],
  );
}
