//! A step of the plan with its weights.

use super::Error;
use super::bytes::{self, Bytes, Convert};
use super::conv::{Conv, Layer};
use super::margins::fills;
use super::other::Other;
use super::plan::{Plan, Step as Planned};
use super::pooling::Pooling as TilePooling;
use super::single::{self, Single};
use super::walk::Workspaces;
use crate::InstructionSet;
use crate::file::Precision;
use crate::kernels::activation::{Function, with_activation};
use crate::kernels::int8;
use crate::kernels::margins::Fills;
use crate::kernels::pointwise::{Scale, forward};
use crate::kernels::pooling::Masked;
use crate::lanes::{LANES, Lanes, at};
use crate::simd::dots::DotSet;
use crate::simd::{Kernel, Vector, dispatch};
use crate::train::Crossovers;
use crate::train::graph::copy::{Run, reordered, runs};
use crate::train::graph::layout::{Layout, Margins};
use crate::train::graph::plan::Kind;
use crate::train::graph::pointwise::Read;
use crate::train::graph::pooling::Pooling;
use secateur_graph::{Activation, Graph, Op, Role, Weights};
use std::mem::size_of;
use std::ops::Range;

/// A step with its weights.
#[derive(Debug)]
pub(super) struct Step {
    pub inputs: Vec<usize>,
    pub output: usize,
    work: Work,
    /// What is written around each channel of tiles.
    fills: Fills,
}

#[derive(Debug)]
enum Work {
    Conv(Box<Conv>),
    Bytes(Box<bytes::Conv>),
    Convert(Convert),
    /// Max-pooling of bytes.
    MaxBytes(DotSet, Masked),
    Pointwise {
        /// Of each channel.
        scales: Vec<Scale>,
        activation: Option<Activation>,
    },
    Pooling(Pooling),
    TilePooling(TilePooling),
    /// One for each input.
    Copies(Vec<Vec<Run>>),
    Vector(Box<Single>),
    Other(Other),
    /// Of each value the offset of its number in the input and in the output: from tiles to other tiles.
    Numbers(Vec<[u32; 2]>),
}

/// What steps are compiled from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub graph: &'a Graph,
    pub weights: &'a Weights,
    /// The weights before batch normalisation was folded into them.
    pub stored: &'a Weights,
    pub plan: &'a Plan,
    pub crossovers: &'a Crossovers,
    /// How the weights of fully connected layers of one image are held.
    pub precision: Precision,
    pub set: InstructionSet,
}

impl Source<'_> {
    /// A convolution that reads bytes.
    fn bytes(&self, planned: &Planned) -> Result<bytes::Conv, Error> {
        let Self { graph, weights, stored, plan, crossovers, set, .. } = *self;
        let node = &graph.nodes()[planned.node.expect("a convolution is a node")];
        let channels = |shape: &[usize]| Layout::of(shape).channels;
        let mut geometry = plan.geometry(planned).expect("it is a convolution");
        // The layouts of bytes have a channel for every four.
        geometry.x.channels = channels(graph.shape(node.inputs[0]));
        geometry.y.channels = channels(graph.shape(node.output));
        let name = |role: Role| format!("{}.{}", node.name, role.field());
        let held = |value: usize| plan.bytes[value];
        let layer = bytes::Layer {
            weight: weights.get(&name(Role::Weight)),
            stored: stored.get(&name(Role::Weight)),
            bias: graph.parameter(&name(Role::Bias)).map(|own| weights.get(&own.name)),
            activation: planned.activation,
            x: held(planned.inputs[0]).expect("it reads bytes"),
            other: planned.inputs.get(1).and_then(|own| held(*own)),
            y: held(planned.output),
            is_dense: *crossovers == Crossovers::DENSE,
        };
        let own = bytes::Conv::new(geometry, layer, DotSet::of(set));
        own.ok_or_else(|| Error::Sums { name: node.name.clone() })
    }
}

impl Step {
    /// `blocks` of images go through it together.
    ///
    /// # Errors
    /// When sums of bytes could leave 32 bits.
    pub(super) fn new(source: Source<'_>, planned: &Planned, blocks: usize) -> Result<Self, Error> {
        let Source { graph, weights, plan, crossovers, precision, set, .. } = source;
        let of = |node: usize, role: Role| {
            let name = format!("{}.{}", graph.nodes()[node].name, role.field());
            graph.parameter(&name).map(|own| weights.get(&own.name))
        };
        let [x, y] = [&plan.layouts[planned.inputs[0]], &plan.layouts[planned.output]];
        let [x_bytes, y_bytes] = [plan.bytes[planned.inputs[0]], plan.bytes[planned.output]];
        let tilings = plan.tilings.as_ref().map(|own| [own[planned.inputs[0]], own[planned.output]]);
        let outside = y_bytes.map_or(0, Bytes::outside);
        let fills = tilings.map_or_else(Fills::default, |[_, tiling]| fills(y, &tiling, outside));
        let op = planned.node.map(|node| &graph.nodes()[node].op);
        let work = match planned.kind {
            Kind::Conv { .. } if x_bytes.is_some() => Work::Bytes(Box::new(source.bytes(planned)?)),
            Kind::Conv { is_linear, .. } => {
                let node = planned.node.expect("a convolution is a node");
                let geometry = plan.geometry(planned).expect("it is a convolution");
                let weight = of(node, Role::Weight).expect("a convolution has weights");
                let crossover = if is_linear { crossovers.linear } else { crossovers.conv };
                let nonzero = weight.iter().filter(|value| **value != 0.0).count();
                let is_sparse = (nonzero as f64) < crossover * weight.len() as f64;
                let (bias, activation) = (of(node, Role::Bias), planned.activation);
                let (is_tiled, pools) = (tilings.is_some(), planned.pools);
                let blocks = if is_linear { blocks } else { 1 };
                let layer = Layer { weight, bias, activation, is_sparse, is_tiled, y: *y, pools, blocks };
                Work::Conv(Box::new(Conv::new(geometry, layer, set)))
            }
            Kind::Vector => {
                let node = planned.node.expect("a layer is a node");
                let weight = of(node, Role::Weight).expect("it has weights");
                let [x, y] = [planned.inputs[0], planned.output].map(|value| match plan.origins[value] {
                    0 => graph.input(),
                    origin => graph.nodes()[origin - 1].output,
                });
                let own = single::Source {
                    weight,
                    bias: of(node, Role::Bias),
                    shapes: [x, y].map(|value| graph.shape(value)),
                    window: match &graph.nodes()[node].op {
                        Op::Conv2d(conv) => Some(conv.window),
                        _ => None,
                    },
                    dense: *crossovers == Crossovers::DENSE,
                    precision,
                };
                Work::Vector(Box::new(Single::new(plan, planned, &own, set)))
            }
            Kind::Pointwise { norm, activation } => {
                let scales = norm.map_or_else(
                    || vec![Scale::NONE; x.channels],
                    |node| {
                        let Op::BatchNorm(norm) = graph.nodes()[node].op else {
                            unreachable!("a normalisation's node is one")
                        };
                        let [scale, shift, mean, variance] = [Role::Scale, Role::Shift, Role::Mean, Role::Variance]
                            .map(|role| of(node, role).expect("a normalisation has all of them"));
                        let of = |channel: usize| {
                            let moments = [mean, variance].map(|own| f64::from(own[channel]));
                            Scale::of(norm, moments, scale[channel], shift[channel])
                        };
                        (0..x.channels).map(of).collect()
                    },
                );
                Work::Pointwise { scales, activation }
            }
            Kind::Pool(pool) if x_bytes.is_some() => Work::MaxBytes(
                DotSet::of(set),
                match &tilings {
                    Some([tiling, _]) => TilePooling::new(pool, (x, tiling), y).into_windows(),
                    None => Pooling::new(pool, [x, y], [x, y]).masked(),
                },
            ),
            Kind::Pool(pool) => match &tilings {
                Some([tiling, _]) => Work::TilePooling(TilePooling::new(pool, (x, tiling), y)),
                None => Work::Pooling(Pooling::new(pool, [x, y], [x, y])),
            },
            Kind::GlobalMaxPool => {
                let [tiling, _] = tilings.as_ref().expect("only tiles are pooled so");
                Work::TilePooling(TilePooling::largest((x, tiling), y))
            }
            Kind::GlobalAveragePool => match &tilings {
                Some([tiling, _]) => Work::TilePooling(TilePooling::global((x, tiling), y)),
                None => Work::Pooling(Pooling::global([x, y], [x, y])),
            },
            Kind::Copy if x_bytes.is_some() != y_bytes.is_some() => {
                Work::Convert(Convert::new(DotSet::of(set), [x, y], [x_bytes, y_bytes]))
            }
            Kind::Copy if let Some(Op::Permute(order)) = op => {
                let shape = graph.shape(graph.nodes()[planned.node.expect("it is a node")].inputs[0]);
                let pair = |index: usize| [reordered(shape, order, index), index];
                match &tilings {
                    Some([from, to]) => {
                        let number = |[vector, lane]: [usize; 2]| (vector * LANES + lane) as u32;
                        let places = |[a, b]: [usize; 2]| [number(from.place(x, a)), number(to.place(y, b))];
                        Work::Numbers((0..plan.values(planned.output)).map(|index| places(pair(index))).collect())
                    }
                    None => {
                        let places = |[a, b]: [usize; 2]| [x.place(a), y.place(b)];
                        Work::Copies(vec![runs((0..y.values()).map(|index| places(pair(index))))])
                    }
                }
            }
            Kind::Copy => match (&tilings, op) {
                (Some([from, to]), None | Some(Op::Flatten | Op::Reshape(_))) => {
                    let number = |[vector, lane]: [usize; 2]| (vector * LANES + lane) as u32;
                    let pair = |index: usize| [number(from.place(x, index)), number(to.place(y, index))];
                    Work::Numbers((0..plan.values(planned.output)).map(pair).collect())
                }
                _ => Work::Copies(copies(plan, planned, matches!(op, Some(Op::Crop(_))))),
            },
            Kind::Other => {
                let place = planned.node.expect("it is a node");
                let first = graph.parameters().partition_point(|own| own.node < place);
                let of = |parameter: usize| weights.get(&graph.parameters()[first + parameter].name);
                Work::Other(Other::new(graph, plan, planned, of)?)
            }
        };
        Ok(Self { inputs: planned.inputs.clone(), output: planned.output, work, fills })
    }

    /// Takes the next step along, if both are layers of one image.
    pub(super) fn join(&mut self, next: Self) {
        if let (Work::Vector(own), Work::Vector(work)) = (&mut self.work, next.work) {
            own.join(*work);
            (self.output, self.fills) = (next.output, next.fills);
        }
    }

    /// Bytes of the weights, with all that says where they stand.
    pub(super) fn weight_bytes(&self) -> usize {
        match &self.work {
            Work::Conv(own) => own.weight_bytes(),
            Work::Bytes(own) => own.weight_bytes(),
            Work::Pointwise { scales, .. } => scales.len() * size_of::<Scale>(),
            Work::Other(own) => own.weight_bytes(),
            Work::Vector(own) => own.weight_bytes(),
            Work::Pooling(_)
            | Work::TilePooling(_)
            | Work::Copies(_)
            | Work::Numbers(_)
            | Work::Convert(_)
            | Work::MaxBytes(..) => 0,
        }
    }

    /// Bytes of the lists of positions, windows, copies and margins.
    pub(super) fn list_bytes(&self) -> usize {
        let own = match &self.work {
            Work::Conv(own) => own.list_bytes(),
            Work::Bytes(own) => own.list_bytes(),
            Work::MaxBytes(_, own) => own.bytes(),
            Work::Pointwise { .. } | Work::Convert(_) => 0,
            Work::Pooling(own) => own.bytes(),
            Work::TilePooling(own) => own.bytes(),
            Work::Copies(copies) => copies.iter().flatten().count() * size_of::<Run>(),
            Work::Other(own) => own.list_bytes(),
            Work::Vector(own) => own.list_bytes(),
            Work::Numbers(own) => size_of_val(&**own),
        };
        own + self.fills.bytes()
    }

    /// Channels in and out that its workspace is for, where it needs one.
    pub(super) fn workspace(&self) -> Option<[usize; 2]> {
        match &self.work {
            Work::Conv(own) => own.workspace(),
            Work::Bytes(_)
            | Work::Convert(_)
            | Work::MaxBytes(..)
            | Work::Pointwise { .. }
            | Work::Pooling(_)
            | Work::TilePooling(_)
            | Work::Copies(_)
            | Work::Vector(_)
            | Work::Other(_)
            | Work::Numbers(_) => None,
        }
    }

    /// Whether it computes several blocks at once.
    pub(super) fn takes_blocks(&self) -> bool {
        matches!(&self.work, Work::Conv(own) if own.blocks() > 1)
    }

    /// Inputs or outputs of a fully connected layer of one image, whichever are more; 0 where it is none.
    pub(super) fn widest(&self) -> usize {
        if let Work::Vector(own) = &self.work { own.widest() } else { 0 }
    }

    /// Parts of about equal work, channels that can be computed by themselves; at most so many, and one where they would be
    /// too small to be worth it.
    pub(super) fn parts(&self, layout: &Layout, most: usize) -> Vec<Range<usize>> {
        let channels = layout.channels;
        let (borders, work): (Vec<usize>, &dyn Fn(usize) -> usize) = match &self.work {
            Work::Conv(own) => (own.borders(), &|channel| own.work(channel)),
            Work::Bytes(own) => (own.borders(), &|channel| own.work(channel)),
            Work::Pointwise { .. }
            | Work::Pooling(_)
            | Work::TilePooling(_)
            | Work::Convert(_)
            | Work::MaxBytes(..) => ((0..channels).collect(), &|channel| channel * layout.plane()),
            Work::Other(own) if own.has_parts() => ((0..channels).collect(), &|channel| channel * layout.plane()),
            Work::Copies(_) | Work::Numbers(_) | Work::Vector(_) | Work::Other(_) => (vec![0], &|_| 0),
        };
        let all = work(channels);
        let count = most.min(all / PART + 1);
        let mut found = vec![];
        let mut first = 0;
        for part in 1..=count {
            let next = borders.iter().copied().find(|own| work(*own) * count >= all * part && *own > first);
            let end = if part == count { channels } else { next.unwrap_or(channels) };
            if end > first {
                found.push(first..end);
            }
            first = end;
        }
        found
    }

    /// Writes some channels of the output of a block, or of an image; `y` begins with the first of them.
    pub(super) fn run<'a>(
        &self,
        set: InstructionSet,
        read: impl Fn(usize) -> Read<'a>,
        layout: &Layout,
        channels: Range<usize>,
        y: &mut [Lanes],
        workspaces: &mut Workspaces,
    ) {
        let x = read(self.inputs[0]);
        let other = if self.inputs.len() > 1 { Some(read(self.inputs[1])) } else { None };
        let plane = layout.plane();
        match &self.work {
            Work::Conv(own) => {
                let other = other.map(|own| &own.values[channels.start * plane..]);
                own.run(set, channels, x.values, other, y, &mut workspaces.winograd);
            }
            Work::Bytes(own) => own.run(channels, x.values, other.map(|own| own.values), y),
            Work::Convert(own) => own.run(x, channels, plane, y),
            Work::MaxBytes(set, windows) => {
                for (channel, y) in channels.zip(y.chunks_exact_mut(plane)) {
                    int8::max(*set, windows, x.plane(0, channel).values, y);
                }
            }
            Work::Pointwise { scales, activation } => {
                dispatch(set, Pointwise { activation: *activation, scales, x, other, layout, channels, y });
            }
            Work::Pooling(_) | Work::TilePooling(_) => {
                dispatch(set, Pooled { work: &self.work, x, channels, plane, y });
            }
            Work::Copies(copies) => {
                for (input, copy) in self.inputs.iter().zip(copies) {
                    let x = read(*input).values;
                    for Run { from, to, len } in copy {
                        y[*to..*to + *len].copy_from_slice(&x[*from..*from + *len]);
                    }
                }
            }
            Work::Other(own) => own.run(set, x, other, layout, channels, y),
            Work::Vector(own) => own.run(set, x.values, y, &mut workspaces.single),
            Work::Numbers(own) => {
                for [from, to] in own {
                    y[*to as usize / LANES].0[*to as usize % LANES] = at(x.values, *from as usize);
                }
            }
        }
        self.fills.fill(set, plane, y);
    }
}

/// Products of vectors that are worth being shared by threads: it takes them about a microsecond to meet, and as long again
/// to read what others have written.
const PART: usize = 20_000;

/// `f(scale(x) + other)` of some channels.
struct Pointwise<'a> {
    activation: Option<Activation>,
    scales: &'a [Scale],
    x: Read<'a>,
    other: Option<Read<'a>>,
    layout: &'a Layout,
    channels: Range<usize>,
    y: &'a mut [Lanes],
}

impl Kernel for Pointwise<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        with_activation!(self.activation, pointwise, self);
    }
}

#[inline(always)]
fn pointwise<V: Vector, F: Function>(own: Pointwise<'_>) {
    let Pointwise { scales, x, other, layout, channels, y, .. } = own;
    for (channel, y) in channels.zip(y.chunks_exact_mut(layout.plane())) {
        let other = other.map(|own| own.plane(0, channel));
        forward::<V, F>(scales[channel], x.plane(0, channel), other, layout.grid(), y);
    }
}

/// Pooling of some channels.
struct Pooled<'a> {
    work: &'a Work,
    x: Read<'a>,
    channels: Range<usize>,
    plane: usize,
    y: &'a mut [Lanes],
}

impl Kernel for Pooled<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        for (channel, y) in self.channels.zip(self.y.chunks_exact_mut(self.plane)) {
            let x = self.x.plane(0, channel).values;
            match self.work {
                Work::Pooling(own) => own.write_channel::<V>(x, y),
                Work::TilePooling(own) => own.write_channel::<V>(x, y),
                _ => unreachable!("this is pooling"),
            }
        }
    }
}

/// The runs of vectors that are copied from each input.
fn copies(plan: &Plan, planned: &Planned, crops: bool) -> Vec<Vec<Run>> {
    let y = &plan.layouts[planned.output];
    let mut first = 0;
    let own = planned.inputs.iter().map(|input| {
        let x = plan.layouts[*input];
        let x = if crops { cropped(&x, [y.height, y.width]) } else { x };
        let own = runs((0..x.values()).map(|index| [x.place(index), y.place(first + index)]));
        first += x.values();
        own
    });
    own.collect()
}

/// The first rows and columns of each channel; what is not of them counts as margin.
fn cropped(layout: &Layout, [height, width]: [usize; 2]) -> Layout {
    let margins = Margins {
        bottom: layout.margins.bottom + layout.height - height,
        right: layout.margins.right + layout.width - width,
        ..layout.margins
    };
    Layout { height, width, margins, ..*layout }
}
