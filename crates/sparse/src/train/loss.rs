//! The two ends of a training step: images into lanes, and cross-entropy out of them.

use super::{Context, Images};
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
