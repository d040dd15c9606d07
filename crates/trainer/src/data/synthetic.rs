//! A dataset out of a formula, for tests that must learn something in seconds and need no files.
//!
//! Every image is a bar on a noisy ground. The class is the bar's direction, `class * 18` degrees; its tilt, place,
//! brightness and the noise vary, so a class has to be learned and cannot be looked up.

use super::{Dataset, Description, MNIST, Split};
use crate::config::DataConfig;
use crate::seed::{Stream, stream};

/// Classes, which take turns, so that any number of images is as balanced as it can be.
const CLASSES: usize = 10;

/// What the config asks for.
pub(super) fn describe(data: &DataConfig) -> Description {
    Description {
        shape: data.synthetic_shape,
        classes: CLASSES,
        train: data.synthetic_train + data.validation,
        test: data.synthetic_test,
        class_names: vec![],
    }
}

/// Draws the dataset; a pure function of its arguments, and an image does not depend on the counts.
///
/// Image `index` of a split has class `index % 10`.
pub(super) fn draw(data: &DataConfig, seed: u64) -> Dataset {
    let split = |len, purpose| draw_split(len, data.synthetic_shape, seed, purpose);
    Dataset {
        name: "synthetic".to_owned(),
        train: split(data.synthetic_train, 0),
        validation: split(data.validation, 1),
        test: split(data.synthetic_test, 2),
        files: vec![],
        description: describe(data),
        scales: vec![],
        teacher_logits: Default::default(),
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
/// The side that the lengths below are for; they grow with the shorter side of an image.
const SIDE: f32 = {
    const OF: &Description = &MNIST;
    OF.shape[1] as f32
};
/// Farthest that the bar's middle is from the image's, in pixels, each way.
const SHIFT: f32 = 2.0;
/// Half the bar's length, in pixels.
const HALF_LENGTH: f32 = 8.0;
/// Half the bar's width, in pixels; it fades over one more.
const HALF_WIDTH: f32 = 1.0;
/// Brightest noise, of 1.
const NOISE: f32 = 0.5;

fn draw_split(len: usize, shape: [usize; 3], seed: u64, split: u64) -> Split {
    let mut pixels = Vec::with_capacity(len * shape.iter().product::<usize>());
    let mut labels = Vec::with_capacity(len);
    for index in 0..len {
        let class = index % CLASSES;
        bar(class, shape, &mut stream(seed, "synthetic", split << 32 | index as u64), &mut pixels);
        labels.push(class as u16);
    }
    Split::of_bytes(shape, pixels, labels)
}

/// One image: the same bar in every channel, each with a brightness and a noise of its own.
fn bar(class: usize, [channels, rows, columns]: [usize; 3], random: &mut Stream, pixels: &mut Vec<u8>) {
    let mut around_zero = |most: f32| (random.unit_f32() * 2.0 - 1.0) * most;
    let [cos, sin] = DIRECTIONS[class];
    let tilt = around_zero(TILT);
    let (x, y) = (cos - tilt * sin, sin + tilt * cos);
    let length = (x * x + y * y).sqrt();
    let (x, y) = (x / length, y / length);
    let unit = rows.min(columns) as f32 / SIDE;
    let middle = |side: usize| (side as f32 - 1.0) / 2.0;
    let (column_middle, row_middle) =
        (middle(columns) + around_zero(SHIFT * unit), middle(rows) + around_zero(SHIFT * unit));
    for _ in 0..channels {
        let brightness = 0.75 + (random.unit_f32() * 2.0 - 1.0) * 0.25;
        for row in 0..rows {
            for column in 0..columns {
                let (right, down) = (column as f32 - column_middle, row as f32 - row_middle);
                let along = (right * x + down * y).abs();
                let across = (down * x - right * y).abs();
                let bar = (HALF_LENGTH * unit + 1.0 - along).clamp(0.0, 1.0)
                    * (HALF_WIDTH * unit + 1.0 - across).clamp(0.0, 1.0);
                let value = bar * brightness + random.unit_f32() * NOISE;
                pixels.push((value.min(1.0) * 255.0) as u8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(seed: u64) -> Dataset {
        drawn(1_000, seed)
    }

    fn drawn(train: usize, seed: u64) -> Dataset {
        let data = DataConfig { synthetic_train: train, validation: 100, synthetic_test: 200, ..DataConfig::default() };
        draw(&data, seed)
    }

    #[test]
    fn the_same_seed_draws_the_same_images() {
        assert_eq!(small(1), small(1));
        assert_ne!(small(1).train, small(2).train);
        let longer = drawn(1_001, 1);
        assert_eq!(longer.train.picture(999), small(1).train.picture(999));
        assert_eq!(longer.validation, small(1).validation);
    }

    #[test]
    fn classes_are_balanced_and_splits_differ() {
        let data = small(1);
        for (split, wanted) in [(&data.train, 100), (&data.validation, 10), (data.test_split(), 20)] {
            for class in 0..CLASSES as u16 {
                assert_eq!((0..split.len()).filter(|&index| split.label(index) == class).count(), wanted);
            }
        }
        assert_ne!(data.train.picture(0), data.validation.picture(0));
        assert_ne!(data.validation.picture(0), data.test_split().picture(0));
    }

    /// Nearest class mean, the simplest learner there is: far above chance, far from perfect.
    #[test]
    fn classes_can_be_learned_but_not_at_once() {
        let data = small(1);
        let mut means = vec![vec![0.0f32; data.train.picture(0).len()]; CLASSES];
        for index in 0..data.train.len() {
            for (mean, value) in means[index % CLASSES].iter_mut().zip(data.train.picture(index)) {
                *mean += f32::from(value) / 100.0;
            }
        }
        let right = (0..200).filter(|&index| {
            let image = data.test_split().picture(index);
            let distance = |mean: &[f32]| -> f32 {
                mean.iter().zip(&image).map(|(&mean, &value)| (mean - f32::from(value)).powi(2)).sum()
            };
            let nearest = (0..CLASSES).min_by(|&a, &b| distance(&means[a]).total_cmp(&distance(&means[b])));
            nearest == Some(index % CLASSES)
        });
        let right = right.count();
        assert!((60..=190).contains(&right), "nearest class mean got {right} of 200");
    }

    #[test]
    fn images_may_have_channels_and_other_sides() {
        let data = DataConfig { synthetic_shape: [3, 16, 20], synthetic_train: 20, ..DataConfig::default() };
        let own = draw(&data, 1);
        assert_eq!(own.train.shape(), describe(&data).shape);
        let image = own.train.picture(3);
        assert_eq!(image.len(), 3 * 16 * 20);
        assert_ne!(image[..320], image[320..640], "each channel has its own noise");
        let middle: u32 = (0..3).map(|channel| u32::from(image[channel * 320 + 8 * 20 + 10])).sum();
        let corner: u32 = (0..3).map(|channel| u32::from(image[channel * 320])).sum();
        assert!(middle > corner, "{middle} {corner}");
    }
}
