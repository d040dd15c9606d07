//! Seeded augmentation: what is made of a training image is a function of (seed, epoch, index) alone, so that a resumed run sees
//! the same images.

use crate::seed::{Stream, stream};
use serde::{Deserialize, Serialize};

/// How training images are varied. In a config: `augment = { crop = 4, flip = true }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Black pixels added on each side before a part of the image's own size is cut out at random.
    pub crop: usize,
    /// Whether every other image, at random, is mirrored left to right.
    pub flip: bool,
    /// Pixels by which an image is moved at most, each way; what enters repeats the border.
    pub shift: usize,
    /// Side of a square at a random place that is set to the mean; 0 for none (DeVries and Taylor, 2017).
    pub cutout: usize,
}

impl Augment {
    /// What is wrong with it for images of this size, if anything.
    pub(crate) fn fault(&self, [_, rows, columns]: [usize; 3]) -> Option<String> {
        let side = rows.min(columns);
        for (key, found) in [("crop", self.crop), ("shift", self.shift), ("cutout", self.cutout)] {
            if found > side {
                return Some(format!("{key} is {found}, expected at most {side}, the shorter side of an image"));
            }
        }
        (*self == Self::default())
            .then(|| "found nothing that varies images, expected a crop, flip, shift or cutout".into())
    }
}

/// What is done to one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Where the image's first row and column come from, and whether what lies outside repeats the border.
    crop: [isize; 2],
    shift: [isize; 2],
    flip: bool,
    /// First row and column, and the side, of a square that is set to the mean.
    cutout: Option<([isize; 2], isize)>,
}

impl Change {
    /// That of image `index` in an epoch.
    pub(super) fn of(augment: &Augment, [_, rows, columns]: [usize; 3], seed: u64, epoch: u64, index: u32) -> Self {
        let numbers = &mut stream(seed, "augment", epoch << 32 | u64::from(index));
        let around = |most: usize, numbers: &mut Stream| numbers.below(2 * most as u64 + 1) as isize - most as isize;
        let both = |most: usize, numbers: &mut Stream| match most {
            0 => [0; 2],
            _ => [around(most, numbers), around(most, numbers)],
        };
        let (crop, shift) = (both(augment.crop, numbers), both(augment.shift, numbers));
        let flip = augment.flip && numbers.below(2) == 1;
        // The square's middle lies within the image, its corners may not.
        let side = augment.cutout as isize;
        let cutout = (side > 0).then(|| {
            let corner = [rows, columns].map(|sides| numbers.below(sides as u64) as isize - side / 2);
            (corner, side)
        });
        Self { crop, shift, flip, cutout }
    }

    /// Writes the changed image of one channel; `black` and `mean` are what enters.
    pub(super) fn apply<T: Copy>(&self, plane: &[T], [rows, columns]: [usize; 2], black: T, mean: T, out: &mut Vec<T>) {
        let (high, wide) = (rows as isize, columns as isize);
        for row in 0..high {
            for column in 0..wide {
                if let Some(([top, left], side)) = self.cutout
                    && (top..top + side).contains(&row)
                    && (left..left + side).contains(&column)
                {
                    out.push(mean);
                    continue;
                }
                let across = if self.flip { wide - 1 - column } else { column };
                let (y, x) = (row + self.crop[0], across + self.crop[1]);
                if !(0..high).contains(&y) || !(0..wide).contains(&x) {
                    out.push(black);
                    continue;
                }
                let (y, x) = ((y + self.shift[0]).clamp(0, high - 1), (x + self.shift[1]).clamp(0, wide - 1));
                out.push(plane[(y * wide + x) as usize]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLANE: [u8; 6] = [1, 2, 3, 4, 5, 6];
    const STILL: Change = Change { crop: [0; 2], shift: [0; 2], flip: false, cutout: None };

    fn changed(change: Change) -> Vec<u8> {
        let mut out = vec![];
        change.apply(&PLANE, [2, 3], 0, 9, &mut out);
        out
    }

    #[test]
    fn each_change_by_hand() {
        assert_eq!(changed(STILL), PLANE);
        assert_eq!(changed(Change { flip: true, ..STILL }), [3, 2, 1, 6, 5, 4]);
        assert_eq!(changed(Change { crop: [1, -1], ..STILL }), [0, 4, 5, 0, 0, 0]);
        assert_eq!(changed(Change { shift: [1, -1], ..STILL }), [4, 4, 5, 4, 4, 5]);
        assert_eq!(changed(Change { cutout: Some(([-1, 1], 2)), ..STILL }), [1, 9, 9, 4, 5, 6]);
    }

    #[test]
    fn a_change_is_a_function_of_seed_epoch_and_index() {
        let augment = Augment { crop: 2, flip: true, shift: 1, cutout: 2 };
        let of = |seed, epoch, index| Change::of(&augment, [1, 8, 8], seed, epoch, index);
        assert_eq!(of(1, 2, 3), of(1, 2, 3));
        let many = |seed, epoch| (0..50).map(|index| of(seed, epoch, index)).collect::<Vec<_>>();
        assert_ne!(many(1, 2), many(1, 3));
        assert_ne!(many(1, 2), many(2, 2));
        let all: Vec<Change> = (0..2_000).map(|index| of(1, 0, index)).collect();
        let flips = all.iter().filter(|own| own.flip).count();
        assert!((900..1_100).contains(&flips), "{flips}");
        for offset in -2..=2 {
            assert!(all.iter().filter(|own| own.crop[0] == offset).count() > 300, "{offset}");
        }
        assert!(all.iter().all(|own| own.shift[1].abs() <= 1));
    }

    #[test]
    fn what_does_not_fit_an_image_is_told() {
        let fault = |own: Augment| own.fault([3, 8, 6]);
        assert!(fault(Augment::default()).is_some());
        assert_eq!(fault(Augment { crop: 6, ..Augment::default() }), None);
        let told = fault(Augment { cutout: 7, ..Augment::default() }).expect("too large");
        assert_eq!(told, "cutout is 7, expected at most 6, the shorter side of an image");
    }
}
