//! What calls of an engine take, and what a clock decides.

use super::{Engine, Error, Options};
use crate::Trained;
use std::time::{Duration, Instant};

/// Time for a measurement, and calls of it at most.
const BUDGET: Duration = Duration::from_millis(12);
const CALLS: usize = 40;

/// Median seconds of a call, after one that is not timed: the clock outside of tests.
pub fn seconds(call: &mut dyn FnMut()) -> f64 {
    let began = Instant::now();
    call();
    let mut times = vec![];
    while times.is_empty() || (began.elapsed() < BUDGET && times.len() < CALLS) {
        let began = Instant::now();
        call();
        times.push(began.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

impl Engine {
    /// Compiles a network. For single images it is timed whether all threads compute one together faster than one of them alone: on some
    /// machines what one thread has written takes another one longer to read than to compute. The answers are the same. `clock` makes
    /// the call that it is given, as often as it likes, and says how long it takes ([`seconds`] is one).
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn timed(
        network: &Trained,
        options: &Options,
        clock: &mut dyn FnMut(&mut dyn FnMut()) -> f64,
    ) -> Result<Self, Error> {
        let shared = Self::of(network, options)?;
        if options.batch > 1 || !shared.shares_images() {
            return Ok(shared);
        }
        let mut both = [shared.alone(), shared];
        let [alone, together] = [0, 1].map(|which| both[which].call_seconds(1, clock));
        let [one, other] = both;
        Ok(if alone < together { one } else { other })
    }

    /// How long a call with so many images takes, by this clock.
    pub fn call_seconds(&mut self, images: usize, clock: &mut dyn FnMut(&mut dyn FnMut()) -> f64) -> f64 {
        let images = vec![0.25; images * self.pixels()];
        let mut logits = self.logits(&images);
        clock(&mut || self.logits_into(&images, &mut logits))
    }
}
