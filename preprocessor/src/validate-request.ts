import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { predictionIdProblem } from '@hotloop/proto/prediction-id.ts';
import { quotedJson } from '@hotloop/proto/quoted.ts';
import type { PredictionRequest } from './prediction.ts';

const MAX_ENTITIES = 16;
const MAX_ID_LENGTH = 256;
const MAX_CANDIDATES = 10_000;
/** 16 MiB of float32: upper limit for the rows of one prediction. */
const MAX_CELLS = 4 * 1024 * 1024;

/** Throws INVALID_ARGUMENT naming the problem of the request, independent of its model. */
export function validateRequest(request: PredictionRequest, nowMs: number): void {
  const { predictionId } = request;
  const problem = predictionId === '' ? undefined : predictionIdProblem(predictionId, nowMs);
  if (problem !== undefined) throw invalid(`prediction_id ${quotedJson(predictionId)} ${problem}`);
  const names = Object.keys(request.entities);
  if (names.length > MAX_ENTITIES)
    throw invalid(`entities: at most ${MAX_ENTITIES} may be named, not ${names.length}`);
  for (const name of names) {
    const id = request.entities[name] ?? '';
    if (id === '' || id.length > MAX_ID_LENGTH)
      throw invalid(`entities.${quotedJson(name)}: the id must have 1 to ${MAX_ID_LENGTH} characters`);
  }
}

/** Throws INVALID_ARGUMENT when the candidates do not fit the model's task. */
export function validateCandidates(request: PredictionRequest, manifest: Manifest, columns: number): void {
  const { candidates } = request;
  if (manifest.task !== 'ranking') {
    if (candidates.length > 0)
      throw invalid(`model ${manifest.name} has task ${manifest.task}, which has no candidates`);
    return;
  }
  if (candidates.length === 0) throw invalid(`model ${manifest.name} ranks; send at least one candidate`);
  if (candidates.length > MAX_CANDIDATES)
    throw invalid(`at most ${MAX_CANDIDATES} candidates may be sent, not ${candidates.length}`);
  if (candidates.length * columns > MAX_CELLS)
    throw invalid(`${candidates.length} candidates of ${columns} columns each are too many; send fewer`);
  const seen = new Set<string>();
  for (const { id } of candidates) {
    if (id === '' || id.length > MAX_ID_LENGTH)
      throw invalid(`every candidate needs an id of 1 to ${MAX_ID_LENGTH} characters`);
    if (seen.has(id)) throw invalid(`candidate ${quotedJson(id)} is given twice`);
    seen.add(id);
  }
}

function invalid(message: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', message);
}
