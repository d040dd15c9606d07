//! The two ends of a training step: images into lanes, and cross-entropy out of them.

use super::{Context, Images};
use crate::Distillation;
use crate::lanes::{LANES, Lanes};

/// Reads images into blocks, `[block][pixel][16 images]`; lanes without an image are zero.
pub(super) fn read(at: &Context<'_>, images: Images<'_>, pixels: usize, blocks: &mut [Lanes]) {
    match images {
        Images::Bytes { rows, tables } => {
            assert!(pixels.is_multiple_of(tables.len().max(1)), "there is one table for each channel");
            let plane = (pixels / tables.len().max(1)).max(1);
            fill(at, rows, pixels, blocks, |place, byte: &u8| tables[place / plane][usize::from(*byte)]);
        }
        Images::Floats { rows } => fill(at, rows, pixels, blocks, |_, value: &f32| *value),
    }
}

fn fill<T: Sync>(
    at: &Context<'_>,
    rows: &[&[T]],
    pixels: usize,
    blocks: &mut [Lanes],
    value: impl Fn(usize, &T) -> f32 + Sync,
) {
    let mut items: Vec<_> = rows.chunks(LANES).zip(blocks.chunks_exact_mut(pixels.max(1))).collect();
    for row in rows {
        assert_eq!(row.len(), pixels, "an image has the size of the network's input");
    }
    at.pool.each(&mut items, |(rows, block)| {
        if rows.len() < LANES {
            block.fill(Lanes::ZERO);
        }
        for (image, row) in rows.iter().enumerate() {
            for (place, (lanes, pixel)) in block.iter_mut().zip(*row).enumerate() {
                lanes.0[image] = value(place, pixel);
            }
        }
    });
}

/// Logits out of the lanes, `[image][class]`.
pub(super) fn logits(blocks: &[Lanes], classes: usize, images: usize) -> Vec<f32> {
    let logit = |image: usize| {
        let block = &blocks[image / LANES * classes..][..classes];
        block.iter().map(move |lanes| lanes.0[image % LANES])
    };
    (0..images).flat_map(logit).collect()
}

/// Mixes what a teacher's logits teach into the gradient of the labels' loss; all of them `[image][class]`.
pub(super) fn mix(own: Distillation, logits: &[f32], teacher: &[f32], images: usize, gradient: &mut [f32]) {
    assert_eq!(teacher.len(), logits.len(), "the teacher answers as many logits");
    let classes = logits.len() / images.max(1);
    let softmax = |logits: &[f32]| -> Vec<f64> {
        let top = logits.iter().fold(f32::NEG_INFINITY, |top, own| top.max(*own));
        let power = |logit: &f32| ((f64::from(*logit) - f64::from(top)) / f64::from(own.temperature)).exp();
        let sum: f64 = logits.iter().map(power).sum();
        logits.iter().map(|logit| power(logit) / sum).collect()
    };
    let (weight, share) = (f64::from(own.weight), f64::from(own.temperature) / images as f64);
    let images = logits.chunks_exact(classes).zip(teacher.chunks_exact(classes));
    for ((logits, teacher), gradient) in images.zip(gradient.chunks_exact_mut(classes)) {
        for ((found, expected), gradient) in softmax(logits).into_iter().zip(softmax(teacher)).zip(gradient) {
            *gradient = ((1.0 - weight) * f64::from(*gradient) + weight * share * (found - expected)) as f32;
        }
    }
}

/// What softmax should answer, with smoothed labels.
pub(super) struct Target {
    others: f64,
    truth: f64,
}

impl Target {
    pub(super) fn new(smoothing: f32, classes: usize) -> Self {
        let smoothing = f64::from(smoothing);
        let others = smoothing / classes.max(1) as f64;
        Self { others, truth: 1.0 - smoothing + others }
    }

    pub(super) fn of(&self, is_truth: bool) -> f64 {
        if is_truth { self.truth } else { self.others }
    }
}

/// The gradient of the mean cross-entropy with smoothed labels: `(softmax - target) / images`; zero in lanes without an
/// image.
pub(super) fn gradient(blocks: &[Lanes], classes: usize, labels: &[u16], smoothing: f32, gradient: &mut [Lanes]) {
    gradient[..blocks.len()].fill(Lanes::ZERO);
    let share = 1.0 / labels.len() as f32;
    let target = Target::new(smoothing, classes);
    let [truth, others] = [true, false].map(|own| target.of(own) as f32);
    for (image, label) in labels.iter().enumerate() {
        let (block, lane) = (image / LANES * classes, image % LANES);
        let logits = blocks[block..block + classes].iter().map(|lanes| lanes.0[lane]);
        let top = logits.clone().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = logits.clone().map(|logit| (logit - top).exp()).sum();
        assert!(usize::from(*label) < classes, "label {label} names none of {classes} classes");
        for (class, logit) in logits.enumerate() {
            let truth = if class == usize::from(*label) { truth } else { others };
            gradient[block + class].0[lane] = ((logit - top).exp() / sum - truth) * share;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_teacher_s_part_is_the_slope_of_the_mixed_loss() {
        let own = Distillation { temperature: 2.5, weight: 0.75 };
        let (teacher, label) = ([0.5f64, -1.0, 2.0], 1);
        let softmax = |logits: &[f64], temperature: f64| -> Vec<f64> {
            let sum: f64 = logits.iter().map(|own| (own / temperature).exp()).sum();
            logits.iter().map(|own| (own / temperature).exp() / sum).collect()
        };
        let loss = |logits: &[f64]| {
            let soft = softmax(&teacher, 2.5).into_iter().zip(softmax(logits, 2.5));
            let taught = -soft.map(|(expected, found)| expected * found.ln()).sum::<f64>();
            -0.25 * softmax(logits, 1.0)[label].ln() + 0.75 * 2.5 * 2.5 * taught
        };
        let logits = [1.0f64, 0.25, -0.5];
        // Two images of which the second is the first one again: the loss is their mean.
        let both = |own: &[f64]| -> Vec<f32> { own.iter().chain(own).map(|own| *own as f32).collect() };
        let labels = softmax(&logits, 1.0).into_iter().enumerate();
        let labels: Vec<f64> = labels.map(|(class, own)| (own - f64::from(u8::from(class == label))) / 2.0).collect();
        let mut gradient = both(&labels);
        mix(own, &both(&logits), &both(&teacher), 2, &mut gradient);
        for (place, found) in gradient.iter().enumerate() {
            let moved = |by: f64| {
                let mut logits = logits;
                logits[place % 3] += by;
                loss(&logits)
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5 / 2.0;
            assert!((f64::from(*found) - slope).abs() < 1e-6, "{place}: {found}, {slope}");
        }
    }
}
