//! Images and labels as tensors.

use crate::data::Split;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// The images of these indices, `[batch, channels, rows, columns]`, and their labels, `[batch]`.
pub(crate) fn tensors(split: &Split, indices: &[u32], device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
    let batch = split.gather(indices);
    let labels: Vec<i64> = batch.labels.iter().copied().map(i64::from).collect();
    let labels = Tensor::from_data(TensorData::new(labels, [batch.labels.len()]), device);
    (images(batch.pixels, split.shape(), device), labels)
}

/// Pixels as a tensor `[batch, channels, rows, columns]`.
pub(crate) fn images(pixels: Vec<f32>, [channels, rows, columns]: [usize; 3], device: &Device) -> Tensor<4> {
    let count = pixels.len() / (channels * rows * columns).max(1);
    Tensor::from_data(TensorData::new(pixels, [count, channels, rows, columns]), device)
}
