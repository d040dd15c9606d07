//! The two ends of a training step: images into lanes, and cross-entropy out of them.

use super::layout::Layout;
use crate::lanes::{LANES, Lanes};
use crate::train::loss::Target;
use crate::train::{Context, Images};

/// Reads images into blocks; lanes without an image are zero.
pub(super) fn read(at: &Context<'_>, images: Images<'_>, layout: &Layout, blocks: &mut [Lanes]) {
    match images {
        Images::Bytes { rows, tables } => {
            // Features share a table.
            assert!(layout.values().is_multiple_of(tables.len().max(1)), "there is one table for each channel");
            let plane = layout.values() / tables.len().max(1);
            fill(at, rows, layout, blocks, |index, byte: &u8| tables[index / plane][usize::from(*byte)]);
        }
        Images::Floats { rows } => fill(at, rows, layout, blocks, |_, value: &f32| *value),
    }
}

fn fill<T: Sync>(
    at: &Context<'_>,
    rows: &[&[T]],
    layout: &Layout,
    blocks: &mut [Lanes],
    value: impl Fn(usize, &T) -> f32 + Sync,
) {
    for row in rows {
        assert_eq!(row.len(), layout.values(), "an image has the size of the network's input");
    }
    let mut items: Vec<_> = rows.chunks(LANES).zip(blocks.chunks_exact_mut(layout.block())).collect();
    at.pool.each(&mut items, |(rows, block)| {
        if rows.len() < LANES {
            block.fill(Lanes::ZERO);
        }
        for line in 0..layout.channels * layout.height {
            let (first, place) = (line * layout.width, layout.place(line * layout.width));
            for (column, lanes) in block[place..place + layout.width].iter_mut().enumerate() {
                for (image, row) in rows.iter().enumerate() {
                    lanes.0[image] = value(first + column, &row[first + column]);
                }
            }
        }
    });
}

/// Logits out of the lanes, `[image][class]`.
pub(super) fn logits(blocks: &[Lanes], layout: &Layout, images: usize) -> Vec<f32> {
    let places: Vec<usize> = (0..layout.values()).map(|class| layout.place(class)).collect();
    let logits = |image: usize| {
        let block = &blocks[image / LANES * layout.block()..];
        places.iter().map(move |place| block[*place].0[image % LANES])
    };
    (0..images).flat_map(logits).collect()
}

/// The mean cross-entropy of logits `[image][class]`, and the gradient of that with smoothed labels,
/// `(softmax - target) / images`, like the logits.
pub(super) fn loss(logits: &[f32], labels: &[u16], smoothing: f32) -> (f64, Vec<f32>) {
    let (classes, images) = (logits.len() / labels.len(), labels.len() as f64);
    let target = Target::new(smoothing, classes);
    let (mut loss, mut gradient) = (0.0, Vec::with_capacity(logits.len()));
    for (logits, label) in logits.chunks_exact(classes).zip(labels) {
        let truth = usize::from(*label);
        assert!(truth < classes, "label {label} names none of {classes} classes");
        let top = logits.iter().fold(f32::NEG_INFINITY, |top, own| top.max(*own));
        let above = |logit: f32| f64::from(logit) - f64::from(top);
        let sum: f64 = logits.iter().map(|logit| above(*logit).exp()).sum();
        loss += sum.ln() - above(logits[truth]);
        gradient.extend(
            logits
                .iter()
                .enumerate()
                .map(|(class, logit)| ((above(*logit).exp() / sum - target.of(class == truth)) / images) as f32),
        );
    }
    (loss / images, gradient)
}

/// Writes a gradient, `[image][class]`, into blocks; zero in lanes without an image.
pub(super) fn write(gradient: &[f32], layout: &Layout, blocks: &mut [Lanes]) {
    blocks.fill(Lanes::ZERO);
    for (image, values) in gradient.chunks_exact(layout.values()).enumerate() {
        let block = &mut blocks[image / LANES * layout.block()..];
        values.iter().enumerate().for_each(|(class, value)| block[layout.place(class)].0[image % LANES] = *value);
    }
}
