//! Where a matrix has values: its live rows and columns, and the places within them without them or in a Rice code.

use std::fmt;

use super::Error;
use super::axis::Axis;
use super::bits::{BitReader, BitWriter, Reader, Writer, padded, to_u32};

/// How the places of a tensor's values are stored.
///
/// Two ways are enough. A Rice code without a remainder *is* the bitmap, cut off behind its last value. And compressed sparse
/// rows are never smaller than a Rice code: n values in r rows of c columns have a mean gap of at most rc/n, so a remainder of
/// log2(rc/n) bits, rounded up, takes no more than n (3 + log2 c + log2(r/n)) bits; columns and row ends take n log2 c + 32 r.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not at all: every place of the live rows and columns has a value, be it zero.
    Dense,
    /// The places skipped before each value, in a Rice code.
    Rice {
        /// Bits of the remainder.
        remainder: u32,
    },
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dense => f.write_str("dense"),
            Self::Rice { remainder: 0 } => f.write_str("bitmap"),
            Self::Rice { remainder } => write!(f, "rice-{remainder}"),
        }
    }
}

/// Rice codes: with remainders of 0 to 30 bits.
const RICES: u32 = 31;

/// The places of a matrix that have values.
#[derive(Debug)]
pub(super) struct Positions {
    /// Its rows and its columns.
    pub(super) axes: [Axis; 2],
    pub(super) coding: Coding,
    /// Row-major within the live rows and columns, ascending.
    pub(super) places: Vec<u32>,
}

impl Positions {
    /// The smallest way to store the non-zeros of a `[rows, columns]` matrix whose values take `bits` each.
    pub(super) fn choose([rows, columns]: [usize; 2], nonzero: &[u32], bits: usize) -> Self {
        let mut alive = [vec![false; rows], vec![false; columns]];
        for place in nonzero {
            alive[0][*place as usize / columns] = true;
            alive[1][*place as usize % columns] = true;
        }
        let [rows, columns] = alive.map(|alive| Axis::candidates(&alive));
        let pairs = rows.iter().flat_map(|row| columns.iter().map(move |column| [row, column]));
        let best = pairs.map(|axes| {
            let places = within(axes, nonzero);
            let (bytes, coding) = smallest(axes.map(Axis::live), &places, bits);
            (bytes + axes.map(Axis::bytes).iter().sum::<usize>(), coding, axes, places)
        });
        let (_, coding, axes, mut places) = best.min_by_key(|(bytes, ..)| *bytes).expect("an axis has a candidate");
        if coding == Coding::Dense {
            places = (0..(axes[0].live() * axes[1].live()) as u32).collect();
        }
        Self { axes: axes.map(Axis::clone), coding, places }
    }

    /// The place in the whole matrix, row-major, of a place within the live rows and columns.
    pub(super) fn whole(&self, place: u32) -> usize {
        let [rows, columns] = &self.axes;
        let (row, column) = (place as usize / columns.live(), place as usize % columns.live());
        rows.whole(row) * columns.length() + columns.whole(column)
    }

    /// The row of a place, among the live ones.
    pub(super) fn row(&self, place: u32) -> usize {
        place as usize / self.axes[1].live()
    }

    pub(super) fn write(&self, what: &str, writer: &mut Writer) -> Result<(), Error> {
        let shape = self.axes.each_ref().map(Axis::live);
        let coded = coded(self.coding, &self.places);
        let number = match self.coding {
            Coding::Dense => 0,
            Coding::Rice { remainder } => remainder + 1,
        };
        for field in [number, shape[0] as u32, shape[1] as u32, self.places.len() as u32] {
            writer.u32(field);
        }
        writer.u32(to_u32(coded.len(), what)?);
        self.axes.iter().for_each(|axis| axis.write(writer));
        writer.section(coded);
        Ok(())
    }

    /// Reads what [`Positions::write`] wrote, for values of `bits` each.
    pub(super) fn read(
        [rows, columns]: [usize; 2],
        bits: usize,
        what: &str,
        reader: &mut Reader<'_>,
    ) -> Result<Self, Error> {
        let coding = match reader.u32(&format!("the coding of {what}"))? {
            0 => Coding::Dense,
            number @ 1..=RICES => Coding::Rice { remainder: number - 1 },
            found => return Err(reader.field(&format!("the coding of {what}"), found, format!("0 to {RICES}"))),
        };
        let live =
            [reader.usize(&format!("the live rows of {what}"))?, reader.usize(&format!("the columns of {what}"))?];
        let stored = reader.usize(&format!("the number of values of {what}"))?;
        let bytes = reader.usize(&format!("the length of the positions of {what}"))?;
        let axes = [Axis::read(rows, live[0], what, reader)?, Axis::read(columns, live[1], what, reader)?];
        let cells = live[0] * live[1];
        // Each value follows in the file, so the file's length bounds their number.
        if stored > cells || stored > reader.left().saturating_mul(8) / bits {
            let wanted = format!("at most {cells}, and all of them in the file");
            return Err(reader.field(&format!("the number of values of {what}"), stored, wanted));
        }
        let section = reader.section(bytes, &format!("the positions of {what}"))?;
        let Some(places) = decoded(coding, cells, stored, section) else {
            let wanted = format!("{stored} ascending places, and nothing after them");
            return Err(reader.field(&format!("{bytes} bytes of positions of {what}"), "something else", wanted));
        };
        let positions = Self { axes, coding, places };
        positions.check_live(what, reader)?;
        Ok(positions)
    }

    /// A row or a column that the file calls live has a value.
    fn check_live(&self, what: &str, reader: &Reader<'_>) -> Result<(), Error> {
        let columns = self.axes[1].live();
        for (side, axis) in self.axes.iter().enumerate().filter(|(_, axis)| axis.is_told()) {
            let mut alive = vec![false; axis.live()];
            for place in &self.places {
                let place = *place as usize;
                alive[if side == 0 { place / columns } else { place % columns }] = true;
            }
            if let Some(own) = alive.iter().position(|alive| !alive) {
                let name = ["row", "column"][side];
                return Err(reader.field(&format!("{name} {} of {what}", axis.whole(own)), "empty", "a value"));
            }
        }
        Ok(())
    }
}

/// The places of the whole matrix, counted within its live rows and columns.
fn within([rows, columns]: [&Axis; 2], nonzero: &[u32]) -> Vec<u32> {
    let [own_row, own_column] = [rows.inverse(), columns.inverse()];
    let place = |place: &u32| {
        let (row, column) = (*place as usize / columns.length(), *place as usize % columns.length());
        own_row[row] * columns.live() as u32 + own_column[column]
    };
    nonzero.iter().map(place).collect()
}

/// The coding that takes the fewest bytes, and how many; for dense, the zeros that it stores are counted.
fn smallest([rows, columns]: [usize; 2], places: &[u32], bits: usize) -> (usize, Coding) {
    let cells = rows * columns;
    let zeros = padded((cells * bits).div_ceil(8)) - padded((places.len() * bits).div_ceil(8));
    // The sum over the gaps shrinks by less with every bit, so the first rise is behind the minimum.
    let cost = |remainder: u32| {
        let quotients: usize = gaps(places).map(|gap| (gap >> remainder) as usize).sum();
        quotients + places.len() * (remainder as usize + 1)
    };
    let remainder = (0..RICES - 1).find(|own| cost(*own) <= cost(own + 1)).unwrap_or(RICES - 1);
    let rice = padded(cost(remainder).div_ceil(8));
    if rice < zeros { (rice, Coding::Rice { remainder }) } else { (zeros, Coding::Dense) }
}

/// How many places are skipped before each.
fn gaps(places: &[u32]) -> impl Iterator<Item = u32> {
    let before = std::iter::once(None).chain(places.iter().map(|place| Some(*place)));
    places.iter().zip(before).map(|(place, before)| place - before.map_or(0, |before| before + 1))
}

/// The places in bits: for each gap as many zeros as its quotient, a one, and the remainder.
fn coded(coding: Coding, places: &[u32]) -> Vec<u8> {
    let mut bits = BitWriter::default();
    if let Coding::Rice { remainder } = coding {
        for gap in gaps(places) {
            (0..gap >> remainder).for_each(|_| bits.push(0, 1));
            bits.push(1, 1);
            bits.push(gap, remainder);
        }
    }
    bits.into_bytes()
}

/// The places in a section; `None` when it holds anything but `stored` ascending places below `cells`.
fn decoded(coding: Coding, cells: usize, stored: usize, bytes: &[u8]) -> Option<Vec<u32>> {
    let Coding::Rice { remainder } = coding else {
        return (stored == cells && bytes.is_empty()).then(|| (0..cells as u32).collect());
    };
    let mut bits = BitReader::new(bytes);
    let mut places = Vec::with_capacity(stored);
    let mut next = 0;
    for _ in 0..stored {
        while !bits.bit()? {
            next += 1 << remainder;
            (next < cells as u64).then_some(())?;
        }
        next += bits.bits(remainder)?;
        (next < cells as u64).then(|| places.push(next as u32))?;
        next += 1;
    }
    bits.is_done().then_some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rice_code_by_hand() {
        // 0 1 0
        // 0 0 0
        // 1 0 1
        let bytes = |remainder| coded(Coding::Rice { remainder }, &[1, 6, 8]);
        // Without a remainder, it is the bitmap.
        assert_eq!(bytes(0), [0b0100_0010, 1]);
        // Gaps of 1, 4 and 1; with one bit of remainder 1 1, 001 0 and 1 1, each written from the right.
        assert_eq!(bytes(1), [0b1101_0011]);
    }

    #[test]
    fn every_coding_reads_back_and_refuses_one_byte_less_or_more() {
        let all: Vec<u32> = (0..12).collect();
        for (cells, places) in [(9, vec![1, 6, 8]), (70_000, vec![0, 69_999]), (12, all), (5, vec![])] {
            for coding in [Coding::Dense].into_iter().chain((0..RICES).map(|remainder| Coding::Rice { remainder })) {
                let untold = coding == Coding::Dense && places.len() < cells;
                let bytes = coded(coding, &places);
                let read = |cells, bytes: &[u8]| decoded(coding, cells, places.len(), bytes);
                assert_eq!(read(cells, &bytes), (!untold).then(|| places.clone()), "{coding}");
                assert_eq!(read(cells, &[&bytes[..], &[0]].concat()), None, "{coding}");
                assert!(read(places.last().map_or(0, |last| *last as usize), &bytes).is_none() || places.is_empty());
                if let Some((_, shorter)) = bytes.split_last() {
                    assert_eq!(read(cells, shorter), None, "{coding}");
                }
            }
        }
    }

    #[test]
    fn the_smallest_way_is_taken() {
        let choice = |nonzero: &[u32]| {
            let chosen = Positions::choose([32, 32], nonzero, 16);
            (chosen.coding.to_string(), chosen.axes.map(|axis| axis.live()))
        };
        let all: Vec<u32> = (0..1024).collect();
        assert_eq!(choice(&all), ("dense".to_owned(), [32, 32]));
        // Half of the rows: their bitmap is the smallest way to tell.
        assert_eq!(choice(&all[..512]), ("dense".to_owned(), [16, 32]));
        // One zero costs less as a value than as a bitmap of all places.
        assert_eq!(choice(&all[1..]), ("dense".to_owned(), [32, 32]));
        let half: Vec<u32> = (0..1024).filter(|place| place * place % 7 < 3).collect();
        assert_eq!(choice(&half), ("bitmap".to_owned(), [32, 32]));
        let few: Vec<u32> = (0..1024).step_by(33).collect();
        assert_eq!(choice(&few), ("rice-4".to_owned(), [32, 32]));
        assert_eq!(choice(&[]), ("bitmap".to_owned(), [32, 32]));
    }
}
