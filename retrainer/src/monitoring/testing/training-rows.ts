import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import type { TrainedRows } from '../keep-baseline.ts';

/** Rows of one number and one of two categories, the second in every fifth row. */
export function trainingRows(rows: number): TrainedRows {
  const random = new SeededRandom(77);
  const features = new Float32Array(rows * 3);
  for (let row = 0; row < rows; row++) {
    features[row * 3] = random.normal();
    features[row * 3 + (row % 5 === 0 ? 2 : 1)] = 1;
  }
  return { rows, columns: 3, features };
}
