//! Reads any file of images in the IDX format, for those who only ask about images: raw or gzipped, of any size.

use crate::data::Error;
use flate2::bufread::MultiGzDecoder;
use secateur_report::regular;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// Images of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Height of an image.
    pub rows: usize,
    /// Width of an image.
    pub columns: usize,
    /// Channels of an image: 1 of shades of grey, 3 of colours.
    pub channels: usize,
    /// Bytes, `[image][channel][row][column]`.
    pub pixels: Vec<u8>,
    /// Place of the first of them in its file.
    pub first: usize,
    /// Whether a file holds more than one image, so that its place belongs to an image's name.
    pub numbered: bool,
}

/// Most pixels that are read at once.
const MOST: u64 = 1 << 30;

/// Reads the images of an IDX file (magic number 0x00000803), or only the one at `index`. A file whose name ends in `.gz`
/// is unpacked. Memory follows what is read, not what the file claims.
///
/// # Errors
/// When it cannot be read, is no such file, is cut short or too long, has no such image, or more than 2^30 pixels are asked
/// for.
pub fn read_images(path: &Path, index: Option<usize>) -> Result<Images, Error> {
    let unreadable = |source| Error::Read { path: path.into(), source };
    let content = BufReader::new(regular::open(path).map_err(unreadable)?);
    let content: Box<dyn Read> = match path.extension() {
        Some(end) if end == "gz" => Box::new(MultiGzDecoder::new(content)),
        _ => Box::new(content),
    };
    let refuse = |why: String| Error::NoImages { path: path.into(), why };
    read(content, index).map_err(|fault| match fault {
        Fault::Io(source) => unreadable(source),
        Fault::Format(why) => refuse(why),
    })
}

enum Fault {
    Io(io::Error),
    Format(String),
}

fn read(mut content: impl Read, index: Option<usize>) -> Result<Images, Fault> {
    let mut head = vec![];
    content.by_ref().take(16).read_to_end(&mut head).map_err(Fault::Io)?;
    let Ok(head) = <[u8; 16]>::try_from(head.as_slice()) else {
        return Err(Fault::Format(format!("found {} bytes, wanted a header of 16", head.len())));
    };
    let word = |place: usize| u32::from_be_bytes([head[place], head[place + 1], head[place + 2], head[place + 3]]);
    if word(0) != 0x0803 {
        return Err(Fault::Format(format!(
            "found magic number {:#010x}, wanted 0x00000803 of IDX images, or a PNG",
            word(0)
        )));
    }
    let (count, rows, columns) = (u64::from(word(4)), u64::from(word(8)), u64::from(word(12)));
    let each = rows * columns;
    let first = index.unwrap_or(0) as u64;
    let wanted = if index.is_some() { 1 } else { count };
    if first + wanted > count {
        return Err(Fault::Format(format!("found {count} images, wanted one at index {first} (from 0)")));
    }
    let Some(bytes) = each.checked_mul(wanted).filter(|bytes| *bytes <= MOST) else {
        return Err(Fault::Format(format!(
            "found {wanted} images of {rows} x {columns} pixels, wanted at most {MOST} pixels"
        )));
    };
    let skip = each.saturating_mul(first);
    let skipped = io::copy(&mut content.by_ref().take(skip), &mut io::sink()).map_err(Fault::Io)?;
    let mut pixels = vec![];
    content.by_ref().take(bytes).read_to_end(&mut pixels).map_err(Fault::Io)?;
    if skipped < skip || (pixels.len() as u64) < bytes {
        let found = skipped + pixels.len() as u64;
        return Err(Fault::Format(format!("cut short: found {found} bytes of pixels, wanted {}", skip + bytes)));
    }
    if index.is_none() && content.take(1).read_to_end(&mut vec![]).map_err(Fault::Io)? > 0 {
        return Err(Fault::Format(format!("found more bytes than {count} images of {rows} x {columns} pixels have")));
    }
    // Both fit: they are factors of a number of bytes that was read.
    Ok(Images {
        rows: rows as usize,
        columns: columns as usize,
        channels: 1,
        pixels,
        first: first as usize,
        numbered: count > 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two images of 1 x 2 pixels.
    const FILE: [u8; 20] = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4];

    fn why(bytes: &[u8], index: Option<usize>) -> String {
        match read(bytes, index) {
            Err(Fault::Format(why)) => why,
            _ => String::new(),
        }
    }

    #[test]
    fn all_images_or_one_of_them_are_read() {
        let all = read(&FILE[..], None).ok().expect("a file");
        assert_eq!(
            (all.rows, all.columns, all.first, all.numbered, &all.pixels[..]),
            (1, 2, 0, true, &[1, 2, 3, 4][..])
        );
        let second = read(&FILE[..], Some(1)).ok().expect("a file");
        assert_eq!((second.first, &second.pixels[..]), (1, &[3, 4][..]));
    }

    #[test]
    fn what_is_no_such_file_is_told() {
        for end in 0..FILE.len() {
            assert!(!why(&FILE[..end], None).is_empty(), "cut at {end}");
        }
        assert!(why(&[&FILE[..], &[5]].concat(), None).contains("more bytes"));
        assert!(why(&FILE, Some(2)).contains("index 2"));
        let mut huge = FILE;
        huge[4..16].fill(0xff);
        assert!(why(&huge, None).contains("at most"), "{}", why(&huge, None));
        assert!(why(&huge, Some(7)).contains("at most"));
        huge[3] = 1;
        assert!(why(&huge, None).contains("0x00000801"));
    }
}
