import { Link } from 'wouter';
import { Age } from './age.tsx';

/** The first two cells of a row about a prediction: a link to its page, and its age. */
export function PredictionCells({ predictionId, at }: { predictionId: string; at: number }) {
  return (
    <>
      <td>
        <Link href={`/predictions/${predictionId}`} className="link mono">
          …{predictionId.slice(-12)}
        </Link>
      </td>
      <td className="faint">
        <Age at={at} suffix="" />
      </td>
    </>
  );
}
