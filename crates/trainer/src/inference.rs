//! What a trained network costs and answers in the inference engine: for the verbs that ask, and for a run's log.

use secateur_sparse::Trained;
use secateur_sparse::infer::Engine;
use std::time::{Duration, Instant};

/// Median seconds of a call of each engine with these images, their calls taking turns; each engine is called once
/// without being timed, then for `time` in all, and three times at least.
pub fn interleaved(engines: &mut [&mut Engine], images: &[f32], time: Duration) -> Vec<f64> {
    let mut logits: Vec<Vec<f32>> = engines.iter_mut().map(|engine| engine.logits(images)).collect();
    let mut times = vec![vec![]; engines.len()];
    let began = Instant::now();
    while times.first().is_some_and(|own| own.len() < 3) || began.elapsed() < time * engines.len() as u32 {
        for ((engine, logits), times) in engines.iter_mut().zip(&mut logits).zip(&mut times) {
            // A short turn each, so that small networks are not timed by the cold caches that the large ones leave.
            let turn = Instant::now();
            loop {
                let began = Instant::now();
                engine.logits_into(images, logits);
                times.push(began.elapsed().as_secs_f64());
                if turn.elapsed() > Duration::from_millis(5) {
                    break;
                }
            }
        }
    }
    times.iter_mut().map(|own| median(own)).collect()
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How two networks' answers to the same images differ.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Agreement {
    /// Images compared.
    pub images: usize,
    /// Images whose largest logit is the same.
    pub same: usize,
    /// The largest difference between two logits; NaN when one of them is.
    pub max_delta: f32,
    /// The largest logit of the first network, by its size: the measure for the difference.
    pub scale: f32,
}

impl Agreement {
    /// Compares logits `[image][class]`.
    pub fn of(wanted: &[f32], found: &[f32], classes: usize) -> Self {
        let mut own = Self::default();
        for (wanted, found) in wanted.chunks_exact(classes).zip(found.chunks_exact(classes)) {
            own.images += 1;
            own.same += usize::from(answer(wanted) == answer(found));
            for (a, b) in wanted.iter().zip(found) {
                let delta = (a - b).abs();
                if delta > own.max_delta || delta.is_nan() {
                    own.max_delta = delta;
                }
                own.scale = own.scale.max(a.abs());
            }
        }
        own
    }
}

/// The class of the largest logit; of equal ones the first, as in PyTorch.
pub fn answer(logits: &[f32]) -> usize {
    (1..logits.len()).fold(0, |best, class| if logits[class] > logits[best] { class } else { best })
}

/// Made-up images for a network, `[image][pixel]`: blurred spots on a dark ground, or rows of a table where it takes those; the same at
/// every call.
pub fn made_up(network: &Trained, count: usize) -> Vec<f32> {
    let [channels, height, width] = network.input();
    if let Some(rows) = network.rows() {
        return (0..count * channels * height * width).map(|place| (place * 7919 % rows) as f32).collect();
    }
    let pixel = |place: usize| {
        let image = place / (channels * height * width);
        let (row, column) = (place / width % height, place % width);
        let (y, x) = ((image * 7 + 3) % height, (image * 11 + 5) % width);
        let distance = row.abs_diff(y).pow(2) + column.abs_diff(x).pow(2);
        0.5 - (distance as f32 / 24.0).min(1.0)
    };
    (0..count * channels * height * width).map(pixel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_compared_image_by_image() {
        let own = Agreement::of(&[1.0, 2.0, -4.0, 0.0], &[1.5, 2.0, 0.0, -1.0], 2);
        assert_eq!((own.images, own.same, own.max_delta, own.scale), (2, 1, 4.0, 4.0));
        assert!(Agreement::of(&[1.0, 2.0], &[f32::NAN, 2.0], 2).max_delta.is_nan());
    }
}
