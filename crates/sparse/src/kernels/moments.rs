//! Mean and variance of a channel in one pass over its values, summed so that few digits are lost.

use super::pointwise::Plane;
use crate::lanes::{LANES, Lanes};
use crate::simd::Vector;

/// Mean of a channel, and sum of squared distances from it, over some of its values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    pub count: f64,
    pub mean: f64,
    pub squares: f64,
}

impl Moments {
    /// Those of both (Chan, Golub and LeVeque, 1979).
    pub(crate) fn merged(self, other: Self) -> Self {
        let count = self.count + other.count;
        if count == 0.0 {
            return self;
        }
        let distance = other.mean - self.mean;
        Self {
            count,
            mean: self.mean + distance * other.count / count,
            squares: self.squares + other.squares + distance * distance * self.count * other.count / count,
        }
    }
}

/// Sums over some rows of a channel of a block, each image by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Distances {
    /// Values of the channel itself: sums of distances from them lose no digits when the mean is far from 0.
    origin: Lanes,
    sums: Lanes,
    squares: Lanes,
}

impl Distances {
    /// None yet; `first` are values of the channel.
    pub(crate) fn from(first: &Lanes) -> Self {
        Self { origin: *first, sums: Lanes::ZERO, squares: Lanes::ZERO }
    }

    /// Adds some rows.
    #[inline(always)]
    pub(crate) fn add<V: Vector>(&mut self, x: Plane<'_>) {
        let origin = V::load(&self.origin);
        let (mut sums, mut squares) = ([V::splat(0.0); 4], [V::splat(0.0); 4]);
        (sums[0], squares[0]) = (V::load(&self.sums), V::load(&self.squares));
        for row in 0..x.grid.rows {
            let (fours, rest) = x.grid.row(x.values, row).as_chunks::<4>();
            for four in fours {
                for own in 0..4 {
                    let distance = V::load(&four[own]).sub(origin);
                    sums[own] = sums[own].add(distance);
                    squares[own] = distance.mul_add(distance, squares[own]);
                }
            }
            for own in rest {
                let distance = V::load(own).sub(origin);
                sums[0] = sums[0].add(distance);
                squares[0] = distance.mul_add(distance, squares[0]);
            }
        }
        sums[0].add(sums[1]).add(sums[2].add(sums[3])).store(&mut self.sums);
        squares[0].add(squares[1]).add(squares[2].add(squares[3])).store(&mut self.squares);
    }

    /// The moments over the first images, when there were so many values of each.
    pub(crate) fn moments(&self, values: usize, images: usize) -> Moments {
        let each = 1.0 / values as f64;
        let (mut means, mut squares) = ([0.0f64; LANES], 0.0f64);
        for image in 0..images {
            let [origin, sum, square] = [self.origin, self.sums, self.squares].map(|own| f64::from(own.0[image]));
            means[image] = origin + sum * each;
            // `max` drops a NaN; the sum keeps it.
            squares += (square - sum * sum * each).max(0.0);
        }
        let means = &means[..images];
        let mean = means.iter().sum::<f64>() / images.max(1) as f64;
        let between: f64 = means.iter().map(|own| (own - mean) * (own - mean)).sum();
        Moments { count: (values * images) as f64, mean, squares: squares + values as f64 * between }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InstructionSet;
    use crate::kernels::pointwise::Grid;
    use crate::simd::{Kernel, dispatch};

    struct Gather<'a>(Grid, &'a [Lanes], usize, usize);

    impl Kernel for Gather<'_> {
        type Output = Moments;

        #[inline(always)]
        fn run<V: Vector>(self) -> Moments {
            let Self(grid, values, images, cut) = self;
            let mut own = Distances::from(&values[grid.start]);
            own.add::<V>(Plane { grid: grid.part(0..cut), values });
            own.add::<V>(Plane { grid: grid.part(cut..grid.rows), values });
            own.moments(grid.rows * grid.columns, images)
        }
    }

    #[test]
    fn a_large_mean_takes_no_digits_from_a_small_variance() {
        // Rows of 7 values stand 9 apart; image after image the values are 4096 + image + 1/16 of 0, 1, 2, 0, 1, 2 ...
        let grid = Grid { rows: 5, columns: 7, start: 10, pitch: 9 };
        let value = |place: usize, image: usize| 4096.0 + image as f64 + (place % 3) as f64 / 16.0;
        let values: Vec<Lanes> =
            (0..60).map(|place| Lanes(std::array::from_fn(|image| value(place, image) as f32))).collect();
        for images in [1, 11, 16] {
            let all: Vec<f64> = (0..images)
                .flat_map(|image| (0..35).map(move |own| value(10 + own / 7 * 9 + own % 7, image)))
                .collect();
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            let squares: f64 = all.iter().map(|own| (own - mean) * (own - mean)).sum();
            for set in InstructionSet::available() {
                for cut in 0..=5 {
                    let found = dispatch(set, Gather(grid, &values, images, cut));
                    assert_eq!(found.count, all.len() as f64);
                    assert!((found.mean - mean).abs() < 1e-9 * mean, "{set:?}: {mean}, {found:?}");
                    assert!((found.squares - squares).abs() < 1e-6 * squares, "{set:?}: {squares}, {found:?}");
                }
            }
        }
    }

    #[test]
    fn moments_of_parts_are_those_of_the_whole() {
        let of = |values: &[f64]| {
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            Moments { count, mean, squares: values.iter().map(|own| (own - mean) * (own - mean)).sum() }
        };
        // The mean is 3, and the squared distances are 4, 1, 0 and 9.
        assert_eq!(of(&[1.0]).merged(of(&[2.0, 3.0, 6.0])), Moments { count: 4.0, mean: 3.0, squares: 14.0 });
        assert_eq!(Moments::default().merged(Moments::default()), Moments::default());
    }
}
