//! What lies around the tiles of an image: pixels of the tiles beside them, and zeros outside the image (of bytes, those that hold 0).

use super::tiling::Tiling;
use crate::kernels::margins::{Fills, Move};
use crate::train::graph::layout::{Layout, Margins};

/// What is written into a channel once its values are computed, in this order: into tiles where they reach over the end of the
/// image what lies `outside` of it, which are bits of a lane, then the margins.
pub(super) fn fills(layout: &Layout, tiling: &Tiling, outside: u32) -> Fills {
    let (height, width) = (layout.height as isize, layout.width as isize);
    let mut found = Fills { outside, ..Fills::default() };
    let mut push = |vectors: [usize; 2], ahead: isize, mask: u16| {
        let (by, vectors) = (moved(ahead, mask), vectors.map(|own| own as u32));
        match found.list.iter_mut().find(|own| own.0 == by) {
            Some(own) => own.1.push(vectors),
            None => found.list.push((by, vec![vectors])),
        }
    };
    let mut is_whole = true;
    for row in 0..layout.height {
        for column in 0..layout.width {
            let (to, mask) = (layout.at(row, column), tiling.mask(layout, row as isize, column as isize));
            if mask != tiling.lanes() {
                push([to, to], 0, mask);
                is_whole = false;
            }
        }
    }
    for place in 0..layout.plane() {
        let row = (place / layout.columns()) as isize - layout.margins.top as isize;
        let column = (place % layout.columns()) as isize - layout.margins.left as isize;
        if (0..height).contains(&row) && (0..width).contains(&column) {
            continue;
        }
        let mask = tiling.mask(layout, row, column);
        // The same pixel stands so many rows and columns of tiles further on, in the same vector for all lanes.
        let ahead = row.div_euclid(height) * tiling.grid[1] as isize + column.div_euclid(width);
        let vector = layout.at(row.rem_euclid(height) as usize, column.rem_euclid(width) as usize);
        push([place, vector], if mask == 0 { 0 } else { ahead }, mask);
    }
    let one = Margins { top: 1, bottom: 1, left: 1, right: 1 };
    if is_whole && layout.margins == one && width == height {
        let around = [[-1, -1], [-1, 0], [-1, 1], [0, -1], [0, 1], [1, -1], [1, 0], [1, 1]];
        let beside = |[rows, columns]: [isize; 2]| {
            // A pixel of the margin on that side, or at that corner.
            let at = |way: isize| if way < 0 { -1 } else { way * height };
            moved(rows * tiling.grid[1] as isize + columns, tiling.mask(layout, at(rows), at(columns)))
        };
        found.ring = Some((layout.height, around.map(beside)));
    }
    found
}

/// The lanes that are kept, each so many lanes further on.
fn moved(ahead: isize, mask: u16) -> Move {
    // Those that are kept come from lanes that there are.
    Move { lanes: std::array::from_fn(|lane| (lane as isize + ahead).rem_euclid(16) as u32), mask }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InstructionSet;
    use crate::lanes::{LANES, Lanes};

    #[test]
    fn every_tile_finds_its_surroundings() {
        let cases =
            [([2, 2], [3, 5], [2, 3]), ([4, 4], [8, 8], [2, 2]), ([1, 1], [2, 2], [2, 2]), ([8, 2], [7, 9], [1, 5])];
        for ((grid, image, [height, width]), reach) in cases.into_iter().flat_map(|own| [0, 1, 3].map(|by| (own, by))) {
            let tiling = Tiling { grid, image, packed: None };
            let margins = Margins { top: reach, bottom: 1, left: reach * reach, right: reach };
            let layout = Layout { height, width, margins, ..Layout::of(&[1, image[0], image[1]]) };
            // Every vector is made of NaN, but for the pixels of the image, which count from 1.
            let mut before = vec![Lanes([f32::NAN; LANES]); layout.plane()];
            for index in 0..tiling.values(&layout) {
                let [vector, lane] = tiling.place(&layout, index);
                before[vector].0[lane] = index as f32 + 1.0;
            }
            for (set, outside) in InstructionSet::available().into_iter().flat_map(|set| [(set, 0), (set, 0x4040_4040)])
            {
                let mut plane = before.clone();
                fills(&layout, &tiling, outside).fill(set, layout.plane(), &mut plane);
                for (place, lane) in
                    (0..layout.plane()).flat_map(|place| (0..grid[0] * grid[1]).map(move |own| (place, own)))
                {
                    let tile = [lane / grid[1], lane % grid[1]];
                    let row = (place / layout.columns() + tile[0] * height) as isize - margins.top as isize;
                    let column = (place % layout.columns() + tile[1] * width) as isize - margins.left as isize;
                    let inside = (0..image[0] as isize).contains(&row) && (0..image[1] as isize).contains(&column);
                    let expected =
                        if inside { (row * image[1] as isize + column + 1) as f32 } else { f32::from_bits(outside) };
                    assert_eq!(plane[place].0[lane], expected, "{tiling:?} {layout:?} {place} {lane}");
                }
            }
        }
    }
}
