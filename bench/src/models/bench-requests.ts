import type { PredictInput } from '@hotloop/client';
import { encodePrediction } from '@hotloop/client/prediction.ts';
import type { PredictRequest } from '@hotloop/proto/gen/hotloop/v1/PredictRequest.ts';

const NUMBERS = 8;
const CATEGORIES = 24;

export const PREDICT_MODEL = 'bench';

/** A binary model of eight numbers and one category of the request: 32 columns. */
export function predictManifest(): string {
  const numbers = Array.from(
    { length: NUMBERS },
    (_, index) => `  - {name: n${index}, from: request.n${index}, missing: 0}`,
  );
  const categories = Array.from({ length: CATEGORIES }, (_, index) => `c${index}`);
  return [
    `name: ${PREDICT_MODEL}`,
    'task: binary',
    'features:',
    ...numbers,
    `  - {name: category, from: request.category, transform: [{one_hot: [${categories.join(', ')}]}]}`,
    '',
  ].join('\n');
}

/** The input for the client library. */
export function predictInput(index: number): PredictInput {
  const request: Record<string, number | string> = { category: `c${index % CATEGORIES}` };
  for (let number = 0; number < NUMBERS; number++) request[`n${number}`] = Math.sin(index + number);
  return { user: `u${index % 1000}`, request };
}

/** The same in encoded form; the server generates the prediction id. */
export function predictRequest(): PredictRequest {
  return encodePrediction(PREDICT_MODEL, predictInput(1), '');
}
