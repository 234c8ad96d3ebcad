import { z } from 'zod';
import { transformKind } from './transform-kind.ts';

const MOST_CELLS = 1_048_576;
const side = z.int().min(1).max(4096);

export const image = transformKind({
  name: 'image',
  schema: z.strictObject({
    image: z.strictObject({
      width: side,
      height: side,
      channels: z
        .union([z.literal(1), z.literal(3)])
        .default(3)
        .describe('3: red, green, blue; 1: grey'),
      fit: z
        .enum(['crop', 'pad', 'stretch'])
        .default('crop')
        .describe(
          'crop: cover and cut out the center; pad: fit in with a white border; stretch: scale each side independently',
        ),
      shorter: side.optional().describe('crop only: first scale the shorter side to this many pixels'),
      mean: z.array(z.number()).min(1).max(3).optional().describe('One for each channel; default 0'),
      std: z
        .array(z.number().positive())
        .min(1)
        .max(3)
        .optional()
        .describe('One for each channel; default 1'),
    }),
  }),
  documentation:
    'A JPEG or PNG file as base64 becomes a tensor [channels, height, width] of (value / 255 − mean) / std: turned as its EXIF says, scaled (bilinear), cropped, transparent parts white. At most 8 MiB and 40 million pixels. Fills an input alone; the first and only transform, of a request or item field.',
  example:
    '{image: {width: 224, height: 224, shorter: 256, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}}',
  typeBefore: () => 'image',
  compile({ image: given }, before) {
    const { width, height, channels, fit, shorter } = given;
    if (before !== 'image') throw new RangeError('image needs an image and must be the first transform');
    const cells = channels * height * width;
    if (cells > MOST_CELLS)
      throw new RangeError(`image makes ${cells} numbers; at most ${MOST_CELLS} are allowed`);
    if (shorter !== undefined && (fit !== 'crop' || shorter < Math.max(width, height)))
      throw new RangeError('image: shorter needs fit crop, and must not be below width or height');
    const mean = perChannel('mean', given.mean ?? [0], channels);
    const std = perChannel('std', given.std ?? [1], channels);
    return {
      stage: 'columns',
      width: cells,
      reads: 'raw',
      shape: [channels, height, width],
      image: { width, height, channels, fit, shorter, mean, std },
      write(raw, _numbers, index, out, at) {
        out.set(raw[index] as Float32Array, at);
        return true;
      },
    };
  },
});

function perChannel(name: string, given: readonly number[], channels: number): number[] {
  if (given.length !== 1 && given.length !== channels)
    throw new RangeError(`image: ${name} needs one number, or ${channels}`);
  return Array.from({ length: channels }, (_, channel) => given[channel] ?? given[0] ?? 0);
}
