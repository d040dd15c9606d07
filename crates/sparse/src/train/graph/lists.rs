//! The kept weights of a convolution as lists: of each filter the inputs that it reads, of each input the outputs' gradients
//! that go back to it. Where what they read is more than the caches hold, they are cut by what they read: first the lists of
//! all rows over the first channels, then those over the next ones.

use super::geometry::{Geometry, Phase};

/// Lists of offsets, one for each row, in one vector (CSR).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lists {
    /// The entries of row `r` are `starts[r]..starts[r + 1]`.
    pub starts: Vec<u32>,
    pub offsets: Vec<u32>,
    /// Of each entry the place of its weight among the kept ones.
    pub places: Vec<u32>,
}

impl Lists {
    /// The lists of entries, `(row, offset, place)` in the order of the places.
    fn new(rows: usize, entries: &[(u32, u32, u32)]) -> Self {
        let mut starts = vec![0u32; rows + 1];
        entries.iter().for_each(|(row, ..)| starts[*row as usize + 1] += 1);
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let (mut offsets, mut places) = (vec![0; entries.len()], vec![0; entries.len()]);
        for (row, offset, place) in entries {
            let at = &mut next[*row as usize];
            offsets[*at as usize] = *offset;
            places[*at as usize] = *place;
            *at += 1;
        }
        Self { starts, offsets, places }
    }

    /// Rows, those of all cuts.
    pub(crate) fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// The entries of a row.
    pub(crate) fn of(&self, row: usize) -> std::ops::Range<usize> {
        self.starts[row] as usize..self.starts[row + 1] as usize
    }

    /// The entries of some rows.
    pub(crate) fn of_all(&self, rows: &std::ops::Range<usize>) -> std::ops::Range<usize> {
        self.starts[rows.start] as usize..self.starts[rows.end] as usize
    }

    /// The filters, each with the offsets of its inputs within its group, so many channels at a time: row
    /// `cut * filters + filter`.
    pub(crate) fn forward(geometry: &Geometry, indices: &[u32], offsets: &[u32], channels: usize) -> Self {
        let (columns, filters) = (geometry.columns(), geometry.y.channels);
        let each = channels * geometry.taps();
        let entries: Vec<(u32, u32, u32)> = indices
            .iter()
            .enumerate()
            .map(|(place, index)| {
                let (filter, column) = (*index as usize / columns, *index as usize % columns);
                ((column / each * filters + filter) as u32, offsets[column], place as u32)
            })
            .collect();
        Self::new(filters * columns.div_ceil(each), &entries)
    }

    /// The input channels, each with the offsets of the gradients that go back to it in a phase, so many filters at a time: row
    /// `cut * channels + channel`.
    pub(crate) fn backward(geometry: &Geometry, indices: &[u32], phase: &Phase, each: usize) -> Self {
        let (columns, taps) = (geometry.columns(), geometry.taps());
        let (inputs, filters, plane) = (geometry.inputs(), geometry.filters(), geometry.dy.plane());
        let mut by_tap = vec![None; taps];
        for (tap, offset) in phase.taps.iter().zip(&phase.offsets) {
            by_tap[*tap as usize] = Some(*offset);
        }
        let entry = |(place, index): (usize, &u32)| {
            let (filter, column) = (*index as usize / columns, *index as usize % columns);
            let (channel, tap) = (column / taps, column % taps);
            let (group, filter) = (filter / filters, filter % filters);
            let row = filter / each * geometry.x.channels + group * inputs + channel;
            let offset = (filter * plane) as u32 + by_tap[tap]?;
            Some((row as u32, offset, place as u32))
        };
        let entries: Vec<_> = indices.iter().enumerate().filter_map(entry).collect();
        Self::new(geometry.x.channels * filters.div_ceil(each), &entries)
    }
}
