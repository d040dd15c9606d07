//! How one image is cut into tiles, one for each lane: a kernel that computes sixteen images side by side then computes
//! sixteen tiles of one. Pure.
//!
//! An image of 4x4 in a grid of 2x2 tiles, whose first vector is `a c i k` and whose second is `b d j l`:
//!
//! ```text
//! a b | c d
//! e f | g h
//! ----+----
//! i j | k l
//! m n | o p
//! ```
//!
//! A convolution of stride 2 reads, for the tile of a lane, pixels of the tile of the same lane, if tiles before it have
//! twice the side: so the sides of values that are computed from each other follow from the strides between them. What
//! lies beyond a tile stands in its margins (`margins.rs`).

use crate::lanes::LANES;
use crate::train::graph::layout::Layout;

/// How an image is cut. The sides of a tile are those of the value's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tiling {
    /// Rows and columns of tiles: lane `i * grid[1] + j` holds the tile in row `i` and column `j`.
    pub grid: [usize; 2],
    /// Height and width of the image.
    pub image: [usize; 2],
    /// How many features it is, where sixteen of them stand in a vector, and not tiles.
    pub packed: Option<usize>,
}

impl Tiling {
    /// Of so many features, sixteen in a vector.
    pub(super) fn packed(features: usize) -> Self {
        Self { grid: [1, 1], image: [1, 1], packed: Some(features) }
    }

    /// Whether sixteen features stand in a vector.
    pub(super) fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// The lanes whose tile has a pixel of the image at a row and a column of the tile, which may lie in its margins.
    pub(super) fn mask(&self, layout: &Layout, row: isize, column: isize) -> u16 {
        let inside = |axis: usize, tile: usize, side: usize, index: isize| {
            (0..self.image[axis] as isize).contains(&((tile * side) as isize + index))
        };
        (0..self.grid[0] * self.grid[1]).fold(0, |bits, lane| {
            let [i, j] = [lane / self.grid[1], lane % self.grid[1]];
            let own = inside(0, i, layout.height, row) && inside(1, j, layout.width, column);
            bits | (u16::from(own) << lane)
        })
    }

    /// The lanes that hold a tile.
    pub(super) fn lanes(&self) -> u16 {
        let count = self.grid[0] * self.grid[1];
        u16::MAX >> (LANES - count)
    }

    /// Vector and lane of the value that is the `index`-th of an image, row-major.
    pub(super) fn place(&self, layout: &Layout, index: usize) -> [usize; 2] {
        if self.is_packed() {
            return [index / LANES, index % LANES];
        }
        let (pixels, width) = (self.image[0] * self.image[1], self.image[1]);
        let (channel, row, column) = (index / pixels, index % pixels / width, index % width);
        let vector = channel * layout.plane() + layout.at(row % layout.height, column % layout.width);
        [vector, row / layout.height * self.grid[1] + column / layout.width]
    }

    /// Values of an image.
    pub(super) fn values(&self, layout: &Layout) -> usize {
        self.packed.unwrap_or(layout.channels * self.image[0] * self.image[1])
    }
}

/// Two values of which one is computed from the other, tile by tile: where both images have several tiles on an axis, a tile
/// of the first has `stride` times the side of one of the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub from: usize,
    pub to: usize,
    pub stride: [usize; 2],
    /// Rows and columns of the first that a pixel of the second reads, less one.
    pub reach: [usize; 2],
    /// Products that a pixel of the second takes, over all of its channels.
    pub work: usize,
}

/// What is found for a value: its tiling, and the height and width of a tile.
pub(super) type Cut = (Tiling, [usize; 2]);

/// The cut of each value, of those that fit together the one that seems to cost least.
pub(super) fn cuts(layouts: &[Layout], links: &[Link]) -> Vec<Cut> {
    let images: Vec<[usize; 2]> = layouts.iter().map(|own| [own.height, own.width]).collect();
    let mut links_of: Vec<Vec<&Link>> = vec![vec![]; images.len()];
    for link in links {
        links_of[link.from].push(link);
        links_of[link.to].push(link);
    }
    let mut found: Vec<Option<Cut>> = vec![None; images.len()];
    // Of each value where it stands in its component.
    let mut place = vec![usize::MAX; images.len()];
    for first in 0..images.len() {
        if found[first].is_some() {
            continue;
        }
        let (members, ratios) = component(first, &links_of, &mut place);
        let own: Vec<&Link> =
            links.iter().filter(|link| place[link.from] != usize::MAX && found[link.from].is_none()).collect();
        let mut best: Option<(f64, Vec<Cut>)> = None;
        for rows in 1..=LANES {
            for columns in 1..=LANES / rows {
                let Some(cuts) = cut(&members, &images, &ratios, [rows, columns]) else { continue };
                let cost = cost(layouts, own.iter().copied(), |value| cuts[place[value]].1, MARGIN);
                if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                    best = Some((cost, cuts));
                }
            }
        }
        let (_, cuts) = best.expect("a single tile always fits");
        members.into_iter().zip(cuts).for_each(|(value, cut)| found[value] = Some(cut));
    }
    found.into_iter().map(|own| own.expect("every value is in a component")).collect()
}

/// What writing a vector of a margin costs, in products.
pub(super) const MARGIN: f64 = 4.0;
/// The density that a layer is taken to have: what is worth choosing well is sparse.
pub(super) const DENSITY: f64 = 0.1;

/// About what it costs to compute the values that are linked to others, in products of vectors.
pub(super) fn cost<'a>(
    layouts: &[Layout],
    links: impl IntoIterator<Item = &'a Link>,
    sides: impl Fn(usize) -> [usize; 2],
    margin: f64,
) -> f64 {
    let one = |link: &Link| {
        let [height, width] = sides(link.to).map(|own| own as f64);
        let [rows, columns] = sides(link.from).map(|own| own as f64);
        let [above, beside] = link.reach.map(|own| own as f64);
        let around = (rows + above) * (columns + beside) - rows * columns;
        height * width * (link.work as f64 * DENSITY + layouts[link.to].channels as f64)
            + margin * around * layouts[link.from].channels as f64
    };
    links.into_iter().map(one).sum()
}

/// The sides of all members in a grid; `None` where they do not fit together.
fn cut(
    members: &[usize],
    images: &[[usize; 2]],
    ratios: &[Option<Vec<usize>>; 2],
    grid: [usize; 2],
) -> Option<Vec<Cut>> {
    let sides = |axis: usize| -> Option<Vec<usize>> {
        let image = members.iter().map(|value| images[*value][axis]);
        if grid[axis] == 1 {
            return Some(image.collect());
        }
        let ratios = ratios[axis].as_ref()?;
        let least = image.zip(ratios).map(|(side, ratio)| Some(side.div_ceil(ratio.checked_mul(grid[axis])?)));
        let unit = least.collect::<Option<Vec<usize>>>()?.into_iter().max()?;
        ratios.iter().map(|ratio| ratio.checked_mul(unit)).collect()
    };
    let sides = sides(0)?.into_iter().zip(sides(1)?);
    let of =
        |(value, (height, width)): (&usize, _)| (Tiling { grid, image: images[*value], packed: None }, [height, width]);
    Some(members.iter().zip(sides).map(of).collect())
}

/// The values that are linked with one, itself included, and on each axis how the sides of their tiles stand to each other
/// when there are several; `None` where no sides fit.
fn component(first: usize, links_of: &[Vec<&Link>], place: &mut [usize]) -> (Vec<usize>, [Option<Vec<usize>>; 2]) {
    let (mut members, mut sides) = (vec![first], [Some(vec![Ratio::ONE]), Some(vec![Ratio::ONE])]);
    place[first] = 0;
    let mut done = 0;
    while done < members.len() {
        for link in &links_of[members[done]] {
            let forward = link.from == members[done];
            let next = if forward { link.to } else { link.from };
            if place[next] == usize::MAX {
                place[next] = members.len();
                members.push(next);
            }
            for (axis, sides) in sides.iter_mut().enumerate() {
                let Some(own) = sides else { continue };
                let side = own[done].scaled(link.stride[axis], forward);
                match (side, own.get(place[next])) {
                    (Some(side), None) => own.push(side),
                    (Some(side), Some(known)) if side == *known => {}
                    _ => *sides = None,
                }
            }
        }
        done += 1;
    }
    (members, sides.map(|own| whole(&own?)))
}

/// A positive fraction in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ratio(usize, usize);

impl Ratio {
    const ONE: Self = Self(1, 1);

    /// Divided by so much, or multiplied with it; `None` when it is too large.
    fn scaled(self, by: usize, divided: bool) -> Option<Self> {
        let [mut up, mut down] = [self.0, self.1];
        let own = if divided { &mut down } else { &mut up };
        *own = own.checked_mul(by).filter(|own| *own > 0)?;
        let divisor = common(up, down);
        Some(Self(up / divisor, down / divisor))
    }
}

/// The greatest common divisor.
fn common(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common(b, a % b) }
}

/// The smallest whole numbers of these ratios; `None` when they are too large.
fn whole(ratios: &[Ratio]) -> Option<Vec<usize>> {
    let multiple = |all: usize, own: &Ratio| (all / common(all, own.1)).checked_mul(own.1);
    let all = ratios.iter().try_fold(1, multiple)?;
    let own: Vec<usize> = ratios.iter().map(|own| (all / own.1).checked_mul(own.0)).collect::<Option<_>>()?;
    let divisor = own.iter().fold(0, |divisor, own| common(*own, divisor));
    Some(own.into_iter().map(|own| own / divisor).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(from: usize, to: usize, stride: usize) -> Link {
        Link { from, to, stride: [stride; 2], reach: [2; 2], work: 144 }
    }

    #[test]
    fn sides_follow_from_strides() {
        let layouts = [32, 32, 16, 8, 1].map(|side| Layout::of(&[16, side, side]));
        let links = [link(0, 1, 1), link(1, 2, 2), link(2, 3, 2)];
        let sides: Vec<_> = cuts(&layouts, &links).into_iter().map(|(own, sides)| (own.grid, sides)).collect();
        let four = |side: usize| ([4, 4], [side; 2]);
        assert_eq!(sides, [four(8), four(8), four(4), four(2), ([1, 1], [1, 1])]);
    }

    #[test]
    fn what_does_not_fit_together_is_one_tile() {
        // The second value is computed from the first with a stride of 2 and with none.
        let layouts = [8, 8].map(|side| Layout::of(&[1, side, side]));
        let found = cuts(&layouts, &[link(0, 1, 1), link(0, 1, 2)]);
        assert_eq!(found.iter().map(|own| own.1).collect::<Vec<_>>(), [[8; 2]; 2]);
        let huge = cuts(&layouts, &[link(0, 1, usize::MAX), link(1, 0, usize::MAX)]);
        assert_eq!(huge[0].0.grid, [1, 1]);
    }

    #[test]
    fn a_pixel_has_a_vector_and_a_lane() {
        // 3 x 5 pixels in a grid of 2 x 2 tiles of 2 x 3, without margins.
        let tiling = Tiling { grid: [2, 2], image: [3, 5], packed: None };
        let layout = Layout { height: 2, width: 3, ..Layout::of(&[2, 3, 5]) };
        let place = |row: usize, column: usize| tiling.place(&layout, 15 + row * 5 + column);
        assert_eq!([place(0, 0), place(0, 4), place(2, 1), place(1, 3)], [[6, 0], [7, 1], [7, 2], [9, 1]]);
        assert_eq!([tiling.mask(&layout, 0, 0), tiling.mask(&layout, 1, 0)], [0b1111, 0b0011]);
        assert_eq!([tiling.mask(&layout, 0, 2), tiling.mask(&layout, -1, 0)], [0b0101, 0b1100]);
        assert_eq!([tiling.mask(&layout, 2, -1), tiling.mask(&layout, 7, 0)], [0b0010, 0]);
        assert_eq!((tiling.lanes(), tiling.values(&layout)), (0b1111, 30));
    }
}
