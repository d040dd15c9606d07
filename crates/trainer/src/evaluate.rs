//! Scores: what share of answers is right, counted on the host from the logits.

use crate::data::Split;
use crate::engine::Engine;
use crate::inference::answer;
use secateur_report::event::Score;

/// A running score over images.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Tally {
    correct: u64,
    total: u64,
    loss: f64,
}

impl Tally {
    /// Adds a batch: logits `[batch, classes]`, row-major, and labels. Returns the batch's mean cross-entropy in nats.
    pub(crate) fn add(&mut self, logits: &[f32], labels: &[u16]) -> f64 {
        let (mut loss, classes) = (0.0, (logits.len() / labels.len().max(1)).max(1));
        for (logits, label) in logits.chunks_exact(classes).zip(labels) {
            let label = usize::from(*label);
            let answer = answer(logits);
            self.correct += u64::from(answer == label);
            let top = f64::from(logits[answer]);
            let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - top).exp()).sum();
            loss += top + sum.ln() - f64::from(logits[label]);
        }
        self.total += labels.len() as u64;
        self.loss += loss;
        loss / labels.len() as f64
    }

    /// The score so far.
    pub(crate) fn score(&self) -> Score {
        let loss = if self.total == 0 { 0.0 } else { self.loss / self.total as f64 };
        Score { correct: self.correct, total: self.total, loss }
    }
}

/// The score on a whole split, in batches; `seen` is told the images done after each batch.
pub(crate) fn evaluate(engine: &mut dyn Engine, split: &Split, batch: usize, mut seen: impl FnMut(usize)) -> Score {
    let mut tally = Tally::default();
    let order: Vec<u32> = (0..split.len() as u32).collect();
    for indices in order.chunks(batch) {
        tally.add(&engine.logits(split, indices), &split.labels(indices));
        seen(tally.total as usize);
    }
    tally.score()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: usize = 10;

    #[test]
    fn a_score_by_hand() {
        let mut tally = Tally::default();
        let mut logits = [0.0f32; 3 * CLASSES];
        logits[4] = 2.0; // image 0: class 4
        logits[CLASSES + 1] = f32::MAX; // image 1: class 1, huge
        let loss = tally.add(&logits[..2 * CLASSES], &[4, 1]);
        let first = (2f64.exp() + 9.0).ln() - 2.0;
        assert!((loss - first / 2.0).abs() < 1e-12, "{loss}");
        tally.add(&logits[2 * CLASSES..], &[9]); // all equal: the answer is class 0
        let score = tally.score();
        assert_eq!((score.correct, score.total), (2, 3));
        assert!((score.loss - (first + 10f64.ln()) / 3.0).abs() < 1e-12);
        assert_eq!(Tally::default().score().loss, 0.0);
    }

    #[test]
    fn a_diverged_batch_shows_in_the_loss() {
        assert!(!Tally::default().add(&[f32::NAN; CLASSES], &[0]).is_finite());
        assert!(!Tally::default().add(&[f32::INFINITY; CLASSES], &[0]).is_finite());
    }
}
