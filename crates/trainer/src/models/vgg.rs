//! VGG with batch normalisation for small images (Simonyan and Zisserman, 2014): 3x3 convolutions, and a max-pool after each stage.

use super::blocks::{Chain, conv3};
use secateur_graph::{Error, Graph, Linear, Op, Pool};

/// Depths, and convolutions of each of the five stages.
const DEPTHS: [(usize, [usize; 5]); 4] =
    [(11, [1, 1, 2, 2, 2]), (13, [2, 2, 2, 2, 2]), (16, [2, 2, 3, 3, 3]), (19, [2, 2, 4, 4, 4])];

/// Stages with `width`, 2, 4, 8 and 8 times `width` channels, and one fully connected layer. Names are torchvision's: `features.0`
/// is the first convolution, `features.1` its batch normalisation, and so on.
pub(super) fn vgg(input: [usize; 3], classes: usize, depth: usize, width: usize) -> Result<Graph, Error> {
    let mut net = Chain::new(input)?;
    let stages = DEPTHS.into_iter().find(|(own, _)| *own == depth).map_or([0; 5], |(_, stages)| stages);
    let mut place = 0;
    let mut name = || {
        place += 1;
        format!("features.{}", place - 1)
    };
    for (count, factor) in stages.into_iter().zip([1, 2, 4, 8, 8]) {
        for _ in 0..count {
            net.conv(&name(), conv3(width.saturating_mul(factor), 1))?.norm(&name())?.relu(&name())?;
        }
        net.add(&name(), Op::Pool(Pool::max(2)))?;
    }
    net.add("flatten", Op::Flatten)?.add("classifier", Op::Linear(Linear::new(classes)))?;
    Ok(net.finish())
}

/// What is wrong with a depth, if anything.
pub(super) fn depth_fault(depth: usize) -> Option<String> {
    let known = DEPTHS.map(|(own, _)| own);
    (!known.contains(&depth)).then(|| format!("found a depth of {depth}, expected one of {known:?}"))
}
