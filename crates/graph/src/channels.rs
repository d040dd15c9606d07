//! How the channels that an operation gives come from those that it reads: what dead units, dependency groups and compaction
//! follow from, so that none of them has to know every operation.

use crate::op::{Conv2d, Linear, Op};

/// Where the channels (the first side) of what an operation gives come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// Each from all that it has a weight for: of the same of so many groups.
    Weighted {
        /// The groups of channels.
        groups: usize,
    },
    /// Each from the same channel of every input.
    Same,
    /// Those of all inputs, one behind the other.
    Appended,
    /// So many from each, side by side.
    Spread(usize),
    /// The same values, row-major, divided into other channels.
    Regrouped,
    /// Each from all, without a weight that could be zero.
    Mixed,
}

impl Op {
    /// Where the channels that it gives come from, for a first input of this shape.
    pub fn channels(&self, input: &[usize]) -> Channels {
        match self {
            Self::Conv2d(conv) => Channels::Weighted { groups: conv.groups },
            Self::Linear(_) => Channels::Weighted { groups: 1 },
            Self::BatchNorm(_)
            | Self::Activation(_)
            | Self::Pool(_)
            | Self::GlobalAveragePool
            | Self::Crop(_)
            | Self::Add
            | Self::Mul => Channels::Same,
            Self::Concat => Channels::Appended,
            Self::Flatten => Channels::Spread(input[1..].iter().product()),
            Self::Reshape(to) if to[0] == input[0] => Channels::Same,
            Self::Reshape(_) => Channels::Regrouped,
            Self::Permute(_) | Self::LayerNorm(_) | Self::Softmax(_) | Self::Embedding(_) => Channels::Mixed,
        }
    }

    /// Whether it is a sum over what it reads, with weights and maybe a bias: a convolution or a fully connected layer.
    pub fn is_layer(&self) -> bool {
        matches!(self, Self::Conv2d(_) | Self::Linear(_))
    }

    /// Whether it has a weight for each pair of a channel that it reads and one that it gives.
    pub fn joins_all(&self) -> bool {
        self.is_layer() && !matches!(self, Self::Conv2d(conv) if conv.groups > 1)
    }

    /// The layer with a bias; any other operation as it is.
    pub fn with_bias(&self) -> Self {
        let mut op = self.clone();
        if let Self::Conv2d(Conv2d { bias, .. }) | Self::Linear(Linear { bias, .. }) = &mut op {
            *bias = true;
        }
        op
    }

    /// The operation where of `channels` that it reads `read` are left, and it gives `given`.
    pub fn narrowed(&self, channels: usize, read: usize, given: usize) -> Self {
        match self {
            Self::Conv2d(conv) if conv.is_depthwise(channels) => {
                Self::Conv2d(Conv2d { outputs: given, groups: read, ..*conv })
            }
            Self::Conv2d(conv) => Self::Conv2d(Conv2d { outputs: given, ..*conv }),
            Self::Linear(linear) => Self::Linear(Linear { outputs: given, ..*linear }),
            Self::Reshape(to) => Self::Reshape([&[given], &to[1..]].concat()),
            Self::BatchNorm(_)
            | Self::Activation(_)
            | Self::Pool(_)
            | Self::GlobalAveragePool
            | Self::Add
            | Self::Mul
            | Self::Concat
            | Self::Flatten
            | Self::Crop(_)
            | Self::Permute(_)
            | Self::LayerNorm(_)
            | Self::Softmax(_)
            | Self::Embedding(_) => self.clone(),
        }
    }
}
