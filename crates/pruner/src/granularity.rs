//! What goes as one: single weights, N of M, blocks, filters, input channels. Pure.
//!
//! A granularity cuts a parameter into *groups*, tiles of its shape. The axes are data: burn keeps a linear weight as
//! `[in, out]` and a convolution's as `[out, in, height, width]`, PyTorch both as `[out, in, ..]`.

use crate::{Error, Tiling};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which axis of a parameter counts its outputs (filters, neurons), and which its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Axis of the output units.
    pub output: usize,
    /// Axis of the input channels; a bias has none.
    pub input: Option<usize>,
}

impl Layout {
    /// burn's linear weight, `[in, out]`.
    pub const LINEAR: Self = Self { output: 1, input: Some(0) };
    /// A convolution's weight, `[out, in, ..]`, and PyTorch's linear one, `[out, in]`.
    pub const CONV: Self = Self { output: 0, input: Some(1) };
    /// A transposed convolution's weight, `[in, out, ..]`.
    pub const TRANSPOSED: Self = Self { output: 1, input: Some(0) };
    /// A bias, `[out]`.
    pub const BIAS: Self = Self { output: 0, input: None };

    /// What a shape alone suggests: two axes are burn's linear weight, one is a bias, more are a convolution. A transposed
    /// convolution is not among them; [`crate::layouts`] knows the layers of a module.
    pub fn of_burn(shape: &[usize]) -> Self {
        match shape.len() {
            0 | 1 => Self::BIAS,
            2 => Self::LINEAR,
            _ => Self::CONV,
        }
    }

    /// The layout of a parameter of this shape where all weights are as PyTorch's, `[out, in, ..]`.
    pub fn of_pytorch(shape: &[usize]) -> Self {
        if shape.len() < 2 { Self::BIAS } else { Self::CONV }
    }
}

/// What goes as one.
///
/// In a config: `granularity = { kind = "n-of-m", n = 2, m = 4 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Granularity {
    /// Single weights.
    Element {},
    /// Of `m` neighbours along the input axis at most `n` stay; sparse tensor cores take 2 of 4. A last group of fewer
    /// neighbours counts as filled up with zeros, so that it may keep `n`, too.
    NOfM {
        /// Weights that stay in each group.
        n: usize,
        /// Size of a group.
        m: usize,
    },
    /// Blocks of `outputs` neighbours along the output axis and `inputs` along the input axis, at one tap of a kernel;
    /// the last blocks of an axis are smaller where the size does not divide.
    Block {
        /// Side along the output axis.
        outputs: usize,
        /// Side along the input axis.
        inputs: usize,
    },
    /// All weights of an output unit: a filter of a convolution, a neuron of a linear layer.
    Filter {},
    /// All weights that read one input channel or feature.
    Channel {},
}

/// How the scores of a group's weights become one. Pruned weights count as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupScore {
    /// Their sum.
    L1,
    /// The root of the sum of their squares.
    L2,
    /// Their mean over the group's size, so that groups of other sizes compare.
    Mean,
    /// That of the first living weight, so that a random score stays a uniform one.
    First,
}

impl Default for Granularity {
    fn default() -> Self {
        Self::Element {}
    }
}

impl Granularity {
    /// Whether the scores of several weights become one.
    pub fn has_groups(&self) -> bool {
        match self {
            Self::Element {} | Self::NOfM { .. } => false,
            Self::Block { .. } | Self::Filter {} | Self::Channel {} => true,
        }
    }

    /// What is wrong with the numbers, if anything.
    pub fn fault(&self) -> Option<String> {
        match *self {
            Self::NOfM { n, m } if n == 0 || n > m || m > 1 << 16 => {
                Some(format!("n is {n} and m is {m}, wanted n from 1 to m, and m at most 65,536"))
            }
            Self::Block { outputs, inputs } if outputs == 0 || inputs == 0 => {
                Some(format!("a block is {outputs} x {inputs}, wanted sides of at least 1"))
            }
            Self::NOfM { .. } | Self::Block { .. } | Self::Element {} | Self::Filter {} | Self::Channel {} => None,
        }
    }

    /// The groups of a parameter.
    ///
    /// # Errors
    /// When the granularity makes no sense, or needs an axis that the parameter lacks.
    pub fn tiling(&self, name: &str, shape: &[usize], layout: Layout) -> Result<Tiling, Error> {
        let refuse = |why: String| Error::Granularity { name: name.into(), granularity: self.to_string(), why };
        if let Some(why) = self.fault() {
            return Err(refuse(why));
        }
        let mut axes = [Some(layout.output), layout.input].into_iter().flatten();
        if axes.any(|axis| axis >= shape.len()) || layout.input == Some(layout.output) {
            let why = format!("its layout is {layout:?}, wanted two axes of its shape {shape:?}");
            return Err(refuse(why));
        }
        let input = layout.input.ok_or_else(|| refuse("the parameter has no input axis".into()));
        let mut steps = vec![1; shape.len()];
        match *self {
            Self::Element {} => {}
            Self::NOfM { m, .. } => steps[input?] = m,
            Self::Block { outputs, inputs } => {
                steps[layout.output] = outputs;
                match input {
                    Ok(axis) => steps[axis] = inputs,
                    Err(error) if inputs > 1 => return Err(error),
                    Err(_) => {}
                }
            }
            Self::Filter {} => steps = whole_but(shape, layout.output),
            Self::Channel {} => steps = whole_but(shape, input?),
        }
        Ok(Tiling::new(shape, &steps))
    }
}

fn whole_but(shape: &[usize], axis: usize) -> Vec<usize> {
    shape.iter().enumerate().map(|(own, &size)| if own == axis { 1 } else { size.max(1) }).collect()
}

impl fmt::Display for Granularity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element {} => out.write_str("element"),
            Self::NOfM { n, m } => write!(out, "{n}:{m}"),
            Self::Block { outputs, inputs } => write!(out, "block {outputs}x{inputs}"),
            Self::Filter {} => out.write_str("filter"),
            Self::Channel {} => out.write_str("input channel"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(granularity: Granularity, shape: &[usize], layout: Layout) -> Vec<usize> {
        let tiling = granularity.tiling("w", shape, layout).expect("fits");
        let mut found = vec![];
        tiling.walk(|group| found.push(group));
        for group in 0..tiling.groups() {
            let members = found.iter().filter(|own| **own == group).count();
            assert_eq!(members, tiling.size(group), "group {group}");
            assert!(members <= tiling.largest());
        }
        found
    }

    #[test]
    fn the_axis_is_data() {
        let (filter, channel) = (Granularity::Filter {}, Granularity::Channel {});
        // 2 inputs, 3 outputs: the same matrix in both layouts.
        assert_eq!(groups(filter, &[2, 3], Layout::LINEAR), [0, 1, 2, 0, 1, 2]);
        assert_eq!(groups(filter, &[3, 2], Layout::CONV), [0, 0, 1, 1, 2, 2]);
        assert_eq!(groups(channel, &[2, 3], Layout::LINEAR), [0, 0, 0, 1, 1, 1]);
        assert_eq!(groups(channel, &[3, 2], Layout::CONV), [0, 1, 0, 1, 0, 1]);
        // 2 filters of 2 channels, 1 x 2.
        assert_eq!(groups(filter, &[2, 2, 1, 2], Layout::CONV), [0, 0, 0, 0, 1, 1, 1, 1]);
        assert_eq!(groups(channel, &[2, 2, 1, 2], Layout::CONV), [0, 0, 1, 1, 0, 0, 1, 1]);
        assert_eq!(groups(filter, &[3], Layout::BIAS), [0, 1, 2]);
    }

    #[test]
    fn blocks_that_do_not_divide_have_smaller_last_ones() {
        let block = Granularity::Block { outputs: 2, inputs: 2 };
        assert_eq!(groups(block, &[3, 3], Layout::CONV), [0, 0, 1, 0, 0, 1, 2, 2, 3]);
        let wide = Granularity::Block { outputs: 1, inputs: 2 };
        assert_eq!(groups(wide, &[3, 2], Layout::LINEAR), [0, 1, 0, 1, 2, 3]);
        // Blocks lie at one tap.
        assert_eq!(groups(block, &[2, 2, 1, 2], Layout::CONV), [0, 1, 0, 1, 0, 1, 0, 1]);
        let pair = Granularity::NOfM { n: 1, m: 2 };
        assert_eq!(groups(pair, &[1, 3, 1, 2], Layout::CONV), [0, 1, 0, 1, 2, 3]);
        assert_eq!(groups(pair, &[0, 3], Layout::LINEAR), [0usize; 0]);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let refuse = |granularity: Granularity, shape: &[usize], layout: Layout| {
            granularity.tiling("fc1.bias", shape, layout).expect_err("refused").to_string()
        };
        let error = refuse(Granularity::NOfM { n: 2, m: 4 }, &[3], Layout::BIAS);
        assert_eq!(error, "`fc1.bias` cannot be pruned by 2:4: the parameter has no input axis");
        assert!(refuse(Granularity::NOfM { n: 5, m: 4 }, &[3, 3], Layout::CONV).contains("n is 5 and m is 4"));
        assert!(refuse(Granularity::Block { outputs: 0, inputs: 4 }, &[3, 3], Layout::CONV).contains("0 x 4"));
        assert!(refuse(Granularity::Filter {}, &[3], Layout::LINEAR).contains("wanted two axes"));
    }
}
