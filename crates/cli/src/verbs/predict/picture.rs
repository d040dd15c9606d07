//! Pictures of ink in shades of grey, as MNIST has them: which kind of file it is, decoding, and fitting another size in.

use anyhow::{Context, Result, bail};
use image::{ImageReader, Limits};
use secateur_report::regular;
use secateur_trainer::data::Images;
use std::io::{BufReader, Read};
use std::path::Path;

/// Most bytes that a decoded picture may take: what a camera makes has room.
const LARGEST: u64 = 128 << 20;

/// What a file is by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// PNG or JPEG.
    Picture,
    /// A format of images that is not read.
    Foreign(&'static str),
    /// Perhaps IDX, which its reader decides.
    Other,
}

/// First bytes of formats that people have their images in.
const FOREIGN: [(&[u8], &str); 6] =
    [(b"GIF8", "GIF"), (b"RIFF", "WebP"), (b"BM", "BMP"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"%PDF", "PDF")];

/// Looks at the first bytes of a file.
pub(crate) fn kind(path: &Path) -> Result<Kind> {
    let mut first = Vec::new();
    let file = regular::open(path).with_context(|| format!("{}: cannot open", path.display()))?;
    file.take(8).read_to_end(&mut first).with_context(|| format!("{}: cannot read", path.display()))?;
    Ok(by_first(&first))
}

fn by_first(first: &[u8]) -> Kind {
    if first == b"\x89PNG\r\n\x1a\n" || first.starts_with(b"\xff\xd8\xff") {
        return Kind::Picture;
    }
    let foreign = FOREIGN.into_iter().find(|(magic, _)| first.starts_with(magic));
    foreign.map_or(Kind::Other, |(_, name)| Kind::Foreign(name))
}

/// A picture in shades of grey.
pub(super) fn picture(path: &Path) -> Result<Images> {
    let place = || format!("{}: no picture that can be read", path.display());
    let file = BufReader::new(regular::open(path).with_context(place)?);
    let mut reader = ImageReader::new(file).with_guessed_format().with_context(place)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(LARGEST);
    reader.limits(limits);
    let decoded = reader.decode().with_context(place)?.to_luma_alpha8();
    let (rows, columns) = (decoded.height() as usize, decoded.width() as usize);
    if rows * columns * 2 > LARGEST as usize {
        bail!("{}: larger than {} MiB when decoded, expected a smaller image", path.display(), LARGEST >> 20)
    }
    let shades = decoded.as_raw().as_chunks::<2>().0;
    let ground = ground(shades);
    let pixels = shades.iter().map(|[value, alpha]| over(*value, *alpha, ground)).collect();
    Ok(Images { rows, columns, channels: 1, pixels, first: 0, numbered: false })
}

/// What shows where a picture is transparent: white behind dark ink, black behind light ink, so that ink is seen.
fn ground(pixels: &[[u8; 2]]) -> u8 {
    let weight: u64 = pixels.iter().map(|[_, alpha]| u64::from(*alpha)).sum();
    let light: u64 = pixels.iter().map(|[value, alpha]| u64::from(*value) * u64::from(*alpha)).sum();
    if weight > 0 && light < 128 * weight { 255 } else { 0 }
}

fn over(value: u8, alpha: u8, ground: u8) -> u8 {
    let [value, alpha, ground] = [value, alpha, ground].map(u32::from);
    ((value * alpha + ground * (255 - alpha) + 127) / 255) as u8
}

/// Whether the outermost pixels are bright on average, as those of black on white are.
pub(super) fn is_bright_outside(image: &[u8], [rows, columns]: [usize; 2]) -> bool {
    let outside = |place: &usize| {
        let (row, column) = (place / columns, place % columns);
        row == 0 || column == 0 || row + 1 == rows || column + 1 == columns
    };
    let values: Vec<u64> = (0..rows * columns).filter(outside).map(|place| u64::from(image[place])).collect();
    values.iter().sum::<u64>() > 127 * values.len() as u64
}

/// An image scaled by area, its sides in proportion, in the middle of a black one of this size.
pub(super) fn fitted(image: &[u8], from: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    let scale = (to[0] as f64 / from[0] as f64).min(to[1] as f64 / from[1] as f64);
    let inner: [usize; 2] =
        std::array::from_fn(|side| ((from[side] as f64 * scale).round() as usize).clamp(1, to[side]));
    let [rows, columns] = [0, 1].map(|side| spans(from[side], inner[side]));
    let mut out = vec![0; to[0] * to[1]];
    let [top, left] = [0, 1].map(|side| (to[side] - inner[side]) / 2);
    for (row, down) in rows.iter().enumerate() {
        for (column, across) in columns.iter().enumerate() {
            let line = |(y, weight): &(usize, f64)| {
                let sum: f64 = across.iter().map(|(x, share)| share * f64::from(image[y * from[1] + x])).sum();
                weight * sum
            };
            let value: f64 = down.iter().map(line).sum();
            out[(top + row) * to[1] + left + column] = value.round() as u8;
        }
    }
    out
}

/// For each of `to` pixels of a line, the pixels of a line of `from` that it covers, with their shares.
fn spans(from: usize, to: usize) -> Vec<Vec<(usize, f64)>> {
    let step = from as f64 / to as f64;
    let one = |place: usize| {
        let (begin, end) = (place as f64 * step, (place as f64 + 1.0) * step);
        let all = begin.floor() as usize..(end.ceil() as usize).min(from);
        let share = |own: usize| ((own as f64 + 1.0).min(end) - (own as f64).max(begin)) / step;
        all.map(|own| (own, share(own))).filter(|(_, share)| *share > 0.0).collect()
    };
    (0..to).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        assert_eq!(by_first(b"\xff\xd8\xff\xe0\0\x10JF"), Kind::Picture);
        assert_eq!(by_first(b"\x89PNG\r\n\x1a\n"), Kind::Picture);
        assert_eq!([by_first(b""), by_first(&[0, 0, 8, 3, 0, 0, 0, 2])], [Kind::Other; 2]);
    }

    #[test]
    fn ink_is_seen_whatever_is_transparent() {
        // Black ink on nothing shows as black on white, white ink on nothing as white on black.
        let shown = |pixels: &[[u8; 2]]| -> Vec<u8> {
            let ground = ground(pixels);
            pixels.iter().map(|[value, alpha]| over(*value, *alpha, ground)).collect()
        };
        assert_eq!(shown(&[[0, 255], [0, 0], [9, 0]]), [0, 255, 255]);
        assert_eq!(shown(&[[255, 255], [0, 0], [255, 51]]), [255, 0, 51]);
        assert_eq!(shown(&[[7, 0]]), [0], "nothing but transparency is black");
    }

    #[test]
    fn the_border_tells_black_on_white() {
        let image = |outside: u8, inside: u8| [[outside; 3], [outside, inside, outside], [outside; 3]].concat();
        assert!(is_bright_outside(&image(255, 0), [3, 3]));
        assert!(!is_bright_outside(&image(0, 255), [3, 3]));
    }

    #[test]
    fn an_image_is_scaled_by_area_and_centred() {
        assert_eq!(fitted(&[0, 100, 200, 100], [2, 2], [1, 1]), [100], "the mean of four");
        assert_eq!(fitted(&[10, 20], [1, 2], [2, 4]), [10, 10, 20, 20, 10, 10, 20, 20]);
        // Three pixels on two: each covers one and a half.
        assert_eq!(fitted(&[0, 90, 180], [1, 3], [1, 2]), [30, 150]);
        // A flat image keeps its proportions: black above and below.
        assert_eq!(fitted(&[8, 8, 8, 8], [1, 4], [4, 4]), [0, 0, 0, 0, 8, 8, 8, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        let same: Vec<u8> = (0..12).collect();
        assert_eq!(fitted(&same, [3, 4], [3, 4]), same);
    }
}
