//! How many values a reader will hold.

use super::Error;

/// The places that a network may still have.
#[derive(Debug)]
pub(super) struct Budget {
    all: usize,
    left: usize,
}

impl Budget {
    pub(super) fn new(places: u32) -> Self {
        Self { all: places as usize, left: places as usize }
    }

    /// Takes the places of a tensor, rows first; gives the columns of a row.
    pub(super) fn tensor(&mut self, shape: &[usize], what: &str) -> Result<usize, Error> {
        let columns = product(&shape[1..]);
        let places = columns.and_then(|columns| columns.checked_mul(shape[0]));
        let left = places.and_then(|places| self.left.checked_sub(places));
        match (columns.filter(|columns| *columns <= self.all), left) {
            (Some(columns), Some(left)) => {
                self.left = left;
                Ok(columns)
            }
            // Without a row, the columns alone can be too many.
            (columns, _) => {
                let places = if shape[0] == 0 { columns } else { places };
                Err(Error::Limit { what: what.to_owned(), found: found(places), wanted: self.left })
            }
        }
    }
}

fn product(sides: &[usize]) -> Option<usize> {
    sides.iter().try_fold(1usize, |product, side| product.checked_mul(*side))
}

fn found(places: Option<usize>) -> u64 {
    places.map_or(u64::MAX, |places| places as u64)
}
