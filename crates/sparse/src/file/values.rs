//! What a matrix holds, as f32, f16 or int8 with a scale a row: rounded before it is known where the zeros are.

use super::bits::{Reader, Writer};
use super::positions::Positions;
use super::{Error, Precision};
use half::{bf16, f16};

/// The values of a whole matrix, as they are stored.
#[derive(Debug)]
pub(super) enum Values {
    F32(Vec<f32>),
    F16(Vec<u16>),
    /// A value is its code times the scale of its row, a bfloat16.
    Int8 {
        codes: Vec<i8>,
        scales: Vec<u16>,
    },
}

impl Values {
    /// Rounds the values of a `[rows, columns]` matrix.
    pub(super) fn new(
        [rows, columns]: [usize; 2],
        values: &[f32],
        precision: Precision,
        what: &str,
    ) -> Result<Self, Error> {
        let refuse = |bad: &dyn Fn(f32) -> bool, wanted| match values.iter().position(|value| bad(*value)) {
            Some(place) => Err(Error::Value { what: what.to_owned(), place, found: values[place], wanted }),
            None => Ok(()),
        };
        refuse(&|value| !value.is_finite(), "only finite values can be stored")?;
        Ok(match precision {
            // Adding 0 turns a negative zero into a positive one.
            Precision::F32 => Self::F32(values.iter().map(|value| value + 0.0).collect()),
            Precision::F16 => {
                let large = |value: f32| !f16::from_f32(value).is_finite();
                refuse(&large, "f16 holds at most 65504 to either side, so store this network as f32")?;
                let half =
                    |value: &f32| if f16::from_f32(*value) == f16::ZERO { 0 } else { f16::from_f32(*value).to_bits() };
                Self::F16(values.iter().map(half).collect())
            }
            Precision::Int8 => {
                let row = |row: usize| &values[row * columns..][..columns];
                let scales: Vec<u16> = (0..rows).map(|own| scale(row(own))).collect();
                let codes = (0..rows).flat_map(|own| {
                    let scale = bf16::from_bits(scales[own]).to_f32();
                    row(own).iter().map(move |value| code(*value, scale) as i8)
                });
                Self::Int8 { codes: codes.collect(), scales }
            }
        })
    }

    /// The values again, rounded.
    pub(super) fn restored(&self, columns: usize) -> Vec<f32> {
        match self {
            Self::F32(values) => values.clone(),
            Self::F16(values) => values.iter().map(|half| f16::from_bits(*half).to_f32()).collect(),
            Self::Int8 { codes, scales } => {
                let value =
                    |(place, code): (usize, &i8)| f32::from(*code) * bf16::from_bits(scales[place / columns]).to_f32();
                codes.iter().enumerate().map(value).collect()
            }
        }
    }

    /// The places that are not zero, ascending.
    pub(super) fn nonzero(&self) -> Vec<u32> {
        fn places(zeros: impl Iterator<Item = bool>) -> Vec<u32> {
            (0u32..).zip(zeros).filter(|(_, zero)| !zero).map(|(place, _)| place).collect()
        }
        match self {
            Self::F32(values) => places(values.iter().map(|value| *value == 0.0)),
            Self::F16(values) => places(values.iter().map(|value| *value == 0)),
            Self::Int8 { codes, .. } => places(codes.iter().map(|code| *code == 0)),
        }
    }

    /// Writes the values at the given positions, those of a scale for each live row first.
    pub(super) fn write(&self, positions: &Positions, writer: &mut Writer) {
        let places = || positions.places.iter().map(|place| positions.whole(*place));
        match self {
            Self::F32(values) => writer.section(places().flat_map(|place| values[place].to_le_bytes())),
            Self::F16(values) => writer.section(places().flat_map(|place| values[place].to_le_bytes())),
            Self::Int8 { codes, scales } => {
                let rows = &positions.axes[0];
                writer.section((0..rows.live()).flat_map(|own| scales[rows.whole(own)].to_le_bytes()));
                writer.section(places().map(|place| codes[place] as u8));
            }
        }
    }
}

/// Reads what [`Values::write`] wrote: the stored values.
pub(super) fn read(
    positions: &Positions,
    precision: Precision,
    what: &str,
    reader: &mut Reader<'_>,
) -> Result<Vec<f32>, Error> {
    let stored = positions.places.len();
    let section = format!("the values of {what}");
    let values: Vec<f32> = match precision {
        Precision::F32 => {
            let bytes = reader.section(4 * stored, &section)?;
            let value = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            bytes.chunks_exact(4).map(value).collect()
        }
        Precision::F16 => {
            let bytes = reader.section(2 * stored, &section)?;
            bytes.chunks_exact(2).map(|bytes| f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()).collect()
        }
        Precision::Int8 => {
            let bytes = reader.section(2 * positions.axes[0].live(), &format!("the scales of {what}"))?;
            let scales: Vec<f32> =
                bytes.chunks_exact(2).map(|bytes| bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32()).collect();
            let codes = reader.section(stored, &section)?;
            let mut used = vec![false; scales.len()];
            let mut values = Vec::with_capacity(stored);
            for (place, code) in positions.places.iter().zip(codes) {
                let row = positions.row(*place);
                used[row] |= *code != 0;
                if *code == 128 {
                    return Err(reader.field(&section, -128, "codes from -127 to 127"));
                }
                values.push(f32::from(*code as i8) * scales[row] + 0.0);
            }
            for (scale, used) in scales.iter().zip(used) {
                let fits = if used { scale.is_finite() && *scale > 0.0 } else { scale.to_bits() == 0 };
                if !fits {
                    let wanted = if used { "a finite scale above 0" } else { "0, as the row has no value" };
                    return Err(reader.field(&format!("a scale of {what}"), scale, wanted));
                }
            }
            values
        }
    };
    let dense = positions.coding == super::Coding::Dense;
    let fits = |value: &f32| value.is_finite() && (*value != 0.0 || (dense && value.is_sign_positive()));
    match values.iter().find(|value| !fits(value)) {
        Some(value) => Err(reader.field(&section, value, if dense { "finite values" } else { "finite non-zeros" })),
        None => Ok(values),
    }
}

/// The scale of a row: see [`code`]. A row out of an int8 file has one that gives its values back exactly.
pub(crate) fn row_scale(row: &[f32]) -> f32 {
    bf16::from_bits(scale(row)).to_f32()
}

/// The scale of a row, as bfloat16: of those that put the largest value on a code from 1 to 160 (codes end at 127, so the
/// last ones cut it off), the one with the least squared error. 0 for a row of zeros.
///
/// A product of a code and a bfloat16 is exact, so for a row that was rounded before, one of them has no error at all.
fn scale(row: &[f32]) -> u16 {
    let values: Vec<f32> = row.iter().copied().filter(|value| *value != 0.0).collect();
    let largest = values.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    let mut best = (f64::INFINITY, 0);
    for steps in (1..=127u8).rev().chain(128..=160) {
        let half = bf16::from_f32(largest / f32::from(steps)).to_bits();
        let scale = bf16::from_bits(half).to_f32();
        // A scale of 0, or one whose largest code is infinite, has no finite sum that is better.
        if scale > 0.0 {
            let sum = squared_error(&values, scale, best.0);
            if sum < best.0 {
                best = (sum, half);
            }
        }
        if best.0 == 0.0 {
            break;
        }
    }
    if values.iter().all(|value| code(*value, bf16::from_bits(best.1).to_f32()) == 0.0) { 0 } else { best.1 }
}

/// What rounding by this scale loses, as the sum of squares; once it has reached `most` the rest is not added.
fn squared_error(values: &[f32], scale: f32, most: f64) -> f64 {
    let mut sum = 0.0;
    // Eight sums side by side keep the processor busy; a fixed number of them, so that every machine adds the same way.
    for part in values.chunks(512) {
        let mut sums = [0f64; 8];
        for eight in part.chunks(8) {
            for (sum, value) in sums.iter_mut().zip(eight) {
                let off = f64::from(*value) - f64::from(code(*value, scale) * scale);
                *sum += off * off;
            }
        }
        sum += sums.iter().sum::<f64>();
        if sum >= most {
            break;
        }
    }
    sum
}

/// The code of a value, from -127 to 127; 0 when the scale is 0.
pub(crate) fn code(value: f32, scale: f32) -> f32 {
    // Between 2^23 and 2^24 the neighbours of a float are whole numbers: the sum rounds, ties to even.
    const WHOLE: f32 = 12_582_912.0;
    if scale > 0.0 { ((value / scale).clamp(-127.0, 127.0) + WHOLE) - WHOLE } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int8(values: &[f32]) -> (Vec<i8>, f32) {
        match Values::new([1, values.len()], values, Precision::Int8, "`w`") {
            Ok(Values::Int8 { codes, scales }) => (codes, bf16::from_bits(scales[0]).to_f32()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_row_of_multiples_keeps_them() {
        assert_eq!(int8(&[127.0, -64.0, 0.0, 1.0]), (vec![127, -64, 0, 1], 1.0));
        assert_eq!(int8(&[0.0, -0.0]), (vec![0, 0], 0.0));
        assert_eq!(int8(&[50.0, -0.5]), (vec![100, -1], 0.5));
    }

    #[test]
    fn codes_are_the_nearest_whole_numbers() {
        for place in -1300..=1300 {
            let value = place as f32 / 10.0;
            assert_eq!(code(value, 1.0), value.round_ties_even().clamp(-127.0, 127.0), "{value}");
        }
        assert_eq!([0.5, 1.5, -2.5, 126.5, f32::MAX].map(|value| code(value, 1.0)), [0.0, 2.0, -2.0, 126.0, 127.0]);
        assert_eq!((code(1.0, 0.0), code(-f32::MAX, f32::MIN_POSITIVE)), (0.0, -127.0));
    }

    #[test]
    fn an_error_is_added_up_until_it_is_too_large() {
        let values = [0.25; 1500];
        assert_eq!(squared_error(&values, 1.0, f64::INFINITY), 1500.0 / 16.0);
        assert_eq!(squared_error(&values, 1.0, 1.0), 32.0, "of the first 512");
    }

    #[test]
    fn the_scale_is_no_worse_than_that_of_the_largest_value() {
        let row: Vec<f32> = (1..200).map(|place| (place as f32).sin() / place as f32).collect();
        let error = |scale: f32| -> f64 {
            row.iter().map(|value| f64::from(value - code(*value, scale) * scale).powi(2)).sum()
        };
        let (_, scale) = int8(&row);
        let largest = row.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        assert!(error(scale) < error(largest / 127.0));
    }

    #[test]
    fn rounding_twice_is_rounding_once_at_any_size() {
        for size in [1e-44f32, 1e-40, 1e-30, 1e-4, 1.0, 1e30, 3.3e38] {
            for count in [1, 2, 3, 17, 400] {
                let row: Vec<f32> = (0..count).map(|place| size * ((place * place + 1) as f32).sin()).collect();
                for precision in [Precision::F32, Precision::F16, Precision::Int8] {
                    let round =
                        |row: &[f32]| Values::new([1, count], row, precision, "`w`").map(|own| own.restored(count));
                    let Ok(once) = round(&row) else {
                        assert!(precision == Precision::F16 && size > 1e4);
                        continue;
                    };
                    assert!(once.iter().all(|value| value.is_finite()), "{size} {count} {precision:?}");
                    assert_eq!(round(&once).as_ref(), Ok(&once), "{size} {count} {precision:?}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_stored_is_named() {
        let error = |value, precision| {
            Values::new([1, 2], &[0.0, value], precision, "`fc1.weight`").expect_err("refused").to_string()
        };
        let wanted = "`fc1.weight`, value 1, is NaN: only finite values can be stored";
        assert_eq!(error(f32::NAN, Precision::F32), wanted);
        assert!(error(f32::NEG_INFINITY, Precision::Int8).contains("only finite"));
        assert!(error(65_520.0, Precision::F16).contains("65504"));
    }
}
