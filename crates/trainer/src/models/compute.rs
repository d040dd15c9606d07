//! The one place where a layer computes: a burn layer (with its mask, if any) and an input, to an output.
//!
//! Faster kernels are chosen here and nowhere else; what stands here now are burn's own operations.

use burn::nn::{Linear, conv::Conv2d, pool::MaxPool2d, pool::MaxPool2dConfig};
use burn::tensor::{Tensor, activation};

/// Convolution, bias, max-pool 2 and optionally relu: `[batch, in, h, w]` to `[batch, out, h', w']`.
///
/// Pooling comes before relu: the two commute, and a quarter of the values is left to rectify.
pub(super) fn conv_block(layer: &Conv2d, images: Tensor<4>, rectified: bool) -> Tensor<4> {
    let pooled = pool().forward(layer.forward(images));
    if rectified { activation::relu(pooled) } else { pooled }
}

/// The max-pool behind every convolution.
pub(super) fn pool() -> MaxPool2d {
    MaxPool2dConfig::new([2, 2]).init()
}

/// Product, bias and optionally relu: `[batch, in]` to `[batch, out]`.
pub(super) fn linear_block(layer: &Linear, features: Tensor<2>, rectified: bool) -> Tensor<2> {
    let product = layer.forward(features);
    if rectified { activation::relu(product) } else { product }
}
