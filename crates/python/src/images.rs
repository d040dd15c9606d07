//! Arrays of images as a network takes them.

use crate::refused;
use numpy::{AllowTypeChange, PyArrayLikeDyn, PyReadonlyArrayDyn};
use pyo3::prelude::*;
use secateur_sparse::file::Info;

/// The images of an array of any order and dtype that becomes f32, `[n, channels, rows, columns]`, `[n, features]` or one image: their
/// numbers, and whether it was one. Bytes are scaled as the model takes those of pictures.
///
/// # Errors
/// When the shape is another one, or a number is not finite.
pub(crate) fn images(array: &Bound<'_, PyAny>, input: [usize; 3], info: &Info) -> PyResult<(Vec<f32>, bool)> {
    let bytes = array.extract::<PyReadonlyArrayDyn<'_, u8>>().ok();
    let (shape, pixels) = match &bytes {
        Some(bytes) => {
            let view = bytes.as_array();
            let bytes: Vec<u8> = view.iter().copied().collect();
            let size = input.iter().product::<usize>().max(1);
            (view.shape().to_vec(), bytes.chunks(size).flat_map(|image| info.input(image)).collect::<Vec<f32>>())
        }
        None => {
            let array: PyArrayLikeDyn<'_, f32, AllowTypeChange> = array.extract()?;
            let view = array.as_array();
            (view.shape().to_vec(), view.iter().copied().collect())
        }
    };
    let size: usize = input.iter().product();
    let features = input[1] == 1 && input[2] == 1;
    let is_line = input[1] == 1;
    let fits = |shape: &[usize]| {
        shape == input
            || (features && shape == [input[0]])
            || (is_line && shape == [input[0], input[2]])
            || (input[0] == 1 && shape == &input[1..])
    };
    let one = fits(&shape);
    let several = shape.len() > 1 && fits(&shape[1..]);
    if !(one || several) {
        let own = if features { format!("[{}]", input[0]) } else { format!("{input:?}") };
        return Err(refused(format!("found an array of shape {shape:?}, expected images of {own}, one or [n, ...]")));
    }
    match pixels.iter().position(|value| !value.is_finite()) {
        Some(place) => {
            let [image, place] = [place / size, place % size];
            Err(refused(format!(
                "value {place} of image {image} is {}, expected finite numbers",
                pixels[image * size + place]
            )))
        }
        None => Ok((pixels, one)),
    }
}
