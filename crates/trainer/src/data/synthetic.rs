//! A dataset out of a formula, for tests that must learn something in seconds and need no files.
//!
//! Every image is a bar on a noisy ground. The class is the bar's direction, `class * 18` degrees; its tilt, place,
//! brightness and the noise vary, so a class has to be learned and cannot be looked up.

use super::{CLASSES, Dataset, PIXELS, SIDE, Split};
use crate::seed::{Stream, stream};

/// How many images each split gets; classes take turns, so any count is as balanced as it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synthetic {
    /// Images to train on.
    pub train: usize,
    /// Images to choose by.
    pub validation: usize,
    /// Images to test on.
    pub test: usize,
}

/// Draws the dataset; a pure function of its arguments, and an image does not depend on the counts.
///
/// Image `index` of a split has class `index % 10`.
pub fn synthetic(options: &Synthetic, seed: u64) -> Dataset {
    Dataset {
        name: "synthetic".to_owned(),
        train: draw_split(options.train, seed, 0),
        validation: draw_split(options.validation, seed, 1),
        test: draw_split(options.test, seed, 2),
        files: Vec::new(),
    }
}

/// Cosine and sine of `class * 18` degrees. A table, because `sin` may differ in the last bit between machines.
const DIRECTIONS: [[f32; 2]; CLASSES] = [
    [1.0, 0.0],
    [0.951_056_5, 0.309_017],
    [0.809_017, 0.587_785_25],
    [0.587_785_25, 0.809_017],
    [0.309_017, 0.951_056_5],
    [0.0, 1.0],
    [-0.309_017, 0.951_056_5],
    [-0.587_785_25, 0.809_017],
    [-0.809_017, 0.587_785_25],
    [-0.951_056_5, 0.309_017],
];

/// Tangent of the largest tilt, about 6 degrees; at 9 the classes would touch.
const TILT: f32 = 0.1;
/// Farthest that the bar's middle is from the image's, in pixels, each way.
const SHIFT: f32 = 2.0;
/// Half the bar's length, in pixels.
const HALF_LENGTH: f32 = 8.0;
/// Half the bar's width, in pixels; it fades over one more.
const HALF_WIDTH: f32 = 1.0;
/// Brightest noise, of 1.
const NOISE: f32 = 0.5;

fn draw_split(len: usize, seed: u64, split: u64) -> Split {
    let mut pixels = Vec::with_capacity(len * PIXELS);
    let mut labels = Vec::with_capacity(len);
    for index in 0..len {
        let class = index % CLASSES;
        draw(class, &mut stream(seed, "synthetic", split << 32 | index as u64), &mut pixels);
        labels.push(class as u8);
    }
    Split::new(pixels, labels)
}

fn draw(class: usize, random: &mut Stream, pixels: &mut Vec<u8>) {
    let mut around_zero = |most: f32| (random.unit_f32() * 2.0 - 1.0) * most;
    let [cos, sin] = DIRECTIONS[class];
    let tilt = around_zero(TILT);
    let (x, y) = (cos - tilt * sin, sin + tilt * cos);
    let length = (x * x + y * y).sqrt();
    let (x, y) = (x / length, y / length);
    let middle = (SIDE as f32 - 1.0) / 2.0;
    let (column_middle, row_middle) = (middle + around_zero(SHIFT), middle + around_zero(SHIFT));
    let brightness = 0.75 + around_zero(0.25);
    for row in 0..SIDE {
        for column in 0..SIDE {
            let (right, down) = (column as f32 - column_middle, row as f32 - row_middle);
            let along = (right * x + down * y).abs();
            let across = (down * x - right * y).abs();
            let bar = (HALF_LENGTH + 1.0 - along).clamp(0.0, 1.0) * (HALF_WIDTH + 1.0 - across).clamp(0.0, 1.0);
            let value = bar * brightness + random.unit_f32() * NOISE;
            pixels.push((value.min(1.0) * 255.0) as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(seed: u64) -> Dataset {
        synthetic(&Synthetic { train: 1_000, validation: 100, test: 200 }, seed)
    }

    #[test]
    fn the_same_seed_draws_the_same_images() {
        assert_eq!(small(1), small(1));
        assert_ne!(small(1).train, small(2).train);
        let longer = synthetic(&Synthetic { train: 1_001, validation: 100, test: 200 }, 1);
        assert_eq!(longer.train.image(999), small(1).train.image(999));
        assert_eq!(longer.validation, small(1).validation);
    }

    #[test]
    fn classes_are_balanced_and_splits_differ() {
        let data = small(1);
        for (split, wanted) in [(&data.train, 100), (&data.validation, 10), (data.test_split(), 20)] {
            for class in 0..CLASSES as u8 {
                assert_eq!((0..split.len()).filter(|&index| split.label(index) == class).count(), wanted);
            }
        }
        assert_ne!(data.train.image(0), data.validation.image(0));
        assert_ne!(data.validation.image(0), data.test_split().image(0));
    }

    /// Nearest class mean, the simplest learner there is: far above chance, far from perfect.
    #[test]
    fn classes_can_be_learned_but_not_at_once() {
        let data = small(1);
        let mut means = vec![[0.0f32; PIXELS]; CLASSES];
        for index in 0..data.train.len() {
            for (mean, &value) in means[index % CLASSES].iter_mut().zip(data.train.image(index)) {
                *mean += f32::from(value) / 100.0;
            }
        }
        let right = (0..200).filter(|&index| {
            let image = data.test_split().image(index);
            let distance = |mean: &[f32; PIXELS]| -> f32 {
                mean.iter().zip(image).map(|(&mean, &value)| (mean - f32::from(value)).powi(2)).sum()
            };
            let nearest = (0..CLASSES).min_by(|&a, &b| distance(&means[a]).total_cmp(&distance(&means[b])));
            nearest == Some(index % CLASSES)
        });
        let right = right.count();
        assert!((60..=190).contains(&right), "nearest class mean got {right} of 200");
    }
}
