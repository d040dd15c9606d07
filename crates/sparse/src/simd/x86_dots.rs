//! Products of bytes with AVX2, AVX-512 and their VNNI extensions.
//!
//! As in `x86.rs`, the values exist only inside functions that are entered where the machine has the instructions: that is what
//! makes the `unsafe` below sound.
#![expect(unsafe_code, reason = "intrinsics, and functions compiled for instructions that were detected before")]

use super::dots::{DotKernel, DotSet, Dots};
use super::x86::{self, intrinsics};
use std::arch::x86_64::*;

macro_rules! entered {
    ($(#[$doc:meta] $name:ident, $set:ident, $features:literal;)*) => {
        $(
            #[$doc]
            pub(super) fn $name<K: DotKernel>(kernel: K) {
                #[target_feature(enable = $features)]
                fn inner<K: DotKernel>(kernel: K) {
                    kernel.run::<$set>();
                }
                assert!(DotSet::$set.is_available(), "this machine lacks {}", $features);
                // SAFETY: asserted just above.
                unsafe { inner(kernel) }
            }
        )*
    };
}

entered! {
    /// Runs a kernel compiled for AVX2.
    avx2, Avx2, "avx2,fma";
    /// Runs a kernel compiled for AVX2 and AVX-VNNI.
    avx_vnni, AvxVnni, "avxvnni,avx2,fma";
    /// Runs a kernel compiled for AVX-512.
    avx512, Avx512, "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma";
    /// Runs a kernel compiled for AVX-512 VNNI.
    avx512_vnni, Avx512Vnni, "avx512vnni,avx512f,avx512vl,avx512bw,avx512dq,avx2,fma";
}

/// The bytes and their weights in products of pairs.
struct Avx2;
/// Four products at once.
struct AvxVnni;
/// The bytes and their weights in products of pairs.
struct Avx512;
/// Four products at once.
struct Avx512Vnni;

/// What the sets of 256 bits share: a register holds half of the lanes.
macro_rules! halves {
    ($set:ident, $dot:expr) => {
        impl Dots for $set {
            type V = x86::Avx2;
            type Sums = [__m256i; 2];

            #[inline(always)]
            fn zero() -> Self::Sums {
                [intrinsics!(_mm256_setzero_si256()); 2]
            }

            #[inline(always)]
            fn dot(sums: Self::Sums, bytes: Self::V, weights: i32) -> Self::Sums {
                let weights = intrinsics!(_mm256_set1_epi32(weights));
                let half = |sums, bytes| intrinsics!($dot(sums, _mm256_castps_si256(bytes), weights));
                [half(sums[0], bytes.0), half(sums[1], bytes.1)]
            }

            #[inline(always)]
            fn floats([low, high]: Self::Sums) -> Self::V {
                intrinsics!(x86::Avx2(_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high)))
            }

            #[inline(always)]
            fn push(bytes: Self::V, value: Self::V) -> Self::V {
                // SAFETY: see the head of this file.
                let half = |bytes, value| unsafe {
                    let value = _mm256_min_ps(_mm256_max_ps(value, _mm256_setzero_ps()), _mm256_set1_ps(255.0));
                    let highest = _mm256_slli_epi32::<24>(_mm256_cvtps_epi32(value));
                    _mm256_castsi256_ps(_mm256_or_si256(_mm256_srli_epi32::<8>(_mm256_castps_si256(bytes)), highest))
                };
                x86::Avx2(half(bytes.0, value.0), half(bytes.1, value.1))
            }

            #[inline(always)]
            fn pop(bytes: Self::V) -> (Self::V, Self::V) {
                let low = |bytes| {
                    intrinsics!(_mm256_cvtepi32_ps(_mm256_and_si256(
                        _mm256_castps_si256(bytes),
                        _mm256_set1_epi32(255)
                    )))
                };
                let rest = |bytes| intrinsics!(_mm256_castsi256_ps(_mm256_srli_epi32::<8>(_mm256_castps_si256(bytes))));
                (x86::Avx2(low(bytes.0), low(bytes.1)), x86::Avx2(rest(bytes.0), rest(bytes.1)))
            }

            #[inline(always)]
            fn max(a: Self::V, b: Self::V) -> Self::V {
                let half = |a, b| {
                    intrinsics!(_mm256_castsi256_ps(_mm256_max_epu8(_mm256_castps_si256(a), _mm256_castps_si256(b))))
                };
                x86::Avx2(half(a.0, b.0), half(a.1, b.1))
            }
        }
    };
}

halves!(Avx2, |sums, bytes, weights| {
    // Pairs that fit 16 bits, and then the sum of both.
    let pairs = _mm256_maddubs_epi16(bytes, weights);
    _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
});
halves!(AvxVnni, |sums, bytes, weights| _mm256_dpbusd_avx_epi32(sums, bytes, weights));

/// What the sets of 512 bits share.
macro_rules! whole {
    ($set:ident, $dot:expr) => {
        impl Dots for $set {
            type V = x86::Avx512;
            type Sums = __m512i;

            #[inline(always)]
            fn zero() -> Self::Sums {
                intrinsics!(_mm512_setzero_si512())
            }

            #[inline(always)]
            fn dot(sums: Self::Sums, bytes: Self::V, weights: i32) -> Self::Sums {
                intrinsics!($dot(sums, _mm512_castps_si512(bytes.0), _mm512_set1_epi32(weights)))
            }

            #[inline(always)]
            fn floats(sums: Self::Sums) -> Self::V {
                x86::Avx512(intrinsics!(_mm512_cvtepi32_ps(sums)))
            }

            #[inline(always)]
            fn push(bytes: Self::V, value: Self::V) -> Self::V {
                // SAFETY: see the head of this file.
                unsafe {
                    let value = _mm512_min_ps(_mm512_max_ps(value.0, _mm512_setzero_ps()), _mm512_set1_ps(255.0));
                    let highest = _mm512_slli_epi32::<24>(_mm512_cvtps_epi32(value));
                    let others = _mm512_srli_epi32::<8>(_mm512_castps_si512(bytes.0));
                    x86::Avx512(_mm512_castsi512_ps(_mm512_or_si512(others, highest)))
                }
            }

            #[inline(always)]
            fn pop(bytes: Self::V) -> (Self::V, Self::V) {
                // SAFETY: see the head of this file.
                unsafe {
                    let bytes = _mm512_castps_si512(bytes.0);
                    let low = _mm512_cvtepi32_ps(_mm512_and_si512(bytes, _mm512_set1_epi32(255)));
                    (x86::Avx512(low), x86::Avx512(_mm512_castsi512_ps(_mm512_srli_epi32::<8>(bytes))))
                }
            }

            #[inline(always)]
            fn max(a: Self::V, b: Self::V) -> Self::V {
                let (a, b) = intrinsics!((_mm512_castps_si512(a.0), _mm512_castps_si512(b.0)));
                x86::Avx512(intrinsics!(_mm512_castsi512_ps(_mm512_max_epu8(a, b))))
            }
        }
    };
}

whole!(Avx512, |sums, bytes, weights| {
    // Pairs that fit 16 bits, and then the sum of both.
    let pairs = _mm512_maddubs_epi16(bytes, weights);
    _mm512_add_epi32(sums, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))
});
whole!(Avx512Vnni, |sums, bytes, weights| _mm512_dpbusd_epi32(sums, bytes, weights));
