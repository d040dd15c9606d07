//! Sixteen floats at a time: one vector type for each instruction set, chosen when the program runs.
//!
//! A kernel is written once, generic over [`Vector`], and [`dispatch`] compiles it for each instruction set inside a
//! `#[target_feature]` function. Everything between the two must be `#[inline(always)]`, or it would be compiled for the
//! baseline. This module and the thread pool are the only ones with `unsafe` code.

pub(crate) mod dots;
mod portable;
mod registers;
#[cfg(target_arch = "x86_64")]
mod x86;
#[cfg(target_arch = "x86_64")]
mod x86_dots;

use crate::lanes::{LANES, Lanes};

/// Instructions that a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstructionSet {
    /// Whatever the target always has: SSE2 on x86-64, NEON on aarch64.
    Portable,
    /// AVX2, FMA and F16C.
    Avx2,
    /// AVX-512 F, VL, BW and DQ.
    Avx512,
}

impl InstructionSet {
    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// Every instruction set that this machine has, the best one last.
    pub fn available() -> Vec<Self> {
        [Self::Portable, Self::Avx2, Self::Avx512].into_iter().filter(|set| set.is_available()).collect()
    }

    /// The best instruction set that this machine has.
    pub fn best() -> Self {
        [Self::Avx512, Self::Avx2].into_iter().find(|set| set.is_available()).unwrap_or(Self::Portable)
    }

    /// Its name in a config, a log or a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

/// One register of a vector: a kernel with many sums takes the registers one after the other, so that more of its sums
/// find room.
pub(crate) trait Register: Copy {
    /// Registers of a vector.
    const COUNT: usize;
    /// Entries of a table that [`Self::pick`] chooses from.
    const ENTRIES: usize;

    /// Indices of the lanes.
    type Indices: Copy;

    /// All zero.
    fn zero() -> Self;
    /// Reads the floats of the `place`-th register of a vector.
    fn load(from: &Lanes, place: usize) -> Self;
    /// Writes the floats of the `place`-th register of a vector.
    fn store(self, to: &mut Lanes, place: usize);
    /// Reads the first floats from anywhere.
    fn read(from: &[f32]) -> Self;
    /// The first floats of 16 bits; see [`Vector::widen`].
    fn widen(from: &[u16]) -> Self;
    /// Reads four indices of each lane, the first in the lowest eight bits.
    fn indices(from: &[u32]) -> Self::Indices;
    /// The second index of each lane becomes the first, and so on.
    fn next(indices: Self::Indices) -> Self::Indices;
    /// For each lane the entry of the table that its first index names.
    fn pick(table: &[f32], indices: Self::Indices) -> Self;
    /// `self + other`.
    fn add(self, other: Self) -> Self;
    /// `self * factor + addend`, rounded once where the instruction set can.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// The sum of its floats, always in the same order for an instruction set.
    fn sum(self) -> f32;
    /// [`Self::sum`] of each.
    fn sum_each(own: &[Self; 8]) -> [f32; 8];
}

/// Sixteen floats in registers.
pub(crate) trait Vector: Copy {
    /// What the registers are; where there is no type for one, all of them together.
    type Register: Register;

    /// How many vectors the registers hold: the size of a tile follows from it.
    const REGISTERS: usize;

    /// The same value in every lane.
    fn splat(value: f32) -> Self;
    /// Reads sixteen floats.
    fn load(from: &Lanes) -> Self;
    /// Writes sixteen floats.
    fn store(self, to: &mut Lanes);
    /// Says that these floats will be needed soon, where the instruction set can say so.
    #[inline(always)]
    fn prefetch(_: &Lanes) {}
    /// `self + other`.
    fn add(self, other: Self) -> Self;
    /// `self - other`.
    fn sub(self, other: Self) -> Self;
    /// `self * other`.
    fn mul(self, other: Self) -> Self;
    /// `self / other`.
    fn div(self, other: Self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// `self * factor + addend`, rounded once where the instruction set can.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// `self * 2^power` of a whole number from -126 to 127, or NaN.
    fn scaled(self, power: Self) -> Self;
    /// The larger of the two; `other` where one is NaN.
    fn max(self, other: Self) -> Self;
    /// The larger of the two, `other` of equal ones; NaN where one is NaN.
    fn max_or_nan(self, other: Self) -> Self;
    /// One bit a lane: whether `self > other`.
    fn greater(self, other: Self) -> u16;
    /// One bit a lane: whether `self > other`, or one is NaN.
    fn greater_or_nan(self, other: Self) -> u16;
    /// `self` in the lanes whose bit is set, `+0.0` elsewhere.
    fn keep(self, bits: u16) -> Self;
    /// The bits that are set in one of the two.
    fn or(self, other: Self) -> Self;

    /// The sum of the lanes, always in the same order for an instruction set.
    fn sum(self) -> f32;
    /// [`Self::sum`] of each.
    #[inline(always)]
    fn sum_each(own: &[Self; 8]) -> [f32; 8] {
        let mut sums = [0.0; 8];
        for place in 0..8 {
            sums[place] = own[place].sum();
        }
        sums
    }
    /// Reads sixteen floats from anywhere.
    fn read(from: &[f32; LANES]) -> Self;
    /// Writes sixteen floats to anywhere.
    fn write(self, to: &mut [f32; LANES]);
    /// Sixteen floats of 16 bits (IEEE binary16), none of them an infinity or NaN.
    #[inline(always)]
    fn widen(from: &[u16; LANES]) -> Self {
        let mut wide = [0.0; LANES];
        for lane in 0..LANES {
            wide[lane] = widened(from[lane]);
        }
        Self::read(&wide)
    }
    /// The lanes of even places of the 32 in `self` and `next`, and those of odd ones.
    fn unzip(self, next: Self) -> (Self, Self);

    /// For each lane whose bit is set the one that its index names, 0 to 15; `+0.0` elsewhere.
    fn moved(self, lanes: &[u32; LANES], bits: u16) -> Self;

    /// Rows and columns exchanged.
    fn transpose(from: &[Lanes; LANES], to: &mut [Lanes; LANES]);
}

/// A float of 16 bits (IEEE binary16) that is no infinity and no NaN.
#[inline(always)]
pub(crate) fn widened(half: u16) -> f32 {
    // Exponent and fraction move into place; the product corrects the exponent's bias, subnormals included.
    let magnitude = f32::from_bits(u32::from(half & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
    f32::from_bits(magnitude.to_bits() | (u32::from(half & 0x8000) << 16))
}

/// The vectors of an array. (A closure that is handed to a library function is compiled for the baseline, so loads and
/// splats stand in loops.)
#[inline(always)]
pub(crate) fn load_all<V: Vector, const N: usize>(from: &[Lanes; N]) -> [V; N] {
    let mut own = [V::splat(0.0); N];
    for place in 0..N {
        own[place] = V::load(&from[place]);
    }
    own
}

/// The sum of some vectors, in their order.
#[inline(always)]
pub(crate) fn sum_all<V: Vector>(from: &[Lanes]) -> V {
    let mut sum = V::splat(0.0);
    for own in from {
        sum = sum.add(V::load(own));
    }
    sum
}

/// Work that is compiled for every instruction set.
pub(crate) trait Kernel {
    /// What it gives.
    type Output;
    /// Does the work; implementations are `#[inline(always)]`.
    fn run<V: Vector>(self) -> Self::Output;
}

/// Floats of a register of an instruction set, and entries of a table that it chooses from.
pub(crate) fn register_sizes(set: InstructionSet) -> [usize; 2] {
    struct Sizes;
    impl Kernel for Sizes {
        type Output = [usize; 2];

        #[inline(always)]
        fn run<V: Vector>(self) -> [usize; 2] {
            [LANES / V::Register::COUNT, V::Register::ENTRIES]
        }
    }
    dispatch(set, Sizes)
}

/// Runs a kernel, compiled for an instruction set.
#[inline]
pub(crate) fn dispatch<K: Kernel>(set: InstructionSet, kernel: K) -> K::Output {
    match set {
        InstructionSet::Portable => kernel.run::<portable::V>(),
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => x86::avx2(kernel),
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => x86::avx512(kernel),
        #[cfg(not(target_arch = "x86_64"))]
        _ => kernel.run::<portable::V>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Everything;

    impl Kernel for Everything {
        type Output = Vec<f32>;

        #[inline(always)]
        fn run<V: Vector>(self) -> Vec<f32> {
            let ramp = Lanes(std::array::from_fn(|lane| lane as f32 - 7.0));
            let (a, b) = (V::load(&ramp), V::splat(2.0));
            let mut found = vec![];
            let results = [a.add(b), a.sub(b), a.mul(b), a.div(b), a.mul(a).sqrt(), a.mul_add(b, a), a.max(b)];
            let scaled = [b.scaled(a), a.scaled(V::splat(-126.0)), b.scaled(V::splat(f32::NAN)).sub(a).keep(0)];
            let more = [a.keep(0xff).or(b.keep(0xff00)), a.keep(0b101), a.max_or_nan(b), a.keep(a.greater_or_nan(b))];
            for result in results.into_iter().chain(more).chain(scaled) {
                let mut lanes = Lanes::ZERO;
                result.store(&mut lanes);
                found.extend(lanes.0);
            }
            let table: [f32; 32] = std::array::from_fn(|place| (place * place) as f32);
            let (even, odd) = V::read(table.first_chunk().expect("32")).unzip(V::read(table.last_chunk().expect("32")));
            let moved = a.moved(&std::array::from_fn(|lane| (7 * lane as u32 + 3) % 16), 0b1011_0110_0111_1001);
            for result in [even, odd, moved] {
                let mut lanes = [0.0; LANES];
                result.write(&mut lanes);
                found.extend(lanes);
            }
            found.push(a.sum());
            found.push(f32::from(a.greater(b)));
            found
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_answers() {
        let wanted = dispatch(InstructionSet::Portable, Everything);
        assert_eq!(wanted[0], -5.0);
        assert_eq!([wanted[176], wanted[191], wanted[192]], [2.0f32.powi(-6), 512.0, -7.0 * 2.0f32.powi(-126)]);
        let square = |place: usize| (place * place) as f32;
        assert!(
            (0..16).all(|lane| wanted[224 + lane] == square(2 * lane) && wanted[240 + lane] == square(2 * lane + 1))
        );
        let moved = |lane: usize| if 0b1011_0110_0111_1001 >> lane & 1 == 1 { (7 * lane + 3) % 16 } else { 7 };
        assert!((0..16).all(|lane| wanted[256 + lane] == moved(lane) as f32 - 7.0));
        assert_eq!(wanted[wanted.len() - 2], 8.0);
        assert_eq!(wanted[wanted.len() - 1], f32::from(0b1111_1100_0000_0000u16));
        for set in InstructionSet::available() {
            assert_eq!(dispatch(set, Everything), wanted, "{}", set.name());
        }
    }

    #[test]
    fn floats_of_16_bits_are_those_of_the_standard() {
        struct Widened(Vec<u16>);
        impl Kernel for Widened {
            type Output = Vec<[f32; 2]>;

            #[inline(always)]
            fn run<V: Vector>(self) -> Self::Output {
                let mut found = vec![];
                let count = LANES / V::Register::COUNT;
                for own in self.0.as_chunks::<LANES>().0 {
                    let (mut whole, mut parts) = (Lanes::ZERO, Lanes::ZERO);
                    V::widen(own).store(&mut whole);
                    for place in 0..V::Register::COUNT {
                        V::Register::widen(&own[place * count..]).store(&mut parts, place);
                    }
                    found.extend((0..LANES).map(|lane| [whole.0[lane], parts.0[lane]]));
                }
                found
            }
        }
        let all: Vec<u16> = (0..=u16::MAX).filter(|own| own & 0x7c00 != 0x7c00).collect();
        for set in InstructionSet::available() {
            let found = dispatch(set, Widened(all.clone()));
            assert_eq!(found.len(), all.len());
            for (found, own) in found.iter().zip(&all) {
                let expected = half::f16::from_bits(*own).to_f32().to_bits();
                assert!(found.iter().all(|found| found.to_bits() == expected), "{}: {own:#x}", set.name());
            }
        }
    }

    #[test]
    fn entries_are_picked_by_four_indices_of_each_lane() {
        struct Picked;
        impl Kernel for Picked {
            type Output = (usize, Vec<f32>);

            #[inline(always)]
            fn run<V: Vector>(self) -> Self::Output {
                let entries = V::Register::ENTRIES;
                let table: Vec<f32> = (0..entries + 1).map(|place| place as f32).collect();
                let index = |lane: usize, step: usize| ((7 * lane + 5 * step) % entries) as u8;
                let all: Vec<u32> =
                    (0..LANES).map(|lane| u32::from_le_bytes([0, 1, 2, 3].map(|step| index(lane, step)))).collect();
                let mut indices = V::Register::indices(&all);
                let mut found = vec![];
                for _ in 0..4 {
                    let mut lanes = Lanes::ZERO;
                    V::Register::pick(&table[1..], indices).store(&mut lanes, 0);
                    found.extend(&lanes.0[..LANES / V::Register::COUNT]);
                    indices = V::Register::next(indices);
                }
                (entries, found)
            }
        }
        for set in InstructionSet::available() {
            let (entries, found) = dispatch(set, Picked);
            assert_eq!([found.len() / 4, entries], register_sizes(set));
            for (place, own) in found.iter().enumerate() {
                let (lane, step) = (place % (found.len() / 4), place / (found.len() / 4));
                assert_eq!(*own as usize, (7 * lane + 5 * step) % entries + 1, "{}, {lane}, {step}", set.name());
            }
        }
    }

    #[test]
    fn sums_of_eight_are_those_of_each_to_the_last_bit() {
        struct Sums([[Lanes; 8]; 2]);
        impl Kernel for Sums {
            type Output = [[Vec<f32>; 2]; 3];
            #[inline(always)]
            fn run<V: Vector>(self) -> Self::Output {
                let own = load_all::<V, 8>(&self.0[0]);
                let mut found = [
                    [V::sum_each(&own).to_vec(), own.iter().map(|own| own.sum()).collect()],
                    [vec![], vec![]],
                    [vec![], vec![]],
                ];
                for place in 0..V::Register::COUNT {
                    let mut own = [V::Register::zero(); 8];
                    for (own, from) in own.iter_mut().zip(&self.0[1]) {
                        *own = V::Register::load(from, place);
                    }
                    found[1 + place] =
                        [V::Register::sum_each(&own).to_vec(), own.iter().map(|own| own.sum()).collect()];
                }
                found
            }
        }
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 1e5 - 80.0
        };
        for set in InstructionSet::available() {
            for _ in 0..100 {
                let lanes = [(); 2].map(|()| [(); 8].map(|()| Lanes([(); LANES].map(|()| random()))));
                for [found, expected] in dispatch(set, Sums(lanes)) {
                    assert_eq!(found, expected, "{}", set.name());
                }
            }
        }
    }

    #[test]
    fn every_instruction_set_transposes() {
        struct Transpose;
        impl Kernel for Transpose {
            type Output = [Lanes; LANES];
            #[inline(always)]
            fn run<V: Vector>(self) -> [Lanes; LANES] {
                let from = std::array::from_fn(|row| Lanes(std::array::from_fn(|column| (row * 16 + column) as f32)));
                let mut to = [Lanes::ZERO; LANES];
                V::transpose(&from, &mut to);
                to
            }
        }
        for set in InstructionSet::available() {
            let found = dispatch(set, Transpose);
            let right = |place: usize| found[place / 16].0[place % 16] == (place % 16 * 16 + place / 16) as f32;
            assert!((0..256).all(right), "{}", set.name());
        }
    }

    #[test]
    fn a_nan_survives_rectifying() {
        struct Rectify;
        impl Kernel for Rectify {
            type Output = f32;
            #[inline(always)]
            fn run<V: Vector>(self) -> f32 {
                V::splat(0.0).max(V::splat(f32::NAN)).sum()
            }
        }
        for set in InstructionSet::available() {
            assert!(dispatch(set, Rectify).is_nan(), "{}", set.name());
        }
    }

    #[test]
    fn a_nan_is_the_maximum_on_either_side() {
        struct Maximum(f32, f32);
        impl Kernel for Maximum {
            type Output = (f32, u16);
            #[inline(always)]
            fn run<V: Vector>(self) -> (f32, u16) {
                let (a, b) = (V::splat(self.0), V::splat(self.1));
                let mut lanes = Lanes::ZERO;
                a.max_or_nan(b).store(&mut lanes);
                (lanes.0[15], a.greater_or_nan(b))
            }
        }
        for set in InstructionSet::available() {
            let found = |a, b| dispatch(set, Maximum(a, b));
            for (a, b) in [(1.0, f32::NAN), (f32::NAN, 1.0), (f32::NAN, f32::NAN), (f32::INFINITY, -f32::NAN)] {
                let (maximum, greater) = found(a, b);
                assert!(maximum.is_nan() && greater == u16::MAX, "{} {a} {b}", set.name());
            }
            for (a, b) in [(1.0, 2.0), (2.0, 2.0), (f32::INFINITY, f32::NEG_INFINITY), (-1.0, -2.0)] {
                assert_eq!(found(a, b), (a.max(b), if a > b { u16::MAX } else { 0 }), "{} {a} {b}", set.name());
            }
            assert!(found(0.0, -0.0).0.is_sign_negative(), "of equal ones the second");
        }
    }
}
