//! Residual networks for small images: those of He et al. (2015), section 4.2, and wide ones (Zagoruyko and Komodakis, 2016).

use super::blocks::{Chain, conv1, conv3};
use secateur_graph::{Error, Graph};

/// Three stages of `(depth - 2) / 6` blocks with `width`, `2 width` and `4 width` channels. A shortcut is the identity, or a 1x1
/// convolution with batch normalisation where the shape changes. Names are torchvision's.
pub(super) fn resnet(input: [usize; 3], classes: usize, depth: usize, width: usize) -> Result<Graph, Error> {
    let mut net = Chain::new(input)?;
    net.conv("conv1", conv3(width, 1))?.norm("bn1")?.relu("relu")?;
    for stage in 1..=3 {
        for block in 0..blocks(depth, 2) {
            let name = |part: &str| format!("layer{stage}.{block}.{part}");
            let outputs = width.saturating_mul(1 << (stage - 1));
            let stride = if stage > 1 && block == 0 { 2 } else { 1 };
            let before = net.last();
            let changes = stride > 1 || net.channels() != outputs;
            net.conv(&name("conv1"), conv3(outputs, stride))?.norm(&name("bn1"))?.relu(&name("relu1"))?;
            net.conv(&name("conv2"), conv3(outputs, 1))?.norm(&name("bn2"))?;
            let branch = net.last();
            net.go_back_to(before);
            if changes {
                net.conv(&name("downsample.0"), conv1(outputs, stride))?.norm(&name("downsample.1"))?;
            }
            let shortcut = net.last();
            net.go_back_to(branch);
            net.add_to(&name("add"), shortcut)?.relu(&name("relu2"))?;
        }
    }
    net.classify(classes)
}

/// Three stages of `(depth - 4) / 6` blocks with `16 widen`, `32 widen` and `64 widen` channels, normalised and rectified before each
/// convolution.
pub(super) fn wide_resnet(input: [usize; 3], classes: usize, depth: usize, widen: usize) -> Result<Graph, Error> {
    let mut net = Chain::new(input)?;
    net.conv("conv1", conv3(16, 1))?;
    for stage in 1..=3 {
        for block in 0..blocks(depth, 4) {
            let name = |part: &str| format!("layer{stage}.{block}.{part}");
            let outputs = widen.saturating_mul(16 << (stage - 1));
            let stride = if stage > 1 && block == 0 { 2 } else { 1 };
            let before = net.last();
            let changes = stride > 1 || net.channels() != outputs;
            net.norm(&name("bn1"))?.relu(&name("relu1"))?;
            let rectified = net.last();
            net.conv(&name("conv1"), conv3(outputs, stride))?.norm(&name("bn2"))?.relu(&name("relu2"))?;
            net.conv(&name("conv2"), conv3(outputs, 1))?;
            let branch = net.last();
            let mut shortcut = before;
            if changes {
                net.go_back_to(rectified);
                net.conv(&name("shortcut"), conv1(outputs, stride))?;
                shortcut = net.last();
                net.go_back_to(branch);
            }
            net.add_to(&name("add"), shortcut)?;
        }
    }
    net.norm("bn")?.relu("relu")?;
    net.classify(classes)
}

/// Blocks of a stage: six layers a block of all stages, beside so many others.
fn blocks(depth: usize, others: usize) -> usize {
    depth.saturating_sub(others) / 6
}

/// What is wrong with a depth, if anything.
pub(super) fn depth_fault(depth: usize, others: usize) -> Option<String> {
    let fits = depth > others && (depth - others).is_multiple_of(6) && depth <= 1_000;
    (!fits).then(|| format!("found a depth of {depth}, expected 6 n + {others} with n from 1, such as {}", 18 + others))
}
