//! A tensor of a layer in the file: where its values stand, then the values.

use super::bits::{Reader, Writer};
use super::positions::{Coding, Positions};
use super::values::{self, Values};
use super::{Error, Precision};

/// A tensor that was read, and what it took.
#[derive(Debug)]
pub(super) struct Tensor {
    /// All of it, row-major.
    pub(super) values: Vec<f32>,
    pub(super) coding: Coding,
    /// How many values are stored.
    pub(super) stored: usize,
    /// Bytes that tell where they stand.
    pub(super) position_bytes: usize,
    /// Bytes of the values and their scales.
    pub(super) value_bytes: usize,
}

/// Writes a `[rows, columns]` tensor.
pub(super) fn write(
    shape: [usize; 2],
    tensor: &[f32],
    precision: Precision,
    what: &str,
    writer: &mut Writer,
) -> Result<(), Error> {
    let values = Values::new(shape, tensor, precision, what)?;
    let positions = Positions::choose(shape, &values.nonzero(), precision.bits());
    positions.write(what, writer)?;
    values.write(&positions, writer);
    Ok(())
}

/// Reads what [`write`] wrote. Nothing as large as the tensor is allocated before all of its positions and values are good.
pub(super) fn read(
    [rows, columns]: [usize; 2],
    precision: Precision,
    what: &str,
    reader: &mut Reader<'_>,
) -> Result<Tensor, Error> {
    let start = reader.at();
    let positions = Positions::read([rows, columns], precision.bits(), what, reader)?;
    let middle = reader.at();
    let own = values::read(&positions, precision, what, reader)?;
    let mut values = zeros(rows * columns, what)?;
    positions.places.iter().zip(&own).for_each(|(place, value)| values[positions.whole(*place)] = *value);
    let (position_bytes, value_bytes) = (middle - start, reader.at() - middle);
    Ok(Tensor { values, coding: positions.coding, stored: own.len(), position_bytes, value_bytes })
}

fn zeros(length: usize, what: &str) -> Result<Vec<f32>, Error> {
    let mut values = Vec::new();
    match values.try_reserve_exact(length) {
        Ok(()) => {
            values.resize(length, 0.0);
            Ok(values)
        }
        Err(_) => Err(Error::Memory { what: what.to_owned(), wanted: length }),
    }
}
