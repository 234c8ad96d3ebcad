import { type Caller, permitModel } from '@hotloop/platform/auth/authorization.ts';
import { permitTopic, permitVariable } from '@hotloop/platform/auth/project-store.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { type Location, parseLocation } from './location.ts';

/** The parts of a batch or a schedule that reach beyond the caller's models. */
export interface BatchPlaces {
  readonly model: string;
  readonly source: string;
  readonly sink: string;
}

/**
 * Enforces for a batch the limits of the caller's key: its models, and the topics, databases and objects of its
 * project. A worker has the rights of the whole installation, so a key that is limited to some models without a
 * project may start no batch. Throws PERMISSION_DENIED, INVALID_ARGUMENT for a location that cannot be read.
 */
export function permitBatch(caller: Caller, { model, source, sink }: BatchPlaces): void {
  permitModel(caller, model);
  if (caller.project !== undefined)
    for (const place of [source, sink]) permitLocation(caller.project.name, parseLocation(place));
  else if (caller.models !== undefined)
    throw new HotloopError(
      'PERMISSION_DENIED',
      'a batch reads and writes outside of the models that this key is limited to; use a key of a project, or one without a limit',
      { reason: 'whole_installation' },
    );
}

function permitLocation(project: string, location: Location): void {
  if (location.kind === 'kafka') permitTopic(project, location.topic);
  else if (location.kind === 's3') permitObjects(project, location.url);
  else if (location.kind === 'table' || location.kind === 'query') permitVariable(project, location.variable);
  else
    throw new HotloopError(
      'PERMISSION_DENIED',
      'files of the workers belong to no project; use s3://, a topic or a database',
      { reason: 'file_not_allowed' },
    );
}

function permitObjects(project: string, url: string): void {
  const [, , , ...folders] = url.split('/');
  if (folders[0] === 'projects' && folders[1] === project && !folders.includes('..')) return;
  throw new HotloopError(
    'PERMISSION_DENIED',
    `${url} is none of project ${project}; its objects are below s3://BUCKET/projects/${project}/`,
    { reason: 'object_not_in_project' },
  );
}
