import type { FeatureInput, FeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import type { DecodedImages, ImageRead, ImageSettings } from '@hotloop/model/features/image.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Sharp, SharpOptions } from 'sharp';

/** Decodes the images of predictions. */
export interface ImageDecoder {
  /**
   * Returns the input with its images as tensors; unchanged for a plan without images. Rejects INVALID_ARGUMENT
   * naming the feature when a file is not JPEG or PNG, damaged, or too large; RESOURCE_EXHAUSTED when too many images
   * wait.
   */
  decode<Input extends FeatureInput>(plan: FeaturePlan, input: Input): Promise<Input>;
}

export interface ImageLimits {
  /** Maximum size of one file in bytes. */
  readonly maxBytes: number;
  /** Maximum number of pixels of one image, however small its file: protects against decompression bombs. */
  readonly maxPixels: number;
  /** Images decoded at the same time; each takes up to 4 bytes per pixel. */
  readonly atOnce: number;
  /** Maximum number of waiting images. */
  readonly maxWaiting: number;
  /** For one image. */
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
const LINE_BREAK = /[\r\n]+/g;
/** Characters of base64 with line breaks for one byte, at most. */
const LINES_SHARE = 1.5;
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** Memory: `atOnce` images of `maxPixels`, plus the waiting files. The library is loaded with the first image. */
export function createImageDecoder(limits: ImageLimits = IMAGE_LIMITS): ImageDecoder {
  let library: Promise<SharpFactory> | undefined;
  const load = () => {
    library ??= import('sharp').then(({ default: sharp }) => {
      // One thread and no cache: images of callers hardly repeat, and the threads serve many callers.
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

/**
 * Decodes base64 and checks the first bytes for JPEG or PNG, so that no other decoder ever processes a caller's data.
 */
function bytesOf({ where, value }: ImageRead, maxBytes: number): Buffer {
  if (typeof value !== 'string') throw refused(where, 'must be a JPEG or PNG file as base64 text');
  if (value.length > LINES_SHARE * maxBytes)
    throw refused(where, `is larger than ${maxBytes} bytes`, 'image_too_large');
  // Many encoders break base64 into lines, as MIME does.
  const text = value.slice(value.startsWith('data:') ? value.indexOf(',') + 1 : 0).replaceAll(LINE_BREAK, '');
  if (text === '') throw refused(where, 'is empty');
  if (text.length > Math.ceil(maxBytes / 3) * 4)
    throw refused(where, `is larger than ${maxBytes} bytes`, 'image_too_large');
  if (!BASE64.test(text)) throw refused(where, 'is not base64');
  const bytes = Buffer.from(text, 'base64');
  const begins = (magic: readonly number[]) => magic.every((byte, at) => bytes[at] === byte);
  if (!begins(JPEG) && !begins(PNG)) throw refused(where, 'is neither a JPEG nor a PNG file');
  return bytes;
}

async function tensorOf(
  { where, settings }: ImageRead,
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
      throw refused(where, `has ${pixels} pixels; at most ${maxPixels} are decoded`, 'image_too_large');
    const { data, info } = await fitted(picture, settings, size.autoOrient)
      .flatten({ background: '#ffffff' })
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
      .timeout({ seconds: Math.ceil(timeoutMs / 1000) })
      .raw()
      .toBuffer({ resolveWithObject: true });
    if (info.width !== width || info.height !== height || info.channels < channels)
      throw refused(where, 'cannot be decoded into the shape that the model needs');
    return normalised(data, info.channels, settings);
  } catch (error) {
    if (error instanceof HotloopError) throw error;
    const text = error instanceof Error ? error.message : '';
    if (/pixel limit/i.test(text))
      throw refused(where, `has too many pixels; at most ${maxPixels} are decoded`, 'image_too_large', error);
    throw refused(where, 'is damaged, or cannot be decoded', 'invalid_image', error);
  }
}

/** Bilinear, the default for image models in torchvision and Pillow. */
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

/** Converts interleaved pixels to planes: (value / 255 - mean) / std. */
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

/** Limits concurrency; further callers wait in order, up to a limit. */
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
        throw new HotloopError('RESOURCE_EXHAUSTED', 'too many images are waiting; try again in a moment', {
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

function refused(where: string, problem: string, reason = 'invalid_image', cause?: unknown): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `${where}: the image ${problem}`, {
    reason,
    cause,
  });
}
