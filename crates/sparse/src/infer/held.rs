//! Which values are held as bytes, and the steps that turn floats into bytes and back. Pure.
//!
//! Convolutions and fully connected layers read bytes, what is added to their sums included; they write bytes where another of
//! them reads the result, and so does max-pooling between them. Everything else computes with floats.

use super::Error;
use super::bytes::Bytes;
use super::plan::{Plan, Step};
use super::ranges::Known;
use crate::kernels::int8::QUAD;
use crate::train::graph::layout::Layout;
use crate::train::graph::plan::Kind;
use secateur_graph::{Activation, PoolKind};

impl Plan {
    /// Lets convolutions compute with bytes over these ranges.
    ///
    /// # Errors
    /// When one is missing.
    pub(super) fn hold_bytes(&mut self, ranges: Known<'_>) -> Result<(), Error> {
        let wanted = self.wanted();
        // Of each value the one that holds the same as bytes, and whether there are floats.
        let mut held = Held { bytes: vec![None; self.layouts.len()], floats: vec![false; self.layouts.len()] };
        held.floats[self.input] = true;
        for step in std::mem::take(&mut self.steps) {
            let Step { kind, inputs, output, activation, .. } = &step;
            match kind {
                Kind::Conv { .. } => {
                    let inputs = inputs.iter().map(|own| self.as_bytes(*own, &mut held, ranges));
                    let inputs = inputs.collect::<Result<Vec<usize>, Error>>()?;
                    // Beside bytes, whose range ends with the activation, only rectifying is a part of the pass.
                    let rectifies = match activation {
                        None | Some(Activation::Relu) => true,
                        Some(Activation::Relu6) => wanted[*output],
                        Some(_) => false,
                    };
                    if !rectifies {
                        let sums = self.like(*output, None);
                        self.steps.push(Step { inputs, output: sums, activation: None, ..step.clone() });
                        let kind = Kind::Pointwise { norm: None, activation: *activation };
                        self.steps.push(Step { kind, inputs: vec![sums], activation: None, ..step.clone() });
                        held.floats[*output] = true;
                    } else if wanted[*output] {
                        let bytes = ranges.bytes(self.origins[*output], *activation)?;
                        let output_bytes = self.like(*output, Some(bytes));
                        held.bytes[*output] = Some(output_bytes);
                        self.steps.push(Step { inputs, output: output_bytes, ..step.clone() });
                    } else {
                        held.floats[*output] = true;
                        self.steps.push(Step { inputs, ..step.clone() });
                    }
                }
                kind if keeps_bytes(kind, &step) && wanted[*output] && held.bytes[inputs[0]].is_some() => {
                    let input = self.as_bytes(inputs[0], &mut held, ranges)?;
                    let output_bytes = self.like(*output, self.bytes[input]);
                    held.bytes[*output] = Some(output_bytes);
                    self.steps.push(Step { inputs: vec![input], output: output_bytes, ..step.clone() });
                }
                Kind::Pool(_)
                | Kind::Pointwise { .. }
                | Kind::GlobalAveragePool
                | Kind::GlobalMaxPool
                | Kind::Vector
                | Kind::Copy
                | Kind::Other => {
                    let inputs = inputs.iter().map(|own| self.as_floats(*own, &mut held)).collect();
                    held.floats[*output] = true;
                    self.steps.push(Step { inputs, ..step.clone() });
                }
            }
        }
        self.output = self.as_floats(self.output, &mut held);
        Ok(())
    }

    /// Of each value whether a convolution reads it, maybe by way of max-pooling.
    fn wanted(&self) -> Vec<bool> {
        let mut wanted = vec![false; self.layouts.len()];
        for step in self.steps.iter().rev() {
            let reads = match step.kind {
                Kind::Conv { .. } => true,
                kind => keeps_bytes(&kind, step) && wanted[step.output],
            };
            step.inputs.iter().filter(|_| reads).for_each(|value| wanted[*value] = true);
        }
        wanted
    }

    /// A new value with the numbers of one.
    fn like(&mut self, value: usize, bytes: Option<Bytes>) -> usize {
        let layout = self.layouts[value];
        let channels = if bytes.is_some() { layout.channels.div_ceil(QUAD) } else { layout.channels };
        if let Some(tilings) = &mut self.tilings {
            tilings.push(tilings[value]);
        }
        self.add_value(Layout { channels, ..layout }, bytes, self.origins[value])
    }

    /// The value that holds the same as bytes; a step that makes them where there is none yet.
    fn as_bytes(&mut self, value: usize, held: &mut Held, ranges: Known<'_>) -> Result<usize, Error> {
        if let Some(own) = held.bytes[value] {
            return Ok(own);
        }
        let bytes = ranges.bytes(self.origins[value], None)?;
        let output = self.like(value, Some(bytes));
        held.bytes[value] = Some(output);
        self.steps.push(Step::copy(vec![value], output));
        Ok(output)
    }

    /// The value as floats; a step that makes them where there are only bytes.
    fn as_floats(&mut self, value: usize, held: &mut Held) -> usize {
        if !held.floats[value] {
            held.floats[value] = true;
            let inputs = vec![held.bytes[value].expect("every value is held as one or the other")];
            self.steps.push(Step::copy(inputs, value));
        }
        value
    }
}

/// Whether a step can give the bytes that it reads: max-pooling, and the copy of a value into another layout.
fn keeps_bytes(kind: &Kind, step: &Step) -> bool {
    match kind {
        Kind::Pool(pool) => pool.kind == PoolKind::Max,
        Kind::Copy => step.node.is_none(),
        Kind::Conv { .. }
        | Kind::Vector
        | Kind::Pointwise { .. }
        | Kind::GlobalAveragePool
        | Kind::GlobalMaxPool
        | Kind::Other => false,
    }
}

/// How each value is held so far.
struct Held {
    bytes: Vec<Option<usize>>,
    floats: Vec<bool>,
}
