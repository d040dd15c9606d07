//! A network as steps: what is computed in one pass over the activations, before anybody chooses how.
//!
//! Convolutions take relu and a 2x2 max-pool along, fully connected layers relu; a crop before a convolution is only a
//! narrower view of what is stored; flattening changes nothing in memory.

use super::matrix::Matrix;
use super::simple::Simple;
use super::{Error, Forms, Options};
use crate::file::Precision;
use crate::{Affine, Conv2d, Layer, Network, Parameters};

/// One pass.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Name of the layer that it begins with.
    pub name: String,
    pub op: Op,
    /// Numbers that come out for an image.
    pub outputs: usize,
}

/// What a step computes.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Conv(Conv),
    Linear(Linear),
    /// Whatever has no weights, and batch normalisation.
    Simple(Simple),
}

/// A convolution without padding over a view of stored channels, with bias and what is fused to it.
#[derive(Clone, Debug)]
pub(super) struct Conv {
    /// A row is a filter, a column `channel * kernel * kernel + ky * kernel + kx`.
    pub weight: Matrix,
    pub bias: Vec<f32>,
    pub kernel: usize,
    pub stride: usize,
    /// Height and width of the stored channels.
    pub height: usize,
    pub width: usize,
    /// Rows and columns of a filter's output, after pooling.
    pub rows: usize,
    pub columns: usize,
    /// Whether a 2x2 max-pool is fused; only with stride 1.
    pub pooled: bool,
    pub rectified: bool,
}

/// A fully connected layer with its bias, and relu where it follows.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    pub weight: Matrix,
    pub bias: Vec<f32>,
    pub rectified: bool,
}

impl Conv {
    /// Where the input of a column stands, relative to the first input of the output's window.
    pub(super) fn offset(&self, column: u32) -> u32 {
        let (taps, kernel) = ((self.kernel * self.kernel) as u32, self.kernel as u32);
        let (channel, tap) = (column / taps, column % taps);
        (channel * self.height as u32 + tap / kernel) * self.width as u32 + tap % kernel
    }
}

/// The steps of a network, in order; with its zeros, when only dense forms are wanted.
///
/// # Errors
/// When the precision has no room for a weight that is no finite number.
pub(super) fn steps(network: &Network, options: &Options) -> Result<Vec<Step>, Error> {
    for Parameters { name, weight, .. } in network.parameters().filter(|_| options.precision != Precision::F32) {
        if let Some(place) = weight.iter().position(|value| !value.is_finite()) {
            return Err(Error::Value { name: name.to_owned(), place, found: weight[place].to_string() });
        }
    }
    let matrix = |weight: &[f32], shape| Matrix::new(weight, shape, options.forms == Forms::Dense, options.precision);
    let mut found: Vec<Step> = vec![];
    let mut place = 0;
    while place < network.layers().len() {
        let rest = &network.layers()[place..];
        let (name, before) = (rest[0].name(), network.shape(place));
        let mut simple = |simple: Simple| {
            let after = simple.output();
            push(&mut found, name, Op::Simple(simple), after);
            1
        };
        let taken = match rest {
            [Layer::Crop { .. }, Layer::Conv2d(conv), ..] if conv.padding == 0 => {
                place += 1;
                push_conv(&mut found, network, place, conv, before, &matrix)
            }
            [Layer::Conv2d(conv), ..] => {
                let mut stored = before;
                if conv.padding > 0 {
                    let pad = Simple::Pad { by: conv.padding, shape: before };
                    stored = pad.output();
                    push(&mut found, "padding", Op::Simple(pad), stored);
                }
                push_conv(&mut found, network, place, conv, stored, &matrix)
            }
            [Layer::Linear(linear), rest @ ..] => {
                let rectified = matches!(rest, [Layer::Relu, ..]);
                let weight = matrix(&linear.weight, [linear.outputs, linear.inputs]);
                let taken = 1 + usize::from(rectified);
                let op = Op::Linear(Linear { weight, bias: linear.bias.clone(), rectified });
                push(&mut found, name, op, network.shape(place + taken));
                taken
            }
            [Layer::Flatten, ..] => 1,
            [Layer::Affine(Affine { scale, shift, .. }), ..] => {
                simple(Simple::Affine { scale: scale.clone(), shift: shift.clone(), shape: before })
            }
            [Layer::Relu, ..] => simple(Simple::Relu { shape: before }),
            [Layer::MaxPool2d { size }, ..] => simple(Simple::MaxPool { size: *size, shape: before }),
            [Layer::AvgPool2d { size }, ..] => simple(Simple::AvgPool { size: *size, shape: before }),
            [Layer::Crop { height, width }, ..] => {
                simple(Simple::Crop { height: *height, width: *width, shape: before })
            }
            [] => unreachable!("the place lies before the end"),
        };
        place += taken;
    }
    Ok(found)
}

fn push(found: &mut Vec<Step>, name: &str, op: Op, after: [usize; 3]) {
    found.push(Step { name: name.to_owned(), op, outputs: after.iter().product() });
}

/// A convolution at `place` over what is stored as `stored`, and the layers that it takes along; gives their number.
fn push_conv(
    found: &mut Vec<Step>,
    network: &Network,
    place: usize,
    conv: &Conv2d,
    stored: [usize; 3],
    matrix: &impl Fn(&[f32], [usize; 2]) -> Matrix,
) -> usize {
    let pool = Layer::MaxPool2d { size: 2 };
    let (rectified, pooled) = match &network.layers()[place + 1..] {
        [Layer::Relu, next, ..] | [next, Layer::Relu, ..] if *next == pool && conv.stride == 1 => (true, true),
        [next, ..] if *next == pool && conv.stride == 1 => (false, true),
        [Layer::Relu, ..] => (true, false),
        _ => (false, false),
    };
    let taken = 1 + usize::from(rectified) + usize::from(pooled);
    let after = network.shape(place + taken);
    let [_, height, width] = stored;
    let [_, rows, columns] = after;
    let weight = matrix(&conv.weight, [conv.outputs, conv.inputs * conv.kernel * conv.kernel]);
    let (kernel, stride) = (conv.kernel, conv.stride);
    let own = Conv { weight, bias: conv.bias.clone(), kernel, stride, height, width, rows, columns, pooled, rectified };
    push(found, &conv.name, Op::Conv(own), after);
    taken
}
