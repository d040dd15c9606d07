//! The vector of the baseline: an array, for the compiler to vectorise.

use super::Vector;
use super::registers::{ENTRIES, Lookup, Whole};
use crate::lanes::{LANES, Lanes};

#[derive(Clone, Copy)]
pub(super) struct V([f32; LANES]);

impl V {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
}

impl Vector for V {
    type Register = Whole<Self>;

    const REGISTERS: usize = if cfg!(target_arch = "aarch64") { 8 } else { 4 };

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    fn load(from: &Lanes) -> Self {
        Self(from.0)
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes) {
        to.0 = self.0;
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // `f32::mul_add` is a function call where the target has no such instruction.
        if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
            Self(std::array::from_fn(|lane| self.0[lane].mul_add(factor.0[lane], addend.0[lane])))
        } else {
            self.mul(factor).add(addend)
        }
    }

    #[inline(always)]
    fn scaled(self, power: Self) -> Self {
        // The exponent of a float is that of 2, and 127.
        self.zip(power, |own, power| own * f32::from_bits(((power as i32 + 127) as u32) << 23))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn max_or_nan(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b || a.is_nan() { a } else { b })
    }

    #[inline(always)]
    fn greater_or_nan(self, other: Self) -> u16 {
        let greater = |lane: usize| self.0[lane] > other.0[lane] || self.0[lane].is_nan() || other.0[lane].is_nan();
        (0..LANES).fold(0, |bits, lane| bits | (u16::from(greater(lane)) << lane))
    }

    #[inline(always)]
    fn greater(self, other: Self) -> u16 {
        (0..LANES).fold(0, |bits, lane| bits | (u16::from(self.0[lane] > other.0[lane]) << lane))
    }

    #[inline(always)]
    fn keep(self, bits: u16) -> Self {
        Self(std::array::from_fn(|lane| if bits >> lane & 1 == 1 { self.0[lane] } else { 0.0 }))
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        self.zip(other, |a, b| f32::from_bits(a.to_bits() | b.to_bits()))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let mut lanes = self.0;
        let mut width = LANES / 2;
        while width > 0 {
            for lane in 0..width {
                lanes[lane] += lanes[lane + width];
            }
            width /= 2;
        }
        lanes[0]
    }

    #[inline(always)]
    fn read(from: &[f32; LANES]) -> Self {
        Self(*from)
    }

    #[inline(always)]
    fn write(self, to: &mut [f32; LANES]) {
        *to = self.0;
    }

    #[inline(always)]
    fn unzip(self, next: Self) -> (Self, Self) {
        let at = |place: usize| if place < LANES { self.0[place] } else { next.0[place - LANES] };
        (Self(std::array::from_fn(|lane| at(2 * lane))), Self(std::array::from_fn(|lane| at(2 * lane + 1))))
    }

    #[inline(always)]
    fn moved(self, lanes: &[u32; LANES], bits: u16) -> Self {
        Self(std::array::from_fn(|lane| self.0[lanes[lane] as usize & 15])).keep(bits)
    }

    #[inline(always)]
    fn transpose(from: &[Lanes; LANES], to: &mut [Lanes; LANES]) {
        for (row, own) in to.iter_mut().enumerate() {
            own.0 = std::array::from_fn(|column| from[column].0[row]);
        }
    }
}

impl Lookup for V {
    type Indices = [u32; LANES];

    #[inline(always)]
    fn indices(from: &[u32; LANES]) -> Self::Indices {
        *from
    }

    #[inline(always)]
    fn next(indices: Self::Indices) -> Self::Indices {
        indices.map(|own| own >> 8)
    }

    #[inline(always)]
    fn pick(table: &[f32; ENTRIES], indices: Self::Indices) -> Self {
        Self(indices.map(|own| table[own as usize % ENTRIES]))
    }
}
