//! Bits and bytes in the file's order: little-endian, the lowest bit of a byte first, sections at multiples of four.

use super::Error;

/// A file that is being written.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn u32(&mut self, value: u32) {
        self.bytes.extend(value.to_le_bytes());
    }

    pub(super) fn f32(&mut self, value: f32) {
        self.u32(value.to_bits());
    }

    pub(super) fn f64(&mut self, value: f64) {
        self.bytes.extend(value.to_bits().to_le_bytes());
    }

    /// Some bytes, and zeros up to a multiple of four.
    pub(super) fn section(&mut self, bytes: impl IntoIterator<Item = u8>) {
        self.bytes.extend(bytes);
        self.bytes.resize(padded(self.bytes.len()), 0);
    }

    /// A text: its length, then its bytes.
    pub(super) fn text(&mut self, text: &str, what: &str) -> Result<(), Error> {
        self.u32(to_u32(text.len(), what)?);
        self.section(text.bytes());
        Ok(())
    }
}

/// A size as the file stores it.
pub(super) fn to_u32(size: usize, what: &str) -> Result<u32, Error> {
    let refuse = |_| Error::Limit { what: what.to_owned(), found: size as u64, wanted: u32::MAX as usize };
    u32::try_from(size).map_err(refuse)
}

/// The next multiple of four.
pub(super) fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// A file that is being read, from a slice that may be a mapped file.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Bytes read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, length: usize, what: &str) -> Result<&'a [u8], Error> {
        let place = self.at;
        let rest = &self.bytes[place..];
        let Some(taken) = rest.get(..length) else {
            return Err(Error::End { place, what: what.to_owned(), found: rest.len(), wanted: length });
        };
        self.at += length;
        Ok(taken)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, Error> {
        let taken = self.take(4, what)?;
        Ok(u32::from_le_bytes([taken[0], taken[1], taken[2], taken[3]]))
    }

    pub(super) fn usize(&mut self, what: &str) -> Result<usize, Error> {
        Ok(self.u32(what)? as usize)
    }

    pub(super) fn f32(&mut self, what: &str) -> Result<f32, Error> {
        Ok(f32::from_bits(self.u32(what)?))
    }

    pub(super) fn f64(&mut self, what: &str) -> Result<f64, Error> {
        let low = self.u32(what)?;
        Ok(f64::from_bits(u64::from(self.u32(what)?) << 32 | u64::from(low)))
    }

    /// What [`Writer::section`] wrote: `length` bytes, and zeros up to a multiple of four.
    pub(super) fn section(&mut self, length: usize, what: &str) -> Result<&'a [u8], Error> {
        let taken = self.take(length, what)?;
        let padding = self.take(padded(self.at) - self.at, what)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(self.field(what, "followed by other bytes", "padding of zeros"));
        }
        Ok(taken)
    }

    pub(super) fn text(&mut self, what: &str) -> Result<String, Error> {
        let length = self.usize(what)?;
        let bytes = self.section(length, what)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.field(what, "other bytes", "UTF-8"))?;
        Ok(text.to_owned())
    }

    /// An error about what has just been read.
    pub(super) fn field(&self, what: &str, found: impl ToString, wanted: impl ToString) -> Error {
        Error::Field { place: self.at, what: what.to_owned(), found: found.to_string(), wanted: wanted.to_string() }
    }
}

/// Bits that are being written.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    used: usize,
}

impl BitWriter {
    /// The lowest `count` bits of `value`, lowest first.
    pub(super) fn push(&mut self, value: u32, count: u32) {
        for bit in 0..count {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            self.bytes[self.used / 8] |= ((value >> bit & 1) as u8) << (self.used % 8);
            self.used += 1;
        }
    }

    /// The bytes; the last one's unused bits are zero.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Bits that are being read.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    used: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, used: 0 }
    }

    /// The next bit; `None` at the end.
    pub(super) fn bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.used / 8)?;
        self.used += 1;
        Some(byte >> ((self.used - 1) % 8) & 1 == 1)
    }

    /// The next `count` bits, lowest first; `None` when there are fewer.
    pub(super) fn bits(&mut self, count: u32) -> Option<u64> {
        (0..count).try_fold(0, |value, bit| Some(value | u64::from(self.bit()?) << bit))
    }

    /// Whether less than a byte is left, and all of it zero.
    pub(super) fn is_done(&self) -> bool {
        let rest = self.bytes.last().map_or(0, |last| u32::from(*last) >> ((self.used + 7) % 8 + 1));
        self.used.div_ceil(8) == self.bytes.len() && rest == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_fill_bytes_from_the_lowest() {
        let mut writer = BitWriter::default();
        writer.push(0b01, 2);
        writer.push(0b1_0110_1011, 9);
        let bytes = writer.into_bytes();
        assert_eq!(bytes, [0b1010_1101, 0b101]);
        let mut reader = BitReader::new(&bytes);
        assert_eq!((reader.bits(2), reader.bits(9)), (Some(1), Some(0b1_0110_1011)));
        assert_eq!(reader.bits(6), None);
    }

    #[test]
    fn a_section_ends_at_a_multiple_of_four_and_its_padding_is_zero() {
        let mut writer = Writer::default();
        writer.section([7, 8, 9, 10, 11]);
        assert_eq!(writer.bytes, [7, 8, 9, 10, 11, 0, 0, 0]);
        let mut reader = Reader::new(&writer.bytes, 0);
        assert_eq!((reader.section(5, "five"), reader.left()), (Ok(&[7, 8, 9, 10, 11][..]), 0));
        writer.bytes[6] = 1;
        let error = Reader::new(&writer.bytes, 0).section(5, "five").expect_err("not zero");
        assert_eq!(error.to_string(), "byte 8: five is followed by other bytes, wanted padding of zeros");
        let error = Reader::new(&writer.bytes, 4).section(5, "five").expect_err("too short");
        assert_eq!(error.to_string(), "byte 4: five takes 5 bytes, the file has 4 more");
    }
}
