import type { FeatureInput, FeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import type { DecodedImages, ImageRead, ImageSettings } from '@hotloop/model/features/image.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Sharp, SharpOptions } from 'sharp';

/** Decodes the pictures of predictions. */
export interface ImageDecoder {
  /**
   * The input with its pictures as tensors; itself for a plan without any. Rejects INVALID_ARGUMENT naming the feature for what is no
   * JPEG or PNG, is damaged, or is too large; RESOURCE_EXHAUSTED when too many pictures wait.
   */
  decode<Input extends FeatureInput>(plan: FeaturePlan, input: Input): Promise<Input>;
}

export interface ImageLimits {
  /** Bytes of one file. */
  readonly maxBytes: number;
  /** Pixels of one picture, however small its file: what a decompression bomb may take. */
  readonly maxPixels: number;
  /** Pictures decoded at once; each takes up to 4 bytes a pixel. */
  readonly atOnce: number;
  /** Pictures that wait. */
  readonly maxWaiting: number;
  /** For one picture. */
  readonly timeoutMs: number;
}

export const IMAGE_LIMITS: ImageLimits = {
  maxBytes: 8 * 1024 * 1024,
  maxPixels: 40_000_000,
  atOnce: 2,
  maxWaiting: 256,
  timeoutMs: 10_000,
};

const JPEG = [0xff, 0xd8, 0xff];
const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** Memory: `atOnce` pictures of `maxPixels`, and the files that wait. The library is loaded with the first picture. */
export function createImageDecoder(limits: ImageLimits = IMAGE_LIMITS): ImageDecoder {
  let library: Promise<SharpFactory> | undefined;
  const load = () => {
    library ??= import('sharp').then(({ default: sharp }) => {
      // One thread and no cache: pictures of strangers are never the same, and threads belong to many callers.
      sharp.concurrency(1);
      sharp.cache(false);
      return sharp;
    });
    return library;
  };
  const room = new Room(limits);
  return {
    async decode(plan, input) {
      if (!plan.needsImages) return input;
      const reads = plan.images(input);
      const decoded = new Map<string, (Float32Array | undefined)[]>();
      await Promise.all(
        reads.map(async (read) => {
          const bytes = bytesOf(read, limits.maxBytes);
          const tensor = await room.inTurn(async () => tensorOf(read, bytes, await load(), limits));
          const rows = decoded.get(read.feature) ?? [];
          rows[read.row] = tensor;
          decoded.set(read.feature, rows);
        }),
      );
      return { ...input, images: decoded satisfies DecodedImages };
    },
  };
}

type SharpFactory = (bytes: Uint8Array, options: SharpOptions) => Sharp;

/** Base64 of a JPEG or PNG file by its first bytes: no other decoder ever sees what a stranger sends. */
function bytesOf({ feature, value }: ImageRead, maxBytes: number): Buffer {
  if (typeof value !== 'string') throw refused(feature, 'must be a JPEG or PNG file as base64 text');
  const text = value.startsWith('data:') ? value.slice(value.indexOf(',') + 1) : value;
  if (text.length > Math.ceil(maxBytes / 3) * 4) throw refused(feature, `is larger than ${maxBytes} bytes`);
  if (!BASE64.test(text)) throw refused(feature, 'is not base64');
  const bytes = Buffer.from(text, 'base64');
  const begins = (magic: readonly number[]) => magic.every((byte, at) => bytes[at] === byte);
  if (!begins(JPEG) && !begins(PNG)) throw refused(feature, 'is neither a JPEG nor a PNG file');
  return bytes;
}

async function tensorOf(
  { feature, settings }: ImageRead,
  bytes: Uint8Array,
  sharp: SharpFactory,
  { maxPixels, timeoutMs }: ImageLimits,
): Promise<Float32Array> {
  const { width, height, channels } = settings;
  try {
    const picture = sharp(bytes, {
      limitInputPixels: maxPixels,
      failOn: 'error',
      autoOrient: true,
      pages: 1,
    });
    const size = await picture.metadata();
    const pixels = (size.width ?? 0) * (size.height ?? 0);
    if (pixels > maxPixels)
      throw refused(feature, `has ${pixels} pixels; at most ${maxPixels} are decoded`, 'image_too_large');
    const { data, info } = await fitted(picture, settings, size.autoOrient)
      .flatten({ background: '#ffffff' })
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
      .timeout({ seconds: Math.ceil(timeoutMs / 1000) })
      .raw()
      .toBuffer({ resolveWithObject: true });
    if (info.width !== width || info.height !== height || info.channels < channels)
      throw refused(feature, 'cannot be decoded into the shape that the model needs');
    return normalised(data, info.channels, settings);
  } catch (error) {
    if (error instanceof HotloopError) throw error;
    const text = error instanceof Error ? error.message : '';
    if (/pixel limit/i.test(text))
      throw refused(
        feature,
        `has too many pixels; at most ${maxPixels} are decoded`,
        'image_too_large',
        error,
      );
    throw refused(feature, 'is damaged, or cannot be decoded', 'invalid_image', error);
  }
}

/** Bilinear, as torchvision and Pillow resize by default for models of pictures. */
function fitted(picture: Sharp, settings: ImageSettings, size: { width: number; height: number }): Sharp {
  const { width, height, fit, shorter } = settings;
  const common = { kernel: 'linear', fastShrinkOnLoad: false } as const;
  if (fit === 'stretch') return picture.resize({ ...common, width, height, fit: 'fill' });
  if (fit === 'pad')
    return picture.resize({ ...common, width, height, fit: 'contain', background: '#ffffff' });
  if (shorter === undefined) return picture.resize({ ...common, width, height, fit: 'cover' });
  const scale = shorter / Math.min(size.width, size.height);
  const scaled = {
    width: Math.max(width, Math.round(size.width * scale)),
    height: Math.max(height, Math.round(size.height * scale)),
  };
  return picture.resize({ ...common, ...scaled, fit: 'fill' }).extract({
    left: Math.round((scaled.width - width) / 2),
    top: Math.round((scaled.height - height) / 2),
    ...{ width, height },
  });
}

/** Pixels side by side become planes: (value / 255 - mean) / std. */
function normalised(data: Uint8Array, stride: number, settings: ImageSettings): Float32Array {
  const { width, height, channels, mean, std } = settings;
  const plane = width * height;
  const tensor = new Float32Array(channels * plane);
  for (let channel = 0; channel < channels; channel++) {
    const shift = mean[channel] as number;
    const scale = std[channel] as number;
    for (let pixel = 0; pixel < plane; pixel++)
      tensor[channel * plane + pixel] = ((data[pixel * stride + channel] as number) / 255 - shift) / scale;
  }
  return tensor;
}

/** Lets a few work at once; the others wait in turn, up to a bound. */
class Room {
  readonly #limits: ImageLimits;
  #working = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(limits: ImageLimits) {
    this.#limits = limits;
  }

  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#working >= this.#limits.atOnce) {
      if (this.#waiting.length >= this.#limits.maxWaiting)
        throw new HotloopError('RESOURCE_EXHAUSTED', 'too many pictures wait; try again in a moment', {
          reason: 'too_many_images',
        });
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#working++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#working--;
    }
  }
}

function refused(feature: string, problem: string, reason = 'invalid_image', cause?: unknown): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `feature ${feature}: the picture ${problem}`, {
    reason,
    cause,
  });
}
