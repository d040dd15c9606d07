//! The rows, or the columns, of a matrix: all of them, or the live ones by a bitmap.

use super::Error;
use super::bits::{Reader, Writer, padded};

/// Which rows, or columns, can have values.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Axis {
    /// All of this many.
    All(usize),
    /// Some.
    Live {
        /// How many there are in all.
        length: usize,
        /// The live ones, ascending; fewer than all.
        live: Vec<u32>,
    },
}

impl Axis {
    /// The ways to store which are alive: that all count as live and, if it is another way, a bitmap.
    pub(super) fn candidates(alive: &[bool]) -> Vec<Self> {
        let length = alive.len();
        let live: Vec<u32> = (0u32..).zip(alive).filter(|(_, alive)| **alive).map(|(place, _)| place).collect();
        if live.len() == length {
            vec![Self::All(length)]
        } else {
            vec![Self::All(length), Self::Live { length, live }]
        }
    }

    /// How many there are.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::All(length) | Self::Live { length, .. } => *length,
        }
    }

    /// How many count as live.
    pub(super) fn live(&self) -> usize {
        match self {
            Self::All(length) => *length,
            Self::Live { live, .. } => live.len(),
        }
    }

    /// Whether the file tells which are live.
    pub(super) fn is_told(&self) -> bool {
        matches!(self, Self::Live { .. })
    }

    /// The place among all of one among the live ones.
    pub(super) fn whole(&self, own: usize) -> usize {
        match self {
            Self::All(_) => own,
            Self::Live { live, .. } => live[own] as usize,
        }
    }

    /// The place among the live ones of each; of a dead one, anything.
    pub(super) fn inverse(&self) -> Vec<u32> {
        match self {
            Self::All(length) => (0..*length as u32).collect(),
            Self::Live { length, live } => {
                let mut own = vec![0; *length];
                (0u32..).zip(live).for_each(|(place, whole)| own[*whole as usize] = place);
                own
            }
        }
    }

    /// Bytes in the file.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::All(_) => 0,
            Self::Live { length, .. } => padded(length.div_ceil(8)),
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        if let Self::Live { length, live } = self {
            writer.section(bitmap(*length, live));
        }
    }

    /// Reads what [`Axis::write`] wrote, when `live` of `length` are live.
    pub(super) fn read(length: usize, live: usize, what: &str, reader: &mut Reader<'_>) -> Result<Self, Error> {
        if live == length {
            return Ok(Self::All(length));
        }
        let what = format!("the live rows or columns of {what}");
        if live > length {
            return Err(reader.field(&what, live, format!("at most {length}")));
        }
        let bytes = reader.section(length.div_ceil(8), &what)?;
        match places(bytes, length).filter(|places| places.len() == live) {
            Some(live) => Ok(Self::Live { length, live }),
            None => Err(reader.field(&what, "another bitmap", format!("{live} bits of {length}"))),
        }
    }
}

/// One bit for each of `length` places, set for the given ones.
pub(super) fn bitmap(length: usize, places: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0; length.div_ceil(8)];
    places.iter().for_each(|place| bytes[*place as usize / 8] |= 1 << (place % 8));
    bytes
}

/// The places that are set in a bitmap; `None` when it has another length, or a bit behind its end is set.
pub(super) fn places(bytes: &[u8], length: usize) -> Option<Vec<u32>> {
    if bytes.len() != length.div_ceil(8) {
        return None;
    }
    let count = bytes.iter().map(|byte| byte.count_ones() as usize).sum();
    let mut set = Vec::with_capacity(count);
    for (at, byte) in (0u32..).zip(bytes) {
        set.extend((0..8).filter(|bit| byte >> bit & 1 == 1).map(|bit| 8 * at + bit));
    }
    set.last().is_none_or(|last| (*last as usize) < length).then_some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_tells_the_live_ones_and_nothing_behind_its_end() {
        let [all, live] = &Axis::candidates(&[false, true, true, false, false, false, false, false, true])[..] else {
            panic!("two ways");
        };
        assert_eq!((all.live(), live.live(), live.bytes()), (9, 3, 4));
        assert_eq!((live.whole(2), live.inverse()[8]), (8, 2));
        let mut writer = Writer::default();
        live.write(&mut writer);
        assert_eq!(writer.bytes, [0b0000_0110, 1, 0, 0]);
        let read = |bytes: &[u8], count| Axis::read(9, count, "`w`", &mut Reader::new(bytes, 0));
        assert_eq!(read(&writer.bytes, 3).as_ref(), Ok(live));
        assert_eq!(read(&[], 9), Ok(Axis::All(9)));
        for (bytes, count) in [([6, 1, 0, 0], 2), ([6, 2, 0, 0], 3), ([6, 1, 1, 0], 3), ([6, 1, 0, 0], 10)] {
            assert!(read(&bytes, count).is_err(), "{bytes:?}, {count}");
        }
    }

    #[test]
    fn when_all_live_nothing_is_stored() {
        assert_eq!(Axis::candidates(&[true; 3]), [Axis::All(3)]);
        assert_eq!(Axis::All(3).bytes(), 0);
    }
}
