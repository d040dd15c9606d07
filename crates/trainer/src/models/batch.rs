//! Images and labels as tensors.

use crate::data::{PIXELS, SIDE, Split};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// The images of these indices, `[batch, 1, 28, 28]`, and their labels, `[batch]`.
pub(crate) fn tensors(split: &Split, indices: &[u32], device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
    let batch = split.gather(indices);
    let labels: Vec<i64> = batch.labels.iter().copied().map(i64::from).collect();
    let labels = Tensor::from_data(TensorData::new(labels, [batch.labels.len()]), device);
    (images(batch.pixels, device), labels)
}

/// Pixels as a tensor `[batch, 1, 28, 28]`.
pub(crate) fn images(pixels: Vec<f32>, device: &Device) -> Tensor<4> {
    let count = pixels.len() / PIXELS;
    Tensor::from_data(TensorData::new(pixels, [count, 1, SIDE, SIDE]), device)
}
