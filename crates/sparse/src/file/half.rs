//! 16-bit floats: IEEE 754 binary16 for values, and the upper half of an f32 (bfloat16) for scales.

/// The nearest binary16, ties to even; what is too large becomes infinite.
pub(super) fn to_f16(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00;
    }
    // 65,520 lies halfway between the largest binary16 and the next power of two.
    if magnitude >= 0x477f_f000 {
        return sign | 0x7c00;
    }
    if magnitude < 0x3880_0000 {
        // Below 2^-14 a binary16 counts in steps of 2^-24, and so does an f32 between 1/2 and 1.
        return sign | (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0x3f00_0000) as u16;
    }
    let rebased = magnitude - (112 << 23);
    sign | ((rebased + 0xfff + (rebased >> 13 & 1)) >> 13) as u16
}

/// The value of a binary16, exactly.
pub(super) fn from_f16(half: u16) -> f32 {
    let (sign, magnitude) = (u32::from(half & 0x8000) << 16, u32::from(half & 0x7fff));
    let positive = match magnitude {
        0..0x400 => magnitude as f32 / 16_777_216.0,
        0x400..0x7c00 => f32::from_bits((magnitude << 13) + (112 << 23)),
        _ => f32::from_bits(magnitude << 13 | 0x7f80_0000),
    };
    f32::from_bits(positive.to_bits() | sign)
}

/// The nearest bfloat16 of a positive value, ties to even.
pub(super) fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// The value of a bfloat16, exactly.
pub(super) fn from_bf16(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_binary16_comes_back_and_lies_where_the_standard_puts_it() {
        for half in 0..=u16::MAX {
            let value = from_f16(half);
            if value.is_nan() {
                assert!(half & 0x7fff > 0x7c00 && from_f16(to_f16(value)).is_nan());
                continue;
            }
            assert_eq!(to_f16(value), half);
            let (exponent, fraction) = (i32::from(half >> 10 & 31), f64::from(half & 0x3ff) / 1024.0);
            let size = match exponent {
                0 => fraction * 2f64.powi(-14),
                31 => f64::INFINITY,
                _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
            };
            assert_eq!(f64::from(value), if half & 0x8000 == 0 { size } else { -size });
        }
    }

    #[test]
    fn what_lies_between_two_goes_to_the_nearer_and_from_the_middle_to_the_even_one() {
        for half in 0..0x7bffu16 {
            let (low, high) = (from_f16(half), from_f16(half + 1));
            let middle = (low + high) / 2.0;
            let even = half + (half & 1);
            assert_eq!(to_f16(middle), even, "{middle}");
            assert_eq!(to_f16(f32::from_bits(middle.to_bits() - 1)), half);
            assert_eq!(to_f16(-f32::from_bits(middle.to_bits() + 1)), 0x8000 | (half + 1));
        }
        assert_eq!([to_f16(65_519.996), to_f16(65_520.0), to_f16(f32::MAX)], [0x7bff, 0x7c00, 0x7c00]);
    }

    #[test]
    fn a_bfloat16_is_the_upper_half() {
        assert_eq!(to_bf16(1.0), 0x3f80);
        assert_eq!(to_bf16(1.003), 0x3f80);
        assert_eq!(to_bf16(1.005), 0x3f81);
        assert_eq!(from_bf16(0x3f81), 1.007_812_5);
        assert_eq!(from_bf16(to_bf16(f32::MAX)), f32::INFINITY);
    }
}
