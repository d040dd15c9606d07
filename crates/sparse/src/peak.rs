//! What this machine could do at most: the measure for every kernel.

use crate::InstructionSet;
use crate::lanes::{LANES, Lanes};
use crate::pool::Pool;
use crate::simd::{Kernel, Vector, dispatch};
use std::hint::black_box;
use std::time::Instant;

/// Sums that are under way at once, by the vectors that the registers hold: enough to hide the latency of a
/// multiply-add, which takes four cycles on up to two ports, and few enough for the registers.
const fn sums(registers: usize) -> usize {
    match registers {
        32.. => 12,
        8.. => 6,
        _ => 3,
    }
}

const ROUNDS: usize = 500_000;

/// Multiply-accumulates a second that `threads` threads do from registers, the best of a few tries.
///
/// # Panics
/// When the machine lacks the instructions, or the system gives no thread.
pub fn peak(set: InstructionSet, threads: usize) -> f64 {
    struct Spin(f32);
    impl Kernel for Spin {
        type Output = (f32, usize);

        #[inline(always)]
        fn run<V: Vector>(self) -> (f32, usize) {
            match sums(V::REGISTERS) {
                12 => (spin::<V, 12>(self.0), 12),
                6 => (spin::<V, 6>(self.0), 6),
                _ => (spin::<V, 3>(self.0), 3),
            }
        }
    }
    let pool = Pool::new(threads).expect("the system gives threads");
    let mut best = 0.0f64;
    for _ in 0..5 {
        let mut items = vec![(0.5f32, 0); threads];
        let began = Instant::now();
        pool.each(&mut items, |item| *item = dispatch(set, Spin(black_box(item.0))));
        let seconds = began.elapsed().as_secs_f64();
        let sums: usize = black_box(items).iter().map(|(_, sums)| sums).sum();
        best = best.max((ROUNDS * sums * LANES) as f64 / seconds);
    }
    best
}

#[inline(always)]
fn spin<V: Vector, const SUMS: usize>(factor: f32) -> f32 {
    let (factor, addend) = (V::splat(factor), V::load(&Lanes([1e-3; LANES])));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, dispatch};

    #[test]
    fn sums_hide_the_latency_of_two_ports_and_fit_the_registers() {
        struct Registers;
        impl Kernel for Registers {
            type Output = usize;
            #[inline(always)]
            fn run<V: Vector>(self) -> usize {
                V::REGISTERS
            }
        }
        // Four cycles on two ports of whole vectors take eight sums; a half vector fills a port as well.
        assert!(sums(32) >= 8);
        for registers in InstructionSet::available().into_iter().map(|set| dispatch(set, Registers)).chain([32, 8, 4]) {
            // Beside the sums lie a factor and an addend.
            assert!(sums(registers) < registers, "{registers}");
        }
    }
}
