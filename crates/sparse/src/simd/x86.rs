//! The vectors of AVX2 and AVX-512.
//!
//! Their values exist only inside [`avx2`] and [`avx512`], which are entered only where the machine has the instructions:
//! that is what makes the `unsafe` below sound.
#![expect(unsafe_code, reason = "intrinsics, and functions compiled for instructions that were detected before")]

use super::registers::{ENTRIES, Lookup, Whole};
use super::{InstructionSet, Kernel, Register, Vector};
use crate::lanes::{LANES, Lanes};
use std::arch::x86_64::*;

/// Intrinsics that read and write no memory.
macro_rules! intrinsics {
    ($own:expr) => {{
        // SAFETY: see the head of this file.
        unsafe { $own }
    }};
}
pub(super) use intrinsics;

/// Runs a kernel compiled for AVX2, FMA and F16C.
pub(super) fn avx2<K: Kernel>(kernel: K) -> K::Output {
    #[target_feature(enable = "avx2,fma,f16c")]
    fn inner<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Avx2>()
    }
    assert!(InstructionSet::Avx2.is_available(), "this machine has no AVX2");
    // SAFETY: asserted just above.
    unsafe { inner(kernel) }
}

/// Runs a kernel compiled for AVX-512.
pub(super) fn avx512<K: Kernel>(kernel: K) -> K::Output {
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,f16c")]
    fn inner<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Avx512>()
    }
    assert!(InstructionSet::Avx512.is_available(), "this machine has no AVX-512");
    // SAFETY: asserted just above.
    unsafe { inner(kernel) }
}

#[derive(Clone, Copy)]
pub(super) struct Avx512(pub(super) __m512);

impl Vector for Avx512 {
    type Register = Whole<Self>;

    const REGISTERS: usize = 32;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see the head of this file.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    fn load(from: &Lanes) -> Self {
        // SAFETY: `Lanes` is 64 bytes, aligned to 64.
        Self(unsafe { _mm512_load_ps(from.0.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes) {
        // SAFETY: `Lanes` is 64 bytes, aligned to 64.
        unsafe { _mm512_store_ps(to.0.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn prefetch(own: &Lanes) {
        // SAFETY: a hint, which reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(own.0.as_ptr().cast()) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(intrinsics!(_mm512_add_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(intrinsics!(_mm512_sub_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(intrinsics!(_mm512_mul_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        Self(intrinsics!(_mm512_div_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(intrinsics!(_mm512_sqrt_ps(self.0)))
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(intrinsics!(_mm512_fmadd_ps(self.0, factor.0, addend.0)))
    }

    #[inline(always)]
    fn scaled(self, power: Self) -> Self {
        Self(intrinsics!(_mm512_scalef_ps(self.0, power.0)))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(intrinsics!(_mm512_max_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn max_or_nan(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        unsafe {
            let ordered = _mm512_cmp_ps_mask::<_CMP_ORD_Q>(self.0, other.0);
            Self(_mm512_mask_max_ps(_mm512_set1_ps(f32::NAN), ordered, self.0, other.0))
        }
    }

    #[inline(always)]
    fn greater_or_nan(self, other: Self) -> u16 {
        intrinsics!(_mm512_cmp_ps_mask::<_CMP_NLE_UQ>(self.0, other.0))
    }

    #[inline(always)]
    fn greater(self, other: Self) -> u16 {
        intrinsics!(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, other.0))
    }

    #[inline(always)]
    fn keep(self, bits: u16) -> Self {
        Self(intrinsics!(_mm512_maskz_mov_ps(bits, self.0)))
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Self(intrinsics!(_mm512_or_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        intrinsics!(_mm512_reduce_add_ps(self.0))
    }

    #[inline(always)]
    fn sum_each(own: &[Self; 8]) -> [f32; 8] {
        let mut sums = [0.0; 8];
        // Halves are added until one number is left, as in `sum`; two vectors share a register after each time.
        // SAFETY: eight floats are 32 bytes.
        unsafe {
            let mut halves = [_mm512_setzero_ps(); 4];
            for pair in 0..4 {
                let [a, b] = [own[2 * pair].0, own[2 * pair + 1].0];
                halves[pair] = _mm512_add_ps(_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0xee>(a, b));
            }
            let [a, b, c, d] = halves;
            let first = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
            let second = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
            let twos =
                _mm512_add_ps(_mm512_shuffle_ps::<0x44>(first, second), _mm512_shuffle_ps::<0xee>(first, second));
            let all = _mm512_add_ps(_mm512_shuffle_ps::<0x88>(twos, twos), _mm512_shuffle_ps::<0xdd>(twos, twos));
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 0, 0, 0, 0, 0, 0, 0);
            let all = _mm512_castps512_ps256(_mm512_permutexvar_ps(order, all));
            _mm256_storeu_ps(sums.as_mut_ptr(), all);
        }
        sums
    }

    #[inline(always)]
    fn read(from: &[f32; LANES]) -> Self {
        // SAFETY: sixteen floats are 64 bytes.
        Self(unsafe { _mm512_loadu_ps(from.as_ptr()) })
    }

    #[inline(always)]
    fn write(self, to: &mut [f32; LANES]) {
        // SAFETY: sixteen floats are 64 bytes.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn widen(from: &[u16; LANES]) -> Self {
        // SAFETY: sixteen floats of 16 bits are 32 bytes.
        Self(unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast())) })
    }

    #[inline(always)]
    fn unzip(self, next: Self) -> (Self, Self) {
        // SAFETY: see the head of this file.
        unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
            let pick = |indices| Self(_mm512_permutex2var_ps(self.0, indices, next.0));
            (pick(even), pick(odd))
        }
    }

    #[inline(always)]
    fn moved(self, lanes: &[u32; LANES], bits: u16) -> Self {
        // SAFETY: sixteen indices are 64 bytes; of an index the permutation reads the lowest four bits.
        Self(unsafe { _mm512_maskz_permutexvar_ps(bits, _mm512_loadu_si512(lanes.as_ptr().cast()), self.0) })
    }

    #[inline(always)]
    fn transpose(from: &[Lanes; LANES], to: &mut [Lanes; LANES]) {
        // SAFETY: see the head of this file.
        unsafe {
            let zero = _mm512_setzero_ps();
            let (mut a, mut b) = ([zero; LANES], [zero; LANES]);
            // Quarters of four: first pairs of rows, then pairs of pairs, each within a quarter of the columns.
            for row in 0..8 {
                let (x, y) = (Self::load(&from[2 * row]).0, Self::load(&from[2 * row + 1]).0);
                a[2 * row] = _mm512_unpacklo_ps(x, y);
                a[2 * row + 1] = _mm512_unpackhi_ps(x, y);
            }
            for quad in 0..4 {
                for half in 0..2 {
                    let (x, y) = (_mm512_castps_pd(a[4 * quad + half]), _mm512_castps_pd(a[4 * quad + 2 + half]));
                    b[4 * quad + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y));
                    b[4 * quad + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
                }
            }
            // Then the quarters change places.
            for column in 0..4 {
                let (p, q, r, s) = (b[column], b[4 + column], b[8 + column], b[12 + column]);
                let (even_low, odd_low) = (_mm512_shuffle_f32x4::<0x88>(p, q), _mm512_shuffle_f32x4::<0xdd>(p, q));
                let (even_high, odd_high) = (_mm512_shuffle_f32x4::<0x88>(r, s), _mm512_shuffle_f32x4::<0xdd>(r, s));
                Self(_mm512_shuffle_f32x4::<0x88>(even_low, even_high)).store(&mut to[column]);
                Self(_mm512_shuffle_f32x4::<0x88>(odd_low, odd_high)).store(&mut to[4 + column]);
                Self(_mm512_shuffle_f32x4::<0xdd>(even_low, even_high)).store(&mut to[8 + column]);
                Self(_mm512_shuffle_f32x4::<0xdd>(odd_low, odd_high)).store(&mut to[12 + column]);
            }
        }
    }
}

impl Lookup for Avx512 {
    type Indices = __m512i;

    #[inline(always)]
    fn indices(from: &[u32; LANES]) -> __m512i {
        // SAFETY: sixteen indices are 64 bytes.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn next(indices: __m512i) -> __m512i {
        intrinsics!(_mm512_srli_epi32::<8>(indices))
    }

    #[inline(always)]
    fn pick(table: &[f32; ENTRIES], indices: __m512i) -> Self {
        // SAFETY: 32 floats; of an index the permutation reads the lowest five bits.
        unsafe {
            let (low, high) = (_mm512_loadu_ps(table.as_ptr()), _mm512_loadu_ps(table.as_ptr().add(LANES)));
            Self(_mm512_permutex2var_ps(low, indices, high))
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Avx2(pub(super) __m256, pub(super) __m256);

impl Vector for Avx2 {
    type Register = Half;

    const REGISTERS: usize = 8;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see the head of this file.
        let half = unsafe { _mm256_set1_ps(value) };
        Self(half, half)
    }

    #[inline(always)]
    fn load(from: &Lanes) -> Self {
        // SAFETY: `Lanes` is 64 bytes, aligned to 64.
        unsafe { Self(_mm256_load_ps(from.0.as_ptr()), _mm256_load_ps(from.0.as_ptr().add(8))) }
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes) {
        // SAFETY: `Lanes` is 64 bytes, aligned to 64.
        unsafe {
            _mm256_store_ps(to.0.as_mut_ptr(), self.0);
            _mm256_store_ps(to.0.as_mut_ptr().add(8), self.1);
        }
    }

    #[inline(always)]
    fn prefetch(own: &Lanes) {
        // SAFETY: a hint, which reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(own.0.as_ptr().cast()) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        intrinsics!(Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        intrinsics!(Self(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1)))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        intrinsics!(Self(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1)))
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        intrinsics!(Self(_mm256_div_ps(self.0, other.0), _mm256_div_ps(self.1, other.1)))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        intrinsics!(Self(_mm256_sqrt_ps(self.0), _mm256_sqrt_ps(self.1)))
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        intrinsics!(Self(_mm256_fmadd_ps(self.0, factor.0, addend.0), _mm256_fmadd_ps(self.1, factor.1, addend.1)))
    }

    #[inline(always)]
    fn scaled(self, power: Self) -> Self {
        // The exponent of a float is that of 2, and 127.
        // SAFETY: see the head of this file.
        unsafe {
            let bias = _mm256_set1_epi32(127);
            let low = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(power.0), bias));
            let high = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(power.1), bias));
            Self(_mm256_mul_ps(self.0, _mm256_castsi256_ps(low)), _mm256_mul_ps(self.1, _mm256_castsi256_ps(high)))
        }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        intrinsics!(Self(_mm256_max_ps(self.0, other.0), _mm256_max_ps(self.1, other.1)))
    }

    #[inline(always)]
    fn max_or_nan(self, other: Self) -> Self {
        // Ones in every bit are a NaN.
        let half = |a, b| intrinsics!(_mm256_or_ps(_mm256_max_ps(a, b), _mm256_cmp_ps::<_CMP_UNORD_Q>(a, b)));
        Self(half(self.0, other.0), half(self.1, other.1))
    }

    #[inline(always)]
    fn greater_or_nan(self, other: Self) -> u16 {
        let half = |a, b| intrinsics!(_mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(a, b))) as u16;
        half(self.0, other.0) | (half(self.1, other.1) << 8)
    }

    #[inline(always)]
    fn greater(self, other: Self) -> u16 {
        let half = |a, b| intrinsics!(_mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b))) as u16;
        half(self.0, other.0) | (half(self.1, other.1) << 8)
    }

    #[inline(always)]
    fn keep(self, bits: u16) -> Self {
        // A lane's bit becomes all ones or all zeros: compare the bits, spread over the lanes, with the lane's own.
        // SAFETY: see the head of this file.
        unsafe {
            let spread = _mm256_set1_epi32(i32::from(bits));
            let (low, high) = (
                _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128),
                _mm256_setr_epi32(256, 512, 1024, 2048, 4096, 8192, 16384, 32768),
            );
            let mask = |own| _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(spread, own), own));
            Self(_mm256_and_ps(self.0, mask(low)), _mm256_and_ps(self.1, mask(high)))
        }
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        intrinsics!(Self(_mm256_or_ps(self.0, other.0), _mm256_or_ps(self.1, other.1)))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        Half(intrinsics!(_mm256_add_ps(self.0, self.1))).sum()
    }

    #[inline(always)]
    fn read(from: &[f32; LANES]) -> Self {
        // SAFETY: sixteen floats are 64 bytes.
        unsafe { Self(_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(8))) }
    }

    #[inline(always)]
    fn write(self, to: &mut [f32; LANES]) {
        // SAFETY: sixteen floats are 64 bytes.
        unsafe {
            _mm256_storeu_ps(to.as_mut_ptr(), self.0);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), self.1);
        }
    }

    #[inline(always)]
    fn widen(from: &[u16; LANES]) -> Self {
        let (low, high) = from.split_at(8);
        Self(Half::widen(low).0, Half::widen(high).0)
    }

    #[inline(always)]
    fn unzip(self, next: Self) -> (Self, Self) {
        // Of two halves a shuffle gives the pairs' places in the order 0 2 1 3; the quarters then change places.
        // SAFETY: see the head of this file.
        unsafe {
            let order = |own| _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_castps_pd(own)));
            let even = |a, b| order(_mm256_shuffle_ps::<0b10_00_10_00>(a, b));
            let odd = |a, b| order(_mm256_shuffle_ps::<0b11_01_11_01>(a, b));
            let (a, b, c, d) = (self.0, self.1, next.0, next.1);
            (Self(even(a, b), even(c, d)), Self(odd(a, b), odd(c, d)))
        }
    }

    #[inline(always)]
    fn moved(self, lanes: &[u32; LANES], bits: u16) -> Self {
        // Of an index the permutations read the lowest three bits; the next one says which half it means.
        // SAFETY: sixteen indices are 64 bytes.
        let half = |from: *const u32| unsafe {
            let indices = _mm256_loadu_si256(from.cast());
            let [low, high] = [self.0, self.1].map(|own| _mm256_permutevar8x32_ps(own, indices));
            _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32::<28>(indices)))
        };
        let [low, high] = lanes.as_chunks::<8>().0 else { unreachable!("sixteen lanes are two halves") };
        Self(half(low.as_ptr()), half(high.as_ptr())).keep(bits)
    }

    #[inline(always)]
    fn transpose(from: &[Lanes; LANES], to: &mut [Lanes; LANES]) {
        // Four squares of eight.
        for (row, column) in [(0, 0), (0, 8), (8, 0), (8, 8)] {
            // SAFETY: see the head of this file.
            unsafe {
                let zero = _mm256_setzero_ps();
                let (mut a, mut b) = ([zero; 8], [zero; 8]);
                for pair in 0..4 {
                    let x = _mm256_loadu_ps(from[row + 2 * pair].0[column..column + 8].as_ptr());
                    let y = _mm256_loadu_ps(from[row + 2 * pair + 1].0[column..column + 8].as_ptr());
                    a[2 * pair] = _mm256_unpacklo_ps(x, y);
                    a[2 * pair + 1] = _mm256_unpackhi_ps(x, y);
                }
                for quad in 0..2 {
                    for half in 0..2 {
                        let (x, y) = (a[4 * quad + half], a[4 * quad + 2 + half]);
                        b[4 * quad + 2 * half] = _mm256_shuffle_ps::<0x44>(x, y);
                        b[4 * quad + 2 * half + 1] = _mm256_shuffle_ps::<0xee>(x, y);
                    }
                }
                for lane in 0..4 {
                    let low = _mm256_permute2f128_ps::<0x20>(b[lane], b[4 + lane]);
                    let high = _mm256_permute2f128_ps::<0x31>(b[lane], b[4 + lane]);
                    _mm256_storeu_ps(to[column + lane].0[row..row + 8].as_mut_ptr(), low);
                    _mm256_storeu_ps(to[column + 4 + lane].0[row..row + 8].as_mut_ptr(), high);
                }
            }
        }
    }
}

/// Eight floats, half of an [`Avx2`].
#[derive(Clone, Copy)]
pub(super) struct Half(__m256);

impl Register for Half {
    const COUNT: usize = 2;
    const ENTRIES: usize = 8;

    type Indices = __m256i;

    #[inline(always)]
    fn zero() -> Self {
        Self(intrinsics!(_mm256_setzero_ps()))
    }

    #[inline(always)]
    fn load(from: &Lanes, place: usize) -> Self {
        Self::read(&from.0[8 * place..])
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes, place: usize) {
        let half = to.0[8 * place..].first_chunk_mut::<8>().expect("a vector has two halves");
        // SAFETY: eight floats are 32 bytes.
        unsafe { _mm256_storeu_ps(half.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn read(from: &[f32]) -> Self {
        let from = from.first_chunk::<8>().expect("eight floats");
        // SAFETY: eight floats are 32 bytes.
        Self(unsafe { _mm256_loadu_ps(from.as_ptr()) })
    }

    #[inline(always)]
    fn widen(from: &[u16]) -> Self {
        let from = from.first_chunk::<8>().expect("eight floats");
        // SAFETY: eight floats of 16 bits are 16 bytes.
        Self(unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast())) })
    }

    #[inline(always)]
    fn indices(from: &[u32]) -> __m256i {
        let from = from.first_chunk::<8>().expect("eight lanes");
        // SAFETY: eight indices are 32 bytes.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn next(indices: __m256i) -> __m256i {
        intrinsics!(_mm256_srli_epi32::<8>(indices))
    }

    #[inline(always)]
    fn pick(table: &[f32], indices: __m256i) -> Self {
        // Of an index the permutation reads the lowest three bits.
        Self(intrinsics!(_mm256_permutevar8x32_ps(Self::read(table).0, indices)))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(intrinsics!(_mm256_add_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(intrinsics!(_mm256_fmadd_ps(self.0, factor.0, addend.0)))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: see the head of this file.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn sum_each(own: &[Self; 8]) -> [f32; 8] {
        let mut sums = [0.0; 8];
        // Halves are added until one number is left, as in `sum`; two vectors share a register after each time.
        // SAFETY: eight floats are 32 bytes.
        unsafe {
            let mut fours = [_mm256_setzero_ps(); 4];
            for pair in 0..4 {
                let [a, b] = [own[2 * pair].0, own[2 * pair + 1].0];
                fours[pair] = _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(a, b), _mm256_permute2f128_ps::<0x31>(a, b));
            }
            let [a, b, c, d] = fours;
            let first = _mm256_add_ps(_mm256_shuffle_ps::<0x44>(a, b), _mm256_shuffle_ps::<0xee>(a, b));
            let second = _mm256_add_ps(_mm256_shuffle_ps::<0x44>(c, d), _mm256_shuffle_ps::<0xee>(c, d));
            let all = _mm256_add_ps(_mm256_shuffle_ps::<0x88>(first, second), _mm256_shuffle_ps::<0xdd>(first, second));
            let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
            _mm256_storeu_ps(sums.as_mut_ptr(), _mm256_permutevar8x32_ps(all, order));
        }
        sums
    }
}
