//! A small network of depthwise separable convolutions (Howard et al., 2017) for small images.

use super::blocks::{Chain, conv1, conv3};
use secateur_graph::{Error, Graph};

/// Output channels, in multiples of the width, and stride of each block.
const BLOCKS: [(usize, usize); 7] = [(2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), (16, 1)];

/// A 3x3 convolution to `width` channels, then blocks of a depthwise 3x3 and a pointwise 1x1 convolution.
pub(super) fn mobilenet(input: [usize; 3], classes: usize, width: usize) -> Result<Graph, Error> {
    let mut net = Chain::new(input)?;
    net.conv("conv1", conv3(width, 1))?.norm("bn1")?.relu("relu1")?;
    for (block, (factor, stride)) in BLOCKS.into_iter().enumerate() {
        let name = |part: &str| format!("blocks.{block}.{part}");
        let channels = net.channels();
        net.conv(&name("depthwise"), conv3(channels, stride).groups(channels))?;
        net.norm(&name("bn1"))?.relu(&name("relu1"))?;
        net.conv(&name("pointwise"), conv1(width.saturating_mul(factor), 1))?;
        net.norm(&name("bn2"))?.relu(&name("relu2"))?;
    }
    net.classify(classes)
}
