//! The inner loops: numbers in, numbers out, for one item of a phase. They know no layers, threads or files.
#![expect(clippy::needless_range_loop, reason = "counted loops over register tiles show their shape")]
#![expect(clippy::too_many_arguments, reason = "a kernel takes each of its slices by itself")]

pub(crate) mod activation;
pub(crate) mod along;
pub(crate) mod conv;
pub(crate) mod conv_backward;
pub(crate) mod flat;
pub(crate) mod int8;
pub(crate) mod margins;
pub(crate) mod moments;
pub(crate) mod patches;
pub(crate) mod pointwise;
pub(crate) mod pooling;
pub(crate) mod product;
pub(crate) mod sparse_conv;
pub(crate) mod sparse_linear;
pub(crate) mod tile_gradients;
pub(crate) mod tiles;
pub(crate) mod update;
pub(crate) mod winograd;
