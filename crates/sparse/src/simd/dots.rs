//! Sums of products of bytes: each of sixteen lanes holds four unsigned bytes, which meet four signed weights at once.
//!
//! Four bytes of a lane are kept in the bits of a float, so that whatever moves vectors moves these, too; no arithmetic is
//! done on such a float. All instruction sets give the same sums and the same bytes, to the last bit.
#![expect(clippy::needless_range_loop, reason = "counted loops over lanes show their shape")]

use super::{InstructionSet, Vector, portable};
use crate::lanes::{LANES, Lanes};

/// Instructions for products of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DotSet {
    Portable,
    /// By pairs, whose sums end at 16 bits: see [`DotSet::adds_pairs`].
    Avx2,
    /// Four products at once (AVX-VNNI).
    AvxVnni,
    /// By pairs, too.
    Avx512,
    /// Four products at once (AVX-512 VNNI).
    Avx512Vnni,
}

impl DotSet {
    /// The best of this machine within an instruction set.
    pub(crate) fn of(set: InstructionSet) -> Self {
        let better = match set {
            InstructionSet::Portable => return Self::Portable,
            InstructionSet::Avx2 => [Self::AvxVnni, Self::Avx2],
            InstructionSet::Avx512 => [Self::Avx512Vnni, Self::Avx512],
        };
        if better[0].is_available() { better[0] } else { better[1] }
    }

    /// All that there are.
    #[cfg(test)]
    const ALL: [Self; 5] = [Self::Portable, Self::Avx2, Self::AvxVnni, Self::Avx512, Self::Avx512Vnni];

    /// All of this machine.
    #[cfg(test)]
    pub(crate) fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|own| own.is_available()).collect()
    }

    /// Whether this machine has it.
    pub(super) fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => InstructionSet::Avx2.is_available(),
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => InstructionSet::Avx2.is_available() && is_x86_feature_detected!("avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => InstructionSet::Avx512.is_available(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => InstructionSet::Avx512.is_available() && is_x86_feature_detected!("avx512vnni"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// Whether the first two products of a lane are added in 16 bits, and the other two: then their weights have to
    /// [fit](fits_pairs).
    pub(crate) fn adds_pairs(self) -> bool {
        match self {
            Self::Avx2 | Self::Avx512 => true,
            Self::Portable | Self::AvxVnni | Self::Avx512Vnni => false,
        }
    }
}

/// Whether no sum of two products of these weights with bytes leaves 16 bits.
pub(crate) fn fits_pairs(weights: [i8; 4]) -> bool {
    let (pairs, _) = weights.as_chunks::<2>();
    pairs.iter().all(|pair| {
        let [a, b] = pair.map(i32::from);
        a.max(0) + b.max(0) <= 128 && a.min(0) + b.min(0) >= -128
    })
}

/// Products of bytes on an instruction set.
pub(crate) trait Dots {
    /// Sixteen lanes of floats, or of four bytes.
    type V: Vector;
    /// Sixteen sums of 32 bits.
    type Sums: Copy;

    /// Sums of nothing.
    fn zero() -> Self::Sums;
    /// Adds to each lane the products of its four bytes with four weights, the lowest byte of `weights` first.
    fn dot(sums: Self::Sums, bytes: Self::V, weights: i32) -> Self::Sums;
    /// The sums as floats, rounded to the nearest.
    fn floats(sums: Self::Sums) -> Self::V;
    /// Moves the bytes of each lane down by one, and makes the value, rounded to the nearest whole number (ties to even) from 0
    /// to 255, the highest; NaN becomes 0.
    fn push(bytes: Self::V, value: Self::V) -> Self::V;
    /// The lowest byte of each lane as a float, and the others moved down by one.
    fn pop(bytes: Self::V) -> (Self::V, Self::V);
    /// The larger of each two bytes.
    fn max(a: Self::V, b: Self::V) -> Self::V;
}

/// Work on bytes that is compiled for every instruction set.
pub(crate) trait DotKernel {
    /// Does the work; implementations are `#[inline(always)]`.
    fn run<D: Dots>(self);
}

/// Runs a kernel, compiled for an instruction set.
#[inline]
pub(crate) fn dispatch_dots<K: DotKernel>(set: DotSet, kernel: K) {
    match set {
        DotSet::Portable => kernel.run::<Portable>(),
        #[cfg(target_arch = "x86_64")]
        DotSet::Avx2 => super::x86_dots::avx2(kernel),
        #[cfg(target_arch = "x86_64")]
        DotSet::AvxVnni => super::x86_dots::avx_vnni(kernel),
        #[cfg(target_arch = "x86_64")]
        DotSet::Avx512 => super::x86_dots::avx512(kernel),
        #[cfg(target_arch = "x86_64")]
        DotSet::Avx512Vnni => super::x86_dots::avx512_vnni(kernel),
        #[cfg(not(target_arch = "x86_64"))]
        _ => kernel.run::<Portable>(),
    }
}

/// The bits of every lane changed.
#[inline(always)]
fn changed<V: Vector>(own: V, f: impl Fn(usize, u32) -> u32) -> V {
    let mut lanes = Lanes::ZERO;
    own.store(&mut lanes);
    for lane in 0..LANES {
        lanes.0[lane] = f32::from_bits(f(lane, lanes.0[lane].to_bits()));
    }
    V::load(&lanes)
}

struct Portable;

impl Dots for Portable {
    type V = portable::V;
    type Sums = [i32; LANES];

    #[inline(always)]
    fn zero() -> [i32; LANES] {
        [0; LANES]
    }

    #[inline(always)]
    fn dot(mut sums: [i32; LANES], bytes: Self::V, weights: i32) -> [i32; LANES] {
        let mut lanes = Lanes::ZERO;
        bytes.store(&mut lanes);
        let weights = weights.to_le_bytes().map(|own| i32::from(own as i8));
        for lane in 0..LANES {
            let own = lanes.0[lane].to_bits();
            for place in 0..4 {
                sums[lane] += (own >> (8 * place) & 255) as i32 * weights[place];
            }
        }
        sums
    }

    #[inline(always)]
    fn floats(sums: [i32; LANES]) -> Self::V {
        Self::V::read(&sums.map(|own| own as f32))
    }

    #[inline(always)]
    fn push(bytes: Self::V, value: Self::V) -> Self::V {
        let mut values = Lanes::ZERO;
        value.store(&mut values);
        changed(bytes, |lane, own| {
            let value = values.0[lane];
            let value = if value > 0.0 { value } else { 0.0 };
            let value = if value < 255.0 { value } else { 255.0 };
            // Between 2^23 and 2^24 the neighbours of a float are whole numbers: the sum rounds, ties to even.
            own >> 8 | (value + 8_388_608.0).to_bits() << 24
        })
    }

    #[inline(always)]
    fn pop(bytes: Self::V) -> (Self::V, Self::V) {
        let mut lanes = Lanes::ZERO;
        bytes.store(&mut lanes);
        (Self::V::read(&lanes.0.map(|own| (own.to_bits() & 255) as f32)), changed(bytes, |_, own| own >> 8))
    }

    #[inline(always)]
    fn max(a: Self::V, b: Self::V) -> Self::V {
        let mut others = Lanes::ZERO;
        b.store(&mut others);
        changed(a, |lane, own| {
            let (own, other) = (own.to_le_bytes(), others.0[lane].to_bits().to_le_bytes());
            u32::from_le_bytes([0, 1, 2, 3].map(|place: usize| own[place].max(other[place])))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random bits that are the same every time.
    fn random(count: usize) -> Vec<u32> {
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 32) as u32
        };
        (0..count).map(|_| next()).collect()
    }

    fn lanes(own: &[u32]) -> Lanes {
        Lanes(std::array::from_fn(|lane| f32::from_bits(own[lane])))
    }

    #[test]
    fn sums_are_exact_on_every_instruction_set() {
        struct Sum<'a>(&'a [(Lanes, i32)], &'a mut Lanes);
        impl DotKernel for Sum<'_> {
            #[inline(always)]
            fn run<D: Dots>(self) {
                let mut sums = D::zero();
                for (bytes, weights) in self.0 {
                    sums = D::dot(sums, D::V::load(bytes), *weights);
                }
                D::floats(sums).store(self.1);
            }
        }
        let bits = random(17 * 64);
        let mut terms: Vec<(Lanes, i32)> = vec![];
        for own in bits.chunks_exact(17) {
            let weights = own[16].to_le_bytes().map(|own| (own as i8).max(-127));
            if fits_pairs(weights) {
                terms.push((lanes(own), own[16] as i32));
            } else {
                for kept in [[1, 0, 1, 0], [0, 1, 0, 1]] {
                    let half = [0, 1, 2, 3].map(|place: usize| (weights[place] * kept[place]) as u8);
                    terms.push((lanes(own), i32::from_le_bytes(half)));
                }
            }
        }
        // The largest products there are.
        let full = lanes(&[u32::MAX; LANES]);
        terms.extend([(full, 0x0001_7f01), (full, i32::from_le_bytes([0x81, 0xff, 1, 127]))]);
        let expected = |lane: usize| {
            let term = |(bytes, weights): &(Lanes, i32)| -> i32 {
                let weights = weights.to_le_bytes().map(|own| i32::from(own as i8));
                let bytes = bytes.0[lane].to_bits().to_le_bytes().map(i32::from);
                (0..4).map(|place| bytes[place] * weights[place]).sum()
            };
            terms.iter().map(term).sum::<i32>() as f32
        };
        for set in DotSet::available() {
            let mut found = Lanes::ZERO;
            dispatch_dots(set, Sum(&terms, &mut found));
            assert_eq!(found, Lanes(std::array::from_fn(expected)), "{set:?}");
        }
    }

    #[test]
    fn pairs_fit_up_to_their_largest_sums() {
        let yes = [[127, 1, -127, -1], [127, -127, 127, -127], [64, 64, -64, -64], [0; 4]];
        let no = [[127, 2, 0, 0], [0, 0, -127, -2], [0, 0, 65, 64]];
        assert!(yes.into_iter().all(fits_pairs));
        assert!(!no.into_iter().any(fits_pairs));
    }

    #[test]
    fn bytes_are_pushed_popped_and_compared_alike() {
        struct Bytes<'a>(&'a [Lanes; 4], &'a mut Vec<Lanes>);
        impl DotKernel for Bytes<'_> {
            #[inline(always)]
            fn run<D: Dots>(self) {
                let mut found = [Lanes::ZERO; 6];
                let mut bytes = D::V::splat(0.0);
                for own in self.0 {
                    bytes = D::push(bytes, D::V::load(own));
                }
                bytes.store(&mut found[0]);
                let first = bytes;
                for place in 1..5 {
                    let (value, rest) = D::pop(bytes);
                    value.store(&mut found[place]);
                    bytes = rest;
                }
                D::max(first, D::push(first, D::V::splat(77.0))).store(&mut found[5]);
                self.1.extend(found);
            }
        }
        let mut values = [Lanes::ZERO; 4];
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, -0.6, 0.5, 1.5, 2.5, 254.5, 255.49, 256.0, 1e20];
        for (place, own) in values.iter_mut().enumerate() {
            own.0 =
                std::array::from_fn(|lane| odd.get(lane + place).copied().unwrap_or((lane * 13 + place) as f32 + 0.4));
        }
        let byte = |value: f32| if value.is_nan() { 0 } else { value.round_ties_even().clamp(0.0, 255.0) as u8 };
        for set in DotSet::available() {
            let mut found = vec![];
            dispatch_dots(set, Bytes(&values, &mut found));
            for lane in 0..LANES {
                let bytes = [0, 1, 2, 3].map(|place: usize| byte(values[place].0[lane]));
                assert_eq!(found[0].0[lane].to_bits(), u32::from_le_bytes(bytes), "{set:?}, lane {lane}");
                assert_eq!([1, 2, 3, 4].map(|place: usize| found[place].0[lane]), bytes.map(f32::from), "{set:?}");
                let next = [bytes[1], bytes[2], bytes[3], 77];
                let larger = [0, 1, 2, 3].map(|place: usize| bytes[place].max(next[place]));
                assert_eq!(found[5].0[lane].to_bits(), u32::from_le_bytes(larger), "{set:?}");
            }
        }
    }

    #[test]
    fn the_products_of_bytes_that_are_tested_are_printed() {
        let (tested, lacking): (Vec<_>, Vec<_>) = DotSet::ALL.into_iter().partition(|own| own.is_available());
        println!("products of bytes tested: {tested:?}; not on this machine: {lacking:?}");
        assert_eq!(tested, DotSet::available());
    }
}
