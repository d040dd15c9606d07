//! Buffers cut into pieces that the threads write by themselves.

use super::layout::Layout;
use crate::lanes::{LANES, Lanes};
use std::ops::Range;

/// Some channels of some blocks.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    /// The first block.
    pub block: usize,
    /// The channels.
    pub channels: Range<usize>,
    /// Of each block its own channels, `[channel][plane]`.
    pub values: Vec<&'a mut [Lanes]>,
}

/// Images of a block, given those of the batch.
pub(super) fn images_of(block: usize, images: usize) -> usize {
    images.saturating_sub(block * LANES).min(LANES)
}

/// The lanes of a block that hold images, given those of the batch.
pub(super) fn lanes_of(block: usize, images: usize) -> u16 {
    u16::MAX.checked_shr((LANES - images_of(block, images)) as u32).unwrap_or(0)
}

/// Ranges of about equal length whose ends are multiples of `unit`; at most `count` of them, and none of 0.
pub(super) fn ranges(total: usize, unit: usize, count: usize) -> Vec<Range<usize>> {
    let units = total.div_ceil(unit);
    let count = count.clamp(1, units.max(1));
    let end = |part: usize| (units * part / count * unit).min(total);
    (0..count).map(|part| end(part)..end(part + 1)).filter(|own| !own.is_empty()).collect()
}

/// Pieces of `each` blocks, and of these ranges of channels, which cover all of them.
pub(super) fn pieces<'a>(
    values: &'a mut [Lanes],
    layout: &Layout,
    each: usize,
    channels: &[Range<usize>],
) -> Vec<Piece<'a>> {
    let (block, plane) = (layout.block(), layout.plane());
    let mut found = vec![];
    for (group, blocks) in values.chunks_mut(block * each).enumerate() {
        let first = found.len();
        let empty = |own: &Range<usize>| Piece { block: group * each, channels: own.clone(), values: vec![] };
        found.extend(channels.iter().map(empty));
        for own in blocks.chunks_exact_mut(block) {
            let mut rest = own;
            for piece in &mut found[first..] {
                let (head, tail) = rest.split_at_mut(piece.channels.len() * plane);
                piece.values.push(head);
                rest = tail;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_everything_once() {
        assert_eq!(ranges(16, 6, 2), [0..6, 6..16]);
        assert_eq!(ranges(16, 1, 3), [0..5, 5..10, 10..16]);
        assert_eq!(ranges(3, 1, 8), [0..1, 1..2, 2..3]);
        assert_eq!(ranges(7, 8, 4), vec![0..7]);
    }

    #[test]
    fn a_piece_has_its_channels_of_each_block() {
        let layout = Layout::of(&[3, 1, 2]);
        let mut values: Vec<Lanes> = (0..18).map(|place| Lanes([place as f32; 16])).collect();
        let found = pieces(&mut values, &layout, 2, &[0..1, 1..3]);
        let firsts: Vec<(usize, Vec<f32>)> =
            found.iter().map(|own| (own.block, own.values.iter().map(|values| values[0].0[0]).collect())).collect();
        assert_eq!(firsts, [(0, vec![0.0, 6.0]), (0, vec![2.0, 8.0]), (2, vec![12.0]), (2, vec![14.0])]);
    }
}
