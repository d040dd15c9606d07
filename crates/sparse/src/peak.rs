//! What this machine could do at most: the measure for every kernel.

use crate::InstructionSet;
use crate::lanes::{LANES, Lanes};
use crate::pool::Pool;
use crate::simd::{Kernel, Vector, dispatch};
use std::hint::black_box;
use std::time::Instant;

/// Sums that are under way at once: enough to hide the latency of an addition, few enough for the registers.
const SUMS: usize = 6;
const ROUNDS: usize = 500_000;

/// Multiply-accumulates a second that `threads` threads do from registers, the best of a few tries.
pub fn peak(set: InstructionSet, threads: usize) -> f64 {
    struct Spin(f32);
    impl Kernel for Spin {
        type Output = f32;

        #[inline(always)]
        fn run<V: Vector>(self) -> f32 {
            let (factor, addend) = (V::splat(self.0), V::load(&Lanes([1e-3; LANES])));
            let mut sums = [addend; SUMS];
            for _ in 0..ROUNDS {
                for sum in &mut sums {
                    *sum = sum.mul_add(factor, addend);
                }
            }
            let mut total = V::splat(0.0);
            for sum in sums {
                total = total.add(sum);
            }
            total.sum()
        }
    }
    let pool = Pool::new(threads);
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let mut items = vec![0.5f32; threads];
        let began = Instant::now();
        pool.each(&mut items, |item| *item = dispatch(set, Spin(black_box(*item))));
        black_box(items);
        best = best.min(began.elapsed().as_secs_f64());
    }
    (threads * ROUNDS * SUMS * LANES) as f64 / best
}
