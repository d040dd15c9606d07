//! A shape cut into tiles of the same steps, and how to go through its elements row by row.

/// A shape cut into tiles of `steps`; tiles are numbered row-major, which is also the order of their first elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Outermost first. Within the outermost one, neighbours that are cut as one are one, so that rows are long.
    axes: Vec<Axis>,
    /// Elements of the first group, which no other exceeds.
    largest: usize,
    /// Whether all groups are as large.
    even: bool,
}

/// `size` elements in tiles of `step`, of which the last may be shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Axis {
    size: usize,
    step: usize,
    tiles: usize,
}

impl Tiling {
    pub(crate) fn new(shape: &[usize], steps: &[usize]) -> Self {
        let empty = shape.contains(&0);
        let mut cuts: Vec<(usize, usize)> = vec![];
        for (&size, &step) in shape.iter().zip(steps).filter(|(size, _)| **size > 1 && !empty) {
            match &mut cuts[..] {
                [_, .., outer] if step >= size => *outer = (outer.0 * size, outer.1 * size),
                [_, .., outer] if step == 1 && outer.1 == 1 => outer.0 *= size,
                _ => cuts.push((size, step.min(size))),
            }
        }
        if cuts.is_empty() {
            cuts.push((usize::from(!empty), 1));
        }
        let axis = |(size, step): (usize, usize)| Axis { size, step, tiles: size.div_ceil(step) };
        let axes: Vec<Axis> = cuts.into_iter().map(axis).collect();
        let largest = axes.iter().map(|axis| axis.step.min(axis.size)).product();
        let even = axes.iter().all(|axis| axis.size.is_multiple_of(axis.step));
        Self { axes, largest, even }
    }

    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.axes.iter().map(|axis| axis.tiles).product()
    }

    /// Elements of a group.
    pub fn size(&self, group: usize) -> usize {
        self.run(group).0
    }

    /// Elements of the largest group.
    pub fn largest(&self) -> usize {
        self.largest
    }

    /// Calls `visit` with each element's group, in the order of flat indices.
    pub fn walk(&self, mut visit: impl FnMut(usize)) {
        let (length, step) = self.row();
        self.rows(|first| (0..length).for_each(|place| visit(first + place / step)));
    }

    /// Elements of a group, and how many groups from this one on are known to have as many.
    pub(crate) fn run(&self, group: usize) -> (usize, usize) {
        if self.even {
            return (self.largest, self.groups() - group);
        }
        let (mut rest, mut size, mut run) = (group, 1, 1);
        for (axis, inner) in self.axes.iter().rev().zip(0..) {
            let place = rest % axis.tiles;
            rest /= axis.tiles;
            let own = axis.step.min(axis.size - place * axis.step);
            size *= own;
            if inner == 0 && own == axis.step {
                // The whole tiles of a row are alike.
                run = axis.size / axis.step - place;
            }
        }
        (size, run)
    }

    /// Elements of a row of neighbours, and how many of them belong to one group before the next begins.
    pub(crate) fn row(&self) -> (usize, usize) {
        let Axis { size, step, .. } = self.axes[self.axes.len() - 1];
        (size, step)
    }

    /// Calls `visit` with the first group of each row, in the order of flat indices.
    pub(crate) fn rows(&self, mut visit: impl FnMut(usize)) {
        if self.groups() > 0 {
            rows(&self.axes, 0, &mut visit);
        }
    }

    /// Groups that the rows meet before they come to others for good: those of one tile of the outermost axis.
    pub(crate) fn band(&self) -> usize {
        match &self.axes[..] {
            [row] => row.tiles,
            [_, inner @ ..] => inner.iter().map(|axis| axis.tiles).product(),
            [] => 0,
        }
    }
}

fn rows(axes: &[Axis], first: usize, visit: &mut impl FnMut(usize)) {
    let [axis, inner @ ..] = axes else { return };
    if inner.is_empty() {
        return visit(first);
    }
    let groups: usize = inner.iter().map(|axis| axis.tiles).product();
    for tile in 0..axis.tiles {
        for _ in 0..axis.step.min(axis.size - tile * axis.step) {
            rows(inner, first + tile * groups, visit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tile of each element: places on the axes, divided.
    fn by_division(shape: &[usize], steps: &[usize]) -> Vec<usize> {
        let tile = |mut index: usize| {
            let (mut tile, mut tiles) = (0, 1);
            for (size, step) in shape.iter().zip(steps).rev() {
                tile += index % size / step * tiles;
                (index, tiles) = (index / size, tiles * size.div_ceil(*step));
            }
            tile
        };
        (0..shape.iter().product()).map(tile).collect()
    }

    #[test]
    fn rows_and_runs_agree_with_division() {
        let sizes = [0, 1, 2, 3, 5, 8];
        let steps = [1, 2, 3, 100];
        for case in 0..(sizes.len() * steps.len()).pow(3) {
            let pick = |axis: u32| case / (sizes.len() * steps.len()).pow(axis) % (sizes.len() * steps.len());
            let axes: Vec<(usize, usize)> =
                (0..3).map(|axis| (sizes[pick(axis) % sizes.len()], steps[pick(axis) / sizes.len()])).collect();
            let (shape, steps): (Vec<usize>, Vec<usize>) = axes.into_iter().unzip();
            let tiling = Tiling::new(&shape, &steps);
            let mut found = vec![];
            tiling.walk(|group| found.push(group));
            let expected = by_division(&shape, &steps);
            assert_eq!(found, expected, "{shape:?} by {steps:?}");
            let mut sizes = vec![0; tiling.groups()];
            expected.iter().for_each(|group| sizes[*group] += 1);
            assert_eq!(tiling.largest(), sizes.iter().copied().max().unwrap_or(0));
            for group in 0..tiling.groups() {
                let (size, run) = tiling.run(group);
                assert!(run > 0 && sizes[group..group + run].iter().all(|own| *own == size), "{shape:?} by {steps:?}");
            }
            // Once the rows have left a band they do not come back to it.
            let bands: Vec<usize> = found.iter().map(|group| group / tiling.band()).collect();
            assert!(bands.is_sorted(), "{shape:?} by {steps:?}");
        }
    }

    #[test]
    fn rows_are_as_long_as_they_can_be() {
        // A convolution's filters and input channels, and blocks of two filters.
        assert_eq!(Tiling::new(&[8, 4, 3, 3], &[1, 4, 3, 3]).row(), (36, 36));
        assert_eq!(Tiling::new(&[8, 4, 3, 3], &[8, 1, 3, 3]).row(), (36, 9));
        assert_eq!(Tiling::new(&[8, 4, 3, 3], &[2, 1, 1, 1]).row(), (36, 1));
        assert_eq!(Tiling::new(&[], &[]).groups(), 1);
    }
}
