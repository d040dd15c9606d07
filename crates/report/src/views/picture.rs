//! Small pictures with holes, as PNG inside the page: a hole is transparent, so the page decides what it looks like in a light and
//! in a dark room.

/// Red, green and blue row by row; `None` is a hole. Where all three are the same everywhere, the picture is one of greys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    pixels: Vec<Option<[u8; 3]>>,
}

impl Picture {
    /// A picture of these pixels, in rows of `width`; `None` when they are no whole rows, or there is none.
    pub fn new(width: u32, pixels: Vec<Option<[u8; 3]>>) -> Option<Self> {
        let whole = width > 0 && !pixels.is_empty() && pixels.len().is_multiple_of(width as usize);
        let few = u32::try_from(pixels.len()).is_ok();
        (whole && few).then_some(Self { width, pixels })
    }

    /// The weights of a filter, `[channels, rows, width]` with one or three channels, as greys or as red, green and blue: 0 in the
    /// middle, `scale` bright, `-scale` dark, and a hole where `keeps` says no of all channels. `None` for other channels.
    pub fn of_weights(
        channels: usize,
        width: u32,
        weights: &[f32],
        scale: f32,
        keeps: impl Fn(usize) -> bool,
    ) -> Option<Self> {
        let shade = |weight: f32| {
            let share = if scale > 0.0 { weight / scale } else { 0.0 };
            // A cast to an integer takes what is no number as 0.
            (128.0 + 127.0 * share.clamp(-1.0, 1.0)).round() as u8
        };
        let area = weights.len() / channels.max(1);
        let of_channel = match channels {
            1 => [0; 3],
            3 => [0, area, 2 * area],
            _ => return None,
        };
        let pixel = |place: usize| {
            let is_kept = of_channel.iter().any(|first| keeps(first + place));
            is_kept.then(|| of_channel.map(|first| shade(weights[first + place])))
        };
        Self::new(width, (0..area).map(pixel).collect())
    }

    /// Pixels of a row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        (self.pixels.len() / self.width as usize) as u32
    }

    /// The pixels, row by row.
    pub fn pixels(&self) -> &[Option<[u8; 3]>] {
        &self.pixels
    }

    /// The picture as the address of an image: a PNG in base 64.
    pub(super) fn address(&self) -> String {
        format!("data:image/png;base64,{}", base64(&self.png()))
    }

    /// An eight-bit PNG, grey or RGB. With holes black means transparent, and the darkest shades are one brighter.
    fn png(&self) -> Vec<u8> {
        let holes = self.pixels.contains(&None);
        let is_grey = self.pixels.iter().flatten().all(|[red, green, blue]| red == green && green == blue);
        let (color, samples) = if is_grey { (png::ColorType::Grayscale, 1) } else { (png::ColorType::Rgb, 3) };
        let bytes = |pixel: &Option<[u8; 3]>| pixel.map_or([0; 3], |own| own.map(|shade| shade.max(u8::from(holes))));
        let bytes: Vec<u8> = self.pixels.iter().flat_map(|pixel| bytes(pixel).into_iter().take(samples)).collect();
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, self.width, self.height());
        encoder.set_color(color);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        if holes {
            // Two bytes a sample.
            encoder.set_trns(vec![0; 2 * samples]);
        }
        let mut writer = encoder.write_header().expect("a picture has rows and columns");
        writer.write_image_data(&bytes).expect("a picture has whole rows");
        writer.finish().expect("memory takes what is written");
        out
    }
}

/// Base 64 with padding, RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |place: usize| u32::from(three.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place > three.len() { '=' } else { char::from(letter) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_64_is_that_of_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_png_has_the_greys_and_the_holes() {
        let greys = [Some(0), None, Some(255), Some(7), Some(128), None].map(|grey| grey.map(|own| [own; 3]));
        let picture = Picture::new(3, greys.to_vec()).expect("two rows");
        let png = picture.png();
        let transparent = |png: &[u8]| png.windows(10).any(|own| own == b"\0\0\0\x02tRNS\0\0");
        assert!(transparent(&png), "black is transparent, in the two bytes that a grey picture says it with");
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
        let mut bytes = vec![0; 6];
        let info = reader.next_frame(&mut bytes).expect("an image");
        assert_eq!((info.width, info.height, info.color_type), (3, 2, png::ColorType::Grayscale));
        assert_eq!(bytes, [1, 0, 255, 7, 128, 0], "black is a hole");
        let whole = Picture::new(2, vec![Some([0; 3]), Some([9; 3])]).expect("a row").png();
        assert!(!transparent(&whole));
        let mut reader = png::Decoder::new(std::io::Cursor::new(whole)).read_info().expect("a PNG");
        reader.next_frame(&mut bytes).expect("an image");
        assert_eq!(bytes[..2], [0, 9], "no hole, no change");
    }

    #[test]
    fn a_png_has_colours_where_there_are_some() {
        let png = Picture::new(3, vec![Some([1, 2, 3]), None, Some([0, 0, 255])]).expect("a row").png();
        assert!(png.windows(14).any(|own| own == b"\0\0\0\x06tRNS\0\0\0\0\0\0"), "black is transparent");
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
        let mut bytes = vec![0; 9];
        let info = reader.next_frame(&mut bytes).expect("an image");
        assert_eq!((info.width, info.color_type), (3, png::ColorType::Rgb));
        assert_eq!(bytes, [1, 2, 3, 0, 0, 0, 1, 1, 255]);
    }

    #[test]
    fn weights_become_greys_around_the_middle() {
        let of = |channels, width, weights: &[f32], scale, gone: &[usize]| {
            let picture = Picture::of_weights(channels, width, weights, scale, |index| !gone.contains(&index));
            picture.map(|own| own.pixels().to_vec())
        };
        let greys = |own: &[Option<u8>]| Some(own.iter().map(|grey| grey.map(|own| [own; 3])).collect::<Vec<_>>());
        let shades = greys(&[Some(1), Some(128), Some(192), None]);
        assert_eq!(of(1, 2, &[-2.0, 0.0, 1.0, 9.0], 2.0, &[3]), shades);
        assert_eq!(of(1, 2, &[f32::NAN, 0.0], 0.0, &[]), greys(&[Some(128); 2]));
        assert_eq!(of(1, 1, &[f32::NAN], 1.0, &[]), greys(&[Some(0)]));
        // Of three channels a hole is where none keeps its weight.
        let colours = of(3, 2, &[2.0, 0.0, -2.0, 0.0, 0.0, 0.0], 2.0, &[1, 3, 4, 5]);
        assert_eq!(colours, Some(vec![Some([255, 1, 128]), None]));
        assert_eq!(of(2, 1, &[1.0, 1.0], 1.0, &[]), None);
        assert!(Picture::new(2, vec![None; 3]).is_none() && Picture::new(0, vec![]).is_none());
    }
}
