//! The inverse of a positive definite matrix as a product of triangular ones, by products of blocks.

use nalgebra::{Cholesky, DMatrix};

/// Rows of a matrix that is not divided any more.
const BLOCK: usize = 96;

/// The lower triangular `v` with `v v' = h^-1`; `None` where `h` is not positive definite.
///
/// The first column of the inverse of what is left of `h` behind its first `n` rows and columns is the `n`-th column of `v`, from
/// the diagonal on, times its first element: what the optimal brain surgeon needs column by column.
pub(crate) fn inverse_factor(h: &DMatrix<f64>) -> Option<DMatrix<f64>> {
    let last = h.nrows().checked_sub(1)?;
    let inverse =
        inverse_of_cholesky(&DMatrix::from_fn(h.nrows(), h.nrows(), |row, column| h[(last - row, last - column)]))?;
    // With `h` in reverse order `l l'`, it is `r r'` for the upper triangular `r`, which is `l` in reverse order.
    Some(DMatrix::from_fn(h.nrows(), h.nrows(), |row, column| inverse[(last - column, last - row)]))
}

/// The inverse of the lower triangular Cholesky factor.
fn inverse_of_cholesky(a: &DMatrix<f64>) -> Option<DMatrix<f64>> {
    let size = a.nrows();
    if size <= BLOCK {
        let mut inverse = DMatrix::identity(size, size);
        Cholesky::new(a.clone())?.l_dirty().solve_lower_triangular_mut(&mut inverse).then_some(())?;
        return Some(inverse);
    }
    let (first, rest) = (size / 2, size - size / 2);
    let top = inverse_of_cholesky(&a.view((0, 0), (first, first)).into_owned())?;
    let below = a.view((first, 0), (rest, first)) * top.transpose();
    let left = a.view((first, first), (rest, rest)) - &below * below.transpose();
    let bottom = inverse_of_cholesky(&left)?;
    let corner = -(&bottom * below) * &top;
    let mut inverse = DMatrix::zeros(size, size);
    inverse.view_mut((0, 0), (first, first)).copy_from(&top);
    inverse.view_mut((first, first), (rest, rest)).copy_from(&bottom);
    inverse.view_mut((first, 0), (rest, first)).copy_from(&corner);
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A positive definite matrix without a pattern.
    pub(crate) fn definite(size: usize) -> DMatrix<f64> {
        let root = DMatrix::from_fn(size, size + 3, |row, column| ((row * 31 + column * 17) % 23) as f64 / 11.0 - 1.0);
        &root * root.transpose() + DMatrix::identity(size, size)
    }

    #[test]
    fn the_factor_is_that_of_the_inverse() {
        for size in [1, 2, 7, BLOCK, BLOCK + 1, 3 * BLOCK + 5] {
            let h = definite(size);
            let v = inverse_factor(&h).expect("positive definite");
            let whole = &h * &v * v.transpose();
            assert!((whole - DMatrix::identity(size, size)).amax() < 1e-8, "{size}");
            assert!((0..size).all(|column| (0..column).all(|row| v[(row, column)] == 0.0)), "lower triangular");
            // The first column of the inverse of what is left, for each column.
            for column in [0, size / 2, size - 1] {
                let left = h.view((column, column), (size - column, size - column)).into_owned();
                let inverse = left.try_inverse().expect("positive definite");
                let own = v.view((column, column), (size - column, 1)) * v[(column, column)];
                assert!((inverse.column(0) - own).amax() < 1e-8, "{size}, column {column}");
            }
        }
        assert_eq!(inverse_factor(&DMatrix::from_row_slice(2, 2, &[1.0, 2.0, 2.0, 1.0])), None);
    }
}
