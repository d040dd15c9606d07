//! Everything random derives from here: a stream of numbers is named by (seed, purpose, index), never carried along.
//!
//! That is what makes a resumed run repeat the uninterrupted one: no generator state is saved, the name is enough.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// A stream of random numbers for one purpose.
pub struct Stream(ChaCha8Rng);

/// The stream named by the run's seed, a purpose such as `"order"`, and an index such as the epoch.
pub fn stream(seed: u64, purpose: &str, index: u64) -> Stream {
    let mut name = Sha256::new();
    name.update(seed.to_le_bytes());
    name.update(index.to_le_bytes());
    name.update(purpose.as_bytes());
    Stream(ChaCha8Rng::from_seed(name.finalize().into()))
}

impl Stream {
    /// A uniform 64-bit number.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A uniform number in `[0, 1)` with 24 bits.
    pub fn unit_f32(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1u32 << 24) as f32
    }

    /// A uniform number in `0..bound`; `bound` must not be 0.
    ///
    /// Rejection on the widening product, after Lemire, "Fast Random Integer Generation in an Interval" (2019).
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a range of random numbers is never empty");
        let floor = bound.wrapping_neg() % bound;
        loop {
            let wide = u128::from(self.next_u64()) * u128::from(bound);
            if wide as u64 >= floor {
                return (wide >> 64) as u64;
            }
        }
    }

    /// Shuffles in place (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::stream;

    #[test]
    fn a_stream_is_its_name() {
        let draw = |seed, purpose, index| stream(seed, purpose, index).next_u64();
        assert_eq!(draw(1, "order", 0), draw(1, "order", 0));
        assert_ne!(draw(1, "order", 0), draw(2, "order", 0));
        assert_ne!(draw(1, "order", 0), draw(1, "split", 0));
        assert_ne!(draw(1, "order", 0), draw(1, "order", 1));
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        stream(7, "order", 3).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn below_stays_below_and_reaches_both_ends() {
        let mut numbers = stream(1, "below", 0);
        let drawn: Vec<u64> = (0..200).map(|_| numbers.below(3)).collect();
        assert!(drawn.iter().all(|&n| n < 3));
        assert!((0..3).all(|n| drawn.contains(&n)));
    }
}
