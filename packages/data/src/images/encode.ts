import sharp from "sharp";

/** 8-bit samples, row by row from the top left, channels of a pixel beside each other. */
export interface RawPicture {
  readonly width: number;
  readonly height: number;
  /** 1: grey; 3: RGB. */
  readonly channels: 1 | 3;
  /** [height, width, channels] */
  readonly data: Uint8Array;
}

/**
 * A picture as a PNG file (lossless, 8 bits a sample).
 *
 * @throws RangeError when there are not height · width · channels samples
 */
export async function encodePng({
  width,
  height,
  channels,
  data,
}: RawPicture): Promise<Uint8Array<ArrayBuffer>> {
  if (width < 1 || height < 1 || data.length !== width * height * channels) {
    throw new RangeError(
      `encodePng: ${width} × ${height} × ${channels} takes ${width * height * channels} samples, got ${data.length}`,
    );
  }
  const picture = sharp(data, { raw: { width, height, channels } });
  const encoded = await (channels === 1 ? picture.toColourspace("b-w") : picture).png().toBuffer();
  return new Uint8Array(encoded);
}
