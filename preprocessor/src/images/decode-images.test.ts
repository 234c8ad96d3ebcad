import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import { manifestOf, record } from '@hotloop/model/testing/manifests.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { createImageDecoder, IMAGE_LIMITS } from './decode-images.ts';

type Settings = Readonly<Record<string, unknown>>;

const planOf = (image: Settings, missing?: 0) =>
  compileFeaturePlan(
    manifestOf({
      features: [
        {
          ...{ name: 'scan', from: 'request.scan', input: 'pixels', transform: [{ image }] as never },
          ...(missing === undefined ? {} : { missing }),
        },
      ],
    }),
  );

const inputOf = (scan?: AttributeValue) => ({
  request: record<AttributeValue>(scan === undefined ? {} : { scan }),
  entities: record<string>({}),
  candidates: [],
});

async function tensorOf(image: Settings, scan: AttributeValue, limits = IMAGE_LIMITS) {
  const plan = planOf(image);
  const input = await createImageDecoder(limits).decode(plan, inputOf(scan));
  const [tensor] = plan.run(input, [], 0).tensors;
  if (tensor === undefined) throw new RangeError('no tensor was returned');
  return { shape: tensor.shape, values: [...new Float32Array(tensor.contents.slice().buffer)], tensor };
}

/** Left half red, right half blue. */
const halves = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: { r: 255, g: 0, b: 0 } } }).composite([
    {
      input: { create: { width: width / 2, height, channels: 3, background: { r: 0, g: 0, b: 255 } } },
      ...{ left: width / 2, top: 0 },
    },
  ]);
const base64 = async (picture: Sharp) => (await picture.toBuffer()).toString('base64');

describe('pictures', () => {
  it('become normalised planes, one per colour', async () => {
    const { tensor, shape, values } = await tensorOf(
      { width: 2, height: 1, fit: 'stretch', mean: [0.5], std: [0.5, 1, 0.25] },
      await base64(halves(2, 1).png()),
    );
    expect(tensor).toMatchObject({ name: 'pixels', datatype: 'FP32' });
    expect(shape).toEqual([1, 3, 1, 2]);
    // Red is 1 on the left and 0 on the right, green is 0, blue is 0 on the left and 1 on the right.
    expect(values).toEqual([1, -1, -0.5, -0.5, -2, 2]);
  });

  it('are cropped to the center, or padded with white', async () => {
    const wide = await base64(halves(80, 20).png());
    const cut = await tensorOf({ width: 4, height: 4, shorter: 8, mean: [0], std: [1] }, wide);
    expect(cut.shape).toEqual([1, 3, 4, 4]);
    expect(cut.values.slice(0, 4).map(Math.round)).toEqual([1, 1, 0, 0]);
    const padded = await tensorOf({ width: 4, height: 4, channels: 1, fit: 'pad' }, wide);
    expect(padded.shape).toEqual([1, 1, 4, 4]);
    expect(padded.values.slice(0, 4)).toEqual([1, 1, 1, 1]);
  });

  it('are rotated according to EXIF, and transparent parts are white', async () => {
    const turned = await base64(
      halves(40, 20).withMetadata({ orientation: 6 }).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }),
    );
    const { values } = await tensorOf(
      { width: 1, height: 2, fit: 'stretch' },
      `data:image/jpeg;base64,${turned}`,
    );
    expect(values.map(Math.round)).toEqual([1, 0, 0, 0, 0, 1]);
    const clear = sharp({
      create: { width: 4, height: 4, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } },
    });
    expect((await tensorOf({ width: 1, height: 1 }, await base64(clear.png()))).values).toEqual([1, 1, 1]);
  });

  it('that cannot be decoded are rejected with the feature and the reason', async () => {
    const png = await halves(200, 200).png().toBuffer();
    const gif = await halves(8, 8).gif().toBuffer();
    const cases: [AttributeValue, string, string][] = [
      [3, 'as base64', 'invalid_image'],
      ['not base64!', 'is not base64', 'invalid_image'],
      [Buffer.from('plain text').toString('base64'), 'neither a JPEG nor a PNG', 'invalid_image'],
      [gif.toString('base64'), 'neither a JPEG nor a PNG', 'invalid_image'],
      [png.subarray(0, 60).toString('base64'), 'is damaged', 'invalid_image'],
      [
        Buffer.concat([png.subarray(0, 8), Buffer.alloc(500, 7)]).toString('base64'),
        'is damaged',
        'invalid_image',
      ],
      [png.toString('base64'), 'pixels; at most 10000', 'image_too_large'],
      ['A'.repeat(20_000_000), 'larger than', 'image_too_large'],
      ['data:image/png;base64,\n', 'is empty', 'invalid_image'],
    ];
    for (const [scan, words, reason] of cases)
      await expect(
        tensorOf({ width: 2, height: 2 }, scan, { ...IMAGE_LIMITS, maxPixels: 10_000 }),
      ).rejects.toMatchObject({
        ...{ code: 'INVALID_ARGUMENT', reason },
        message: expect.stringMatching(new RegExp(`feature scan \\(request.scan\\).*${words}`)),
      });
  });

  it('that are absent become zeros if the model declares it, and are refused otherwise', async () => {
    const decoder = createImageDecoder();
    const optional = planOf({ width: 2, height: 1 }, 0);
    const { tensors, statuses } = optional.run(await decoder.decode(optional, inputOf()), [], 0);
    expect([...statuses]).toEqual([1]);
    expect(new Float32Array(tensors[0]!.contents.slice().buffer)).toEqual(new Float32Array(6));
    const needed = planOf({ width: 2, height: 1 });
    expect(() => needed.run(inputOf(), [], 0)).toThrow('is missing');
    expect(() => needed.run(inputOf('abc'), [], 0)).toThrow('which the front door decodes');
  });

  it('beyond the limit of the queue are rejected', async () => {
    const plan = planOf({ width: 2, height: 1 });
    const decoder = createImageDecoder({ ...IMAGE_LIMITS, atOnce: 1, maxWaiting: 0 });
    const scan = await base64(halves(8, 8).png());
    const answers = await Promise.allSettled([1, 2].map(() => decoder.decode(plan, inputOf(scan))));
    expect(answers[1]).toMatchObject({ status: 'rejected', reason: { code: 'RESOURCE_EXHAUSTED' } });
  });

  it.each<[string, Settings, string]>([
    ['a size beyond the limit', { width: 2000, height: 2000 }, 'at most 1048576'],
    ['two means for three colours', { width: 2, height: 2, mean: [0, 1] }, 'one number, or 3'],
    ['a shorter side below the crop', { width: 4, height: 4, shorter: 2 }, 'must not be below'],
  ])('reject a manifest with %s', (_what, settings, words) => {
    expect(() => planOf(settings)).toThrow(words);
  });
});
