//! What the engine does with a graph, step by step: which nodes are computed in one pass, how the values lie in memory, and
//! which of them share a buffer. Pure: no weights, no buffers.

use super::bytes::Bytes;
use super::ranges::{self, Known};
use super::single;
use super::tiling::{self, Link, Tiling};
use super::{Error, LanesHold};
use crate::kernels::winograd::Workspace;
use crate::lanes::{LANES, Lanes};
use crate::train::graph::conv::CACHED;
use crate::train::graph::conv::winograd::Tiles;
use crate::train::graph::geometry::{Geometry, padding};
use crate::train::graph::layout::Layout;
use crate::train::graph::plan::{Kind, Pass, passes};
use crate::{Ranges, Unsupported};
use secateur_graph::{Activation, Graph, Node, Op, Pool, PoolKind, Value, Window};
use std::mem::size_of;

/// Blocks that go through the last steps together at most.
pub(super) const TOGETHER: usize = 4;

/// The steps of a graph.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// By value. One of bytes has a channel for every four.
    pub layouts: Vec<Layout>,
    /// By value: how its bytes are to be read; `None` for floats.
    pub bytes: Vec<Option<Bytes>>,
    /// By value: that of the graph, by its index.
    pub origins: Vec<usize>,
    /// By value, where the lanes hold tiles of one image and not sixteen images.
    pub tilings: Option<Vec<Tiling>>,
    /// By value: blocks of images that it is there for, several where the last steps read or write it.
    pub blocks: Vec<usize>,
    /// By value: the buffer that it lies in.
    pub buffers: Vec<usize>,
    /// By buffer: vectors of its blocks, or of an image, and the bits of each lane around channels.
    pub sizes: Vec<(usize, u32)>,
    pub steps: Vec<Step>,
    /// The value that images are read into; where the lanes hold images it has no margins.
    pub input: usize,
    /// The value of the logits.
    pub output: usize,
    /// The last steps.
    pub tail: Tail,
    /// About what a block costs, or an image, to be compared between plans.
    pub cost: f64,
}

/// The last steps, through which a few blocks of images go together: a fully connected layer reads a weight once for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// The place of the first of these steps, the number of all steps where there are none.
    pub first: usize,
    /// Blocks at most.
    pub blocks: usize,
}

/// One pass over the values of a block, or of an image.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// The node that it is named after; `None` for the copy of the images into a layout with margins.
    pub node: Option<usize>,
    pub kind: Kind,
    /// The values that it reads. A convolution adds the second one, which has the layout of the output, to its sums.
    pub inputs: Vec<usize>,
    pub output: usize,
    /// What a convolution applies to its sums.
    pub activation: Option<Activation>,
    /// Whether of every two by two outputs of a convolution only the largest is written.
    pub pools: bool,
}

/// What is computed with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Numbers<'a> {
    /// Floats.
    Floats,
    /// Floats of which every value of the graph's passes is there for a while.
    EveryFloat,
    /// Bytes where convolutions are, over these ranges.
    Bytes(&'a Ranges),
}

impl Plan {
    /// At most `blocks` of images go through the last steps together.
    ///
    /// # Errors
    /// When a value is larger than the kernels' 32-bit offsets reach, or a range is missing.
    pub(super) fn new(graph: &Graph, lanes: LanesHold, numbers: Numbers<'_>, blocks: usize) -> Result<Self, Error> {
        let mut own = Self {
            layouts: vec![Layout::of(graph.shape(graph.input()))],
            bytes: vec![None],
            origins: vec![graph.input().index()],
            tilings: None,
            blocks: vec![],
            buffers: vec![],
            sizes: vec![],
            steps: vec![],
            input: 0,
            output: 0,
            tail: Tail { first: 0, blocks: 1 },
            cost: 0.0,
        };
        let mut values = vec![None; graph.nodes().len() + 1];
        values[0] = Some(0);
        for Fused { pass: (node, kind, inputs, output), activation, pools } in
            fused(graph, needed(graph), lanes, numbers)
        {
            let kind = if lanes == LanesHold::Places { whole_image(kind, graph.shape(inputs[0])) } else { kind };
            let mut inputs: Vec<usize> =
                inputs.iter().map(|value| values[value.index()].expect("it is computed before")).collect();
            if lanes == LanesHold::Places && ends_tiles(&kind, pools, graph.shape(output)) {
                inputs[0] = own.copied(inputs[0]);
            }
            let output_value = own.add_value(Layout::of(graph.shape(output)), None, output.index());
            values[output.index()] = Some(output_value);
            own.steps.push(Step { node: Some(node), kind, inputs, output: output_value, activation, pools });
        }
        own.output = values[graph.output().index()].expect("the output is needed");
        let links: Vec<Link> = own.steps.iter().flat_map(|step| step.links(graph, &own.layouts)).collect();
        if lanes == LanesHold::Places {
            let cuts = tiling::cuts(&own.layouts, &links);
            for (layout, (_, [height, width])) in own.layouts.iter_mut().zip(&cuts) {
                (layout.height, layout.width) = (*height, *width);
            }
            own.tilings = Some(cuts.into_iter().map(|cut| cut.0).collect());
            own.pack_features();
        }
        let sides = |value: usize| [own.layouts[value].height, own.layouts[value].width];
        let margin = if own.tilings.is_some() { tiling::MARGIN } else { 0.0 };
        own.cost = tiling::cost(&own.layouts, &links, sides, margin) + own.vector_cost(graph);
        if let Numbers::Bytes(ranges) = numbers {
            own.hold_bytes(Known { ranges, names: &ranges::names(graph) })?;
        }
        own.set_margins();
        if own.tilings.is_none() && !matches!(numbers, Numbers::EveryFloat) {
            own.leave_out_flattening(graph);
        }
        // What is in a lane is found by the offset of a number, not of a vector.
        let most = u32::MAX as usize / if own.tilings.is_some() { LANES } else { 1 };
        let large = |step: &&Step| {
            let mut values = step.inputs.iter().chain([&step.output]);
            values.any(|value| own.layouts[*value].block() > most)
        };
        if let Some(node) = own.steps.iter().filter(large).find_map(|step| step.node) {
            let why = format!("its values with their padding are more than {most} for one image");
            return Err(Unsupported { node: graph.nodes()[node].name.clone(), why }.into());
        }
        own.tail = match (numbers, lanes) {
            (Numbers::Floats, LanesHold::Images) => own.tail(blocks),
            (Numbers::Floats, LanesHold::Places) | (Numbers::EveryFloat | Numbers::Bytes(_), _) => own.tail(1),
        };
        own.share_buffers();
        Ok(own)
    }

    /// Whether a step and the next are layers of one image of which the second alone reads what the first gives: what lies between
    /// them needs no buffer.
    pub(super) fn goes_on(&self, place: usize) -> bool {
        let [step, next] = [place, place + 1].map(|place| self.steps.get(place).filter(|own| own.kind == Kind::Vector));
        let (Some(step), Some(next)) = (step, next) else { return false };
        let readers = self.steps.iter().filter(|own| own.inputs.contains(&step.output)).count();
        let is_whole = matches!(step.activation, None | Some(Activation::Relu));
        is_whole && next.inputs == [step.output] && readers == 1 && step.output != self.output
    }

    /// The steps from the first fully connected layer on that no convolution or pooling follows, and as many blocks as the caches
    /// hold the inputs of.
    fn tail(&self, blocks: usize) -> Tail {
        let is_linear = |step: &Step| matches!(step.kind, Kind::Conv { is_linear: true, .. });
        let has_pixels = |step: &Step| match step.kind {
            Kind::Conv { is_linear, .. } => !is_linear,
            Kind::Pool(_) | Kind::GlobalAveragePool | Kind::GlobalMaxPool => true,
            Kind::Pointwise { .. } | Kind::Vector | Kind::Copy | Kind::Other => false,
        };
        let behind = self.steps.iter().rposition(has_pixels).map_or(0, |place| place + 1);
        let linear = || (behind..self.steps.len()).filter(|place| is_linear(&self.steps[*place]));
        let inputs = linear().map(|place| self.layouts[self.steps[place].inputs[0]].block()).max();
        let fitting = CACHED / inputs.unwrap_or(CACHED).max(1);
        // Two at least go by, and then the sums of one are no others than those of many.
        match blocks.min(fitting).min(TOGETHER) / 2 * 2 {
            0 => Tail { first: self.steps.len(), blocks: 1 },
            blocks => Tail { first: linear().next().unwrap_or(self.steps.len()), blocks },
        }
    }

    /// Lets fully connected layers read what is flattened where it stands, if it has no margins there.
    fn leave_out_flattening(&mut self, graph: &Graph) {
        let is_linear = |step: &Step| matches!(step.kind, Kind::Conv { is_linear: true, .. });
        for place in (0..self.steps.len()).rev() {
            let Step { node: Some(node), kind: Kind::Copy, ref inputs, output, .. } = self.steps[place] else {
                continue;
            };
            let from = inputs[0];
            let flattens = matches!(graph.nodes()[node].op, Op::Flatten | Op::Reshape(_));
            let is_flat = self.layouts[from].margins == Default::default() && self.bytes[from].is_none();
            let reads = |step: &Step| step.inputs.contains(&output);
            let fits = |step: &Step| is_linear(step) && step.inputs[0] == output && !step.inputs[1..].contains(&output);
            if flattens && is_flat && output != self.output && self.steps.iter().filter(|own| reads(own)).all(fits) {
                self.steps.iter_mut().filter(|own| reads(own)).for_each(|own| own.inputs[0] = from);
                self.steps.remove(place);
            }
        }
    }

    /// Lets sixteen numbers stand in a vector where only layers of one image write and read them; those of the input, too, and the
    /// answers.
    fn pack_features(&mut self) {
        let is_vector = |step: &Step| step.kind == Kind::Vector;
        let Some(tilings) = &mut self.tilings else { return };
        for (value, (layout, tiling)) in self.layouts.iter_mut().zip(tilings).enumerate() {
            let is_written = self.steps.iter().any(|step| step.output == value && is_vector(step));
            let mut readers = self.steps.iter().filter(|step| step.inputs.contains(&value));
            if (is_written || value == self.input) && readers.all(is_vector) {
                let numbers = tiling.values(layout);
                *tiling = Tiling::packed(numbers);
                *layout = Layout::of(&[numbers.div_ceil(LANES)]);
            }
        }
    }

    /// About what layers of one image cost, in products of vectors: twice the arithmetic, since inputs are looked up or begin anywhere
    /// in a vector, and numbers that are moved.
    fn vector_cost(&self, graph: &Graph) -> f64 {
        let cost = |step: &Step| {
            let [inputs, outputs] = [step.inputs[0], step.output].map(|value| self.values(value) as f64);
            let node = step.node.map(|node| &graph.nodes()[node]);
            let work = match node {
                Some(Node { op: Op::Conv2d(conv), inputs, output, .. }) => {
                    let ([channels, ..], [_, height, _]) = (graph.shape(inputs[0]), graph.shape(*output)) else {
                        unreachable!("a convolution reads and writes images")
                    };
                    let taps = channels * conv.window.size[0] * conv.window.size[1];
                    // Rows of the input's length are computed.
                    (taps * conv.outputs * height * graph.shape(inputs[0])[2]) as f64
                }
                _ => inputs * outputs,
            };
            2.0 * work * tiling::DENSITY / LANES as f64 + (inputs + outputs) / 4.0 + 8.0
        };
        self.steps.iter().filter(|step| step.kind == Kind::Vector).map(cost).sum()
    }

    /// Copies a value, so that what is computed from it need not be cut into tiles as it is; the copy.
    fn copied(&mut self, value: usize) -> usize {
        let output = self.add_value(self.layouts[value], None, self.origins[value]);
        self.steps.push(Step::copy(vec![value], output));
        output
    }

    /// The number of a new value.
    pub(super) fn add_value(&mut self, layout: Layout, bytes: Option<Bytes>, origin: usize) -> usize {
        self.layouts.push(layout);
        self.bytes.push(bytes);
        self.origins.push(origin);
        self.layouts.len() - 1
    }

    /// The layout of what a step computes, of which it may write the largest only.
    fn computed(&self, step: &Step) -> Layout {
        let y = self.layouts[step.output];
        match step.pools {
            true => Layout { height: 2 * y.height, width: 2 * y.width, margins: Default::default(), ..y },
            false => y,
        }
    }

    /// The geometry of a convolution.
    pub(super) fn geometry(&self, step: &Step) -> Option<Geometry> {
        let Kind::Conv { window, groups, is_linear, .. } = step.kind else { return None };
        let (mut x, y) = (self.layouts[step.inputs[0]], self.computed(step));
        if is_linear && self.tilings.is_none() && self.bytes[step.inputs[0]].is_none() {
            // What has no margins is flat as it stands.
            x = Layout::of(&[x.values()]);
        }
        Some(Geometry { window, groups, x, dx: x, y, dy: y })
    }

    /// Bytes of the buffers and the workspaces of all threads and of the lists of positions, windows and copies; the largest `usize` when
    /// that is too few.
    pub(super) fn bytes(&self, threads: usize) -> usize {
        let vectors = self.sizes.iter().fold(0usize, |sum, (size, _)| sum.saturating_add(*size));
        let lists = self.steps.iter().map(|step| self.list_bytes(step)).fold(0, usize::saturating_add);
        let workspace = self.steps.iter().map(|step| self.workspace_bytes(step)).max().unwrap_or(0);
        let each = vectors.saturating_mul(size_of::<Lanes>()).saturating_add(workspace);
        each.saturating_mul(threads).saturating_add(lists)
    }

    /// Bytes of the lists of a step at most.
    fn list_bytes(&self, step: &Step) -> usize {
        let (x, y) = (&self.layouts[step.inputs[0]], &self.layouts[step.output]);
        let fills = if self.tilings.is_some() { y.plane() } else { 0 }.saturating_mul(size_of::<[u32; 2]>());
        let elements = match step.kind {
            Kind::Conv { .. } => self.computed(step).pixels(),
            Kind::Pointwise { .. } => 0,
            Kind::Pool(pool) => {
                let [rows, columns] = pool.window.size;
                rows.saturating_mul(columns).saturating_add(2).saturating_mul(y.pixels())
            }
            Kind::GlobalAveragePool | Kind::GlobalMaxPool => x.pixels(),
            Kind::Vector => self.values(step.inputs[0]),
            Kind::Copy => self.values(step.output),
            Kind::Other => self.values(step.output).saturating_add(x.block().saturating_mul(LANES)),
        };
        elements.saturating_mul(24).saturating_add(fills)
    }

    /// Numbers of a value for an image.
    pub(super) fn values(&self, value: usize) -> usize {
        let layout = &self.layouts[value];
        self.tilings.as_ref().map_or_else(|| layout.values(), |own| own[value].values(layout))
    }

    /// Bytes of the workspace of a step at most.
    fn workspace_bytes(&self, step: &Step) -> usize {
        if step.kind == Kind::Vector {
            return single::Workspace::needed(self.values(step.inputs[0]).max(self.values(step.output)));
        }
        match self.geometry(step) {
            Some(_) if self.bytes[step.inputs[0]].is_some() => 0,
            Some(own) if Tiles::pay_once_transformed(&own) => Workspace::needed([own.x.channels, own.y.channels]),
            Some(_) | None => 0,
        }
    }

    /// Gives every value the margins that the convolutions which read it need; that of a tile, pooling, too.
    fn set_margins(&mut self) {
        for step in &self.steps {
            let reads = match step.kind {
                Kind::Conv { window, .. } => Some(window),
                Kind::Pool(pool) => self.tilings.is_some().then_some(pool.window),
                Kind::Pointwise { .. }
                | Kind::GlobalAveragePool
                | Kind::GlobalMaxPool
                | Kind::Vector
                | Kind::Copy
                | Kind::Other => None,
            };
            if let Some(window) = &reads {
                let (x, y) = (self.layouts[step.inputs[0]], self.computed(step));
                self.layouts[step.inputs[0]].margins = x.margins.max(padding(window, &x, &y));
            }
        }
        // What is added to a convolution's sums is read at the outputs' offsets.
        let alike: Vec<[usize; 2]> = self.steps.iter().filter_map(Step::alike).collect();
        loop {
            let before = self.layouts.clone();
            for pair in &alike {
                let margins = self.layouts[pair[0]].margins.max(self.layouts[pair[1]].margins);
                pair.iter().for_each(|value| self.layouts[*value].margins = margins);
            }
            if before == self.layouts {
                break;
            }
        }
        let layout = self.layouts[0];
        if self.tilings.is_none() && layout.margins != Default::default() {
            self.input = self.add_value(Layout { margins: Default::default(), ..layout }, None, self.origins[0]);
            let inputs = vec![self.input];
            self.steps.insert(0, Step::copy(inputs, 0));
        }
    }

    /// Gives every value a buffer, which it shares with others that are not needed at the same time. Only values of one
    /// layout share, so that the zeros of their margins stay. (The margins of tiles are written anew every time.)
    fn share_buffers(&mut self) {
        let mut last: Vec<usize> = vec![0; self.layouts.len()];
        for (place, step) in self.steps.iter().enumerate() {
            step.inputs.iter().chain([&step.output]).for_each(|value| last[*value] = place);
        }
        last[self.output] = self.steps.len();
        self.blocks = vec![1; self.layouts.len()];
        for step in &self.steps[self.tail.first..] {
            step.inputs.iter().chain([&step.output]).for_each(|value| self.blocks[*value] = self.tail.blocks);
        }
        self.buffers = vec![usize::MAX; self.layouts.len()];
        let goes_on: Vec<bool> = (0..self.steps.len()).map(|place| self.goes_on(place)).collect();
        let (sizes, buffers, layouts, blocks) = (&mut self.sizes, &mut self.buffers, &self.layouts, &self.blocks);
        let outside: Vec<u32> = self.bytes.iter().map(|own| own.map_or(0, Bytes::outside)).collect();
        let kind = |value: usize| (layouts[value], outside[value], blocks[value]);
        let mut free: Vec<((Layout, u32, usize), usize)> = vec![];
        let mut take = |value: usize, free: &mut Vec<((Layout, u32, usize), usize)>| {
            let found = free.iter().position(|(own, _)| *own == kind(value));
            let fresh = sizes.len();
            let buffer = found.map_or(fresh, |place| free.remove(place).1);
            if buffer == fresh {
                sizes.push((layouts[value].block() * blocks[value], outside[value]));
            }
            buffer
        };
        buffers[self.input] = take(self.input, &mut free);
        for (place, step) in self.steps.iter().enumerate() {
            if !goes_on[place] {
                buffers[step.output] = take(step.output, &mut free);
            }
            let is_done = |value: &&usize| last[**value] == place && buffers[**value] != usize::MAX;
            let mut done: Vec<usize> = step.inputs.iter().filter(is_done).copied().collect();
            done.sort_unstable();
            done.dedup();
            free.extend(done.into_iter().map(|value| (kind(value), buffers[value])));
        }
    }
}

impl Step {
    /// The copy of a value into another layout.
    pub(super) fn copy(inputs: Vec<usize>, output: usize) -> Self {
        Self { node: None, kind: Kind::Copy, inputs, output, activation: None, pools: false }
    }

    /// The inputs that it computes its output from tile by tile.
    fn links(&self, graph: &Graph, layouts: &[Layout]) -> Vec<Link> {
        let taps = |window: &Window| window.size[0].saturating_mul(window.size[1]);
        let channels = |value: usize| layouts[value].channels;
        let (window, work) = match &self.kind {
            Kind::Conv { window, groups, .. } => {
                let inputs = channels(self.inputs[0]) / groups;
                (*window, taps(window).saturating_mul(inputs).saturating_mul(channels(self.output)))
            }
            Kind::Pool(pool) => (pool.window, taps(&pool.window).saturating_mul(channels(self.output))),
            Kind::Pointwise { .. } => (Window::square(1), 0),
            Kind::Copy => match self.node.map(|node| &graph.nodes()[node].op) {
                Some(Op::Concat | Op::Crop(_)) => (Window::square(1), 0),
                _ => return vec![],
            },
            Kind::Other => match self.node.map(|node| &graph.nodes()[node].op) {
                Some(Op::Mul) => (Window::square(1), 0),
                Some(Op::LayerNorm(own)) if own.axes == [0] || self.is_over_pixels(graph, &own.axes) => {
                    (Window::square(1), 0)
                }
                Some(Op::Softmax(0)) => (Window::square(1), 0),
                _ => return vec![],
            },
            Kind::GlobalAveragePool | Kind::GlobalMaxPool | Kind::Vector => return vec![],
        };
        let mut reach = [0, 1].map(|axis| (window.size[axis] - 1).saturating_mul(window.dilation[axis]));
        let (mut window, mut work) = (window, work);
        if self.pools {
            // What is written reads the windows of two by two outputs.
            (0..2).for_each(|axis| reach[axis] = reach[axis].saturating_add(window.stride[axis]));
            window.stride = window.stride.map(|stride| stride.saturating_mul(2));
            work = work.saturating_mul(4);
        }
        let link = |(place, from): (usize, &usize)| {
            // Only the first input is read by a window; what is added or put behind it has the output's pixels.
            let (stride, reach, work) = if place == 0 { (window.stride, reach, work) } else { ([1; 2], [0; 2], 0) };
            Link { from: *from, to: self.output, stride, reach, work }
        };
        // One factor for each channel has no pixels.
        let is_image =
            |(place, from): &(usize, &usize)| *place == 0 || layouts[**from].pixels() == layouts[self.output].pixels();
        self.inputs.iter().enumerate().filter(is_image).map(link).collect()
    }

    /// Whether these sides of its first input are all that a pixel has.
    pub(super) fn is_over_pixels(&self, graph: &Graph, axes: &[usize]) -> bool {
        let Some(node) = self.node else { return false };
        let shape = graph.shape(graph.nodes()[node].inputs[0]);
        !axes.contains(&0) && (1..shape.len()).all(|axis| axes.contains(&axis) || shape[axis] == 1)
    }

    /// The output of a convolution and what is added to its sums.
    fn alike(&self) -> Option<[usize; 2]> {
        match (self.kind, self.inputs.as_slice()) {
            (Kind::Conv { .. }, [_, other]) => Some([*other, self.output]),
            _ => None,
        }
    }
}

/// Whether an output is smaller than the grids that suit larger images, while its inputs may be such.
fn ends_tiles(kind: &Kind, pools: bool, output: &[usize]) -> bool {
    let window = match kind {
        Kind::Conv { window, .. } => window,
        Kind::Pool(pool) => &pool.window,
        Kind::Pointwise { .. }
        | Kind::GlobalAveragePool
        | Kind::GlobalMaxPool
        | Kind::Vector
        | Kind::Copy
        | Kind::Other => return false,
    };
    (pools || window.stride != [1; 2]) && output.iter().skip(1).any(|side| *side < 4)
}

/// The passes that the output depends on.
fn needed(graph: &Graph) -> Vec<Pass> {
    let mut needed = vec![false; graph.nodes().len() + 1];
    needed[graph.output().index()] = true;
    let mut found: Vec<Pass> = passes(graph).into_iter().rev().collect();
    found.retain(|(_, _, inputs, output)| {
        let own = needed[output.index()];
        inputs.iter().filter(|_| own).for_each(|value| needed[value.index()] = true);
        own
    });
    found.reverse();
    found
}

/// Max-pooling of all of an image as what it is.
fn whole_image(kind: Kind, input: &[usize]) -> Kind {
    match kind {
        Kind::Pool(Pool { kind: PoolKind::Max, window })
            if input.len() == 3
                && window.size == input[1..]
                && window.padding == [0; 2]
                && window.dilation == [1; 2] =>
        {
            Kind::GlobalMaxPool
        }
        other => other,
    }
}

/// A pass with what follows it.
#[derive(Clone, Debug)]
struct Fused {
    pass: Pass,
    activation: Option<Activation>,
    pools: bool,
}

/// The passes, with an addition and an activation that alone read a convolution put into the convolution's own, and with what
/// alone changes the sides of the rows of an embedding put into its own; then max-pooling by two of what a convolution gives put
/// into that, unless every value is asked for, or bytes are pooled.
fn fused(graph: &Graph, passes: Vec<Pass>, lanes: LanesHold, numbers: Numbers<'_>) -> Vec<Fused> {
    let mut found = joined(graph, passes);
    if !matches!(numbers, Numbers::EveryFloat) {
        leave_out_crops(graph, &mut found);
    }
    match numbers {
        Numbers::Floats => {
            join_pools(graph, &mut found);
            if lanes == LanesHold::Places {
                make_vectors(graph, &mut found);
                make_rows(graph, &mut found);
            }
        }
        Numbers::EveryFloat | Numbers::Bytes(_) => {}
    }
    found.into_iter().flatten().collect()
}

/// Lets windows without padding read what is cropped where it stands: they compute no more than their outputs.
fn leave_out_crops(graph: &Graph, found: &mut [Option<Fused>]) {
    for place in 0..found.len() {
        let Some(Fused { pass: (node, Kind::Copy, inputs, output), .. }) = &found[place] else { continue };
        let (from, output, is_crop) = (inputs[0], *output, matches!(graph.nodes()[*node].op, Op::Crop(_)));
        let fits = |own: &Fused| {
            let window = match own.pass.1 {
                Kind::Conv { window, .. } => window,
                Kind::Pool(pool) => pool.window,
                _ => return false,
            };
            window.padding == [0; 2] && own.pass.2[0] == output && !own.pass.2[1..].contains(&output)
        };
        let mut readers = found.iter().flatten().filter(|own| own.pass.2.contains(&output));
        if is_crop && output != graph.output() && readers.all(fits) {
            let readers = found.iter_mut().flatten().filter(|own| own.pass.2.contains(&output));
            readers.for_each(|own| own.pass.2[0] = from);
            found[place] = None;
        }
    }
}

/// Puts max-pooling by two that alone reads a convolution into the convolution's pass. Rectifying may come before it or behind it.
fn join_pools(graph: &Graph, found: &mut [Option<Fused>]) {
    let by_two = Pool::max(2);
    for place in 0..found.len() {
        let Some(Fused { pass: (node, kind @ Kind::Conv { .. }, inputs, output), activation, pools: false }) =
            &found[place]
        else {
            continue;
        };
        let monotone = matches!(activation, None | Some(Activation::Relu));
        let readers: Vec<usize> = (place + 1..found.len())
            .filter(|own| found[*own].as_ref().is_some_and(|own| own.pass.2.contains(output)))
            .collect();
        let ([reader], [_], true) = (readers.as_slice(), inputs.as_slice(), monotone && *output != graph.output())
        else {
            continue;
        };
        let Some(Fused { pass: (_, Kind::Pool(pool), _, result), .. }) = &found[*reader] else { continue };
        if *pool == by_two {
            let pass = (*node, *kind, inputs.clone(), *result);
            let joined = Fused { pass, activation: *activation, pools: true };
            found[*reader] = Some(joined);
            found[place] = None;
        }
    }
}

/// Makes fully connected layers, to whose sums nothing is added, those of one image. They read what is flattened where it stands.
fn make_vectors(graph: &Graph, found: &mut [Option<Fused>]) {
    let flattens = |own: &Fused| matches!(graph.nodes()[own.pass.0].op, Op::Flatten | Op::Reshape(_));
    // Of each value that is flattened what it is made of.
    let mut sources: Vec<(Value, Value)> = vec![];
    for own in found.iter_mut().flatten() {
        if own.pass.1 == Kind::Copy && flattens(own) {
            let from = sources.iter().find(|(value, _)| *value == own.pass.2[0]).map_or(own.pass.2[0], |own| own.1);
            sources.push((own.pass.3, from));
        }
        let (kind, inputs) = (&mut own.pass.1, &mut own.pass.2);
        if let (Kind::Conv { is_linear: true, .. }, [x]) = (&kind, inputs.as_mut_slice()) {
            *x = sources.iter().find(|(value, _)| value == x).map_or(*x, |own| own.1);
            *kind = Kind::Vector;
        }
    }
    for place in (0..found.len()).rev() {
        let Some(own) = found[place].as_ref().filter(|own| own.pass.1 == Kind::Copy && flattens(own)) else { continue };
        let is_read = found.iter().flatten().any(|other| other.pass.2.contains(&own.pass.3));
        if !is_read && own.pass.3 != graph.output() {
            found[place] = None;
        }
    }
}

/// Makes convolutions without padding, one behind the other from the image to fully connected layers, those of one image whose
/// numbers stand as they come: tiles of such small images would be margins for the most part.
fn make_rows(graph: &Graph, found: &mut [Option<Fused>]) {
    let fits = |own: &Fused| match &own.pass {
        (_, Kind::Conv { window, groups: 1, is_linear: false, .. }, inputs, _) => {
            inputs.len() == 1 && window.stride == [1; 2] && window.padding == [0; 2]
        }
        _ => false,
    };
    // By value: whether it is the image, or made of it by nothing but such convolutions.
    let mut are_rows = vec![false; graph.nodes().len() + 1];
    are_rows[graph.input().index()] = true;
    for (_, _, inputs, output) in found.iter().flatten().filter(|own| fits(own)).map(|own| &own.pass) {
        are_rows[output.index()] = are_rows[inputs[0].index()];
    }
    // One that something else reads has to be cut into tiles, and so have all that it is made of and that are made of it.
    let reads_rows = |own: &Fused| own.pass.2.iter().any(|value| are_rows[value.index()]);
    if !found.iter().flatten().all(|own| !reads_rows(own) || fits(own) || own.pass.1 == Kind::Vector) {
        return;
    }
    for own in found.iter_mut().flatten().filter(|own| reads_rows(own)) {
        own.pass.1 = Kind::Vector;
    }
}

/// The passes with those that are put into others' left out.
fn joined(graph: &Graph, passes: Vec<Pass>) -> Vec<Option<Fused>> {
    let alone = |pass| Some(Fused { pass, activation: None, pools: false });
    let mut found: Vec<Option<Fused>> = passes.into_iter().map(alone).collect();
    for place in 0..found.len() {
        let Some(Fused { pass: (node, kind, inputs, output), activation: None, .. }) = found[place].clone() else {
            continue;
        };
        let is_embedding = matches!(graph.nodes()[node].op, Op::Embedding(_));
        if !is_embedding && !matches!(kind, Kind::Conv { .. }) {
            continue;
        }
        let reads =
            |own: &Option<Fused>| own.iter().flat_map(|own| &own.pass.2).filter(|value| **value == output).count();
        let readers: Vec<usize> = (place + 1..found.len()).flat_map(|own| vec![own; reads(&found[own])]).collect();
        let ([reader], [x]) = (readers.as_slice(), inputs.as_slice()) else { continue };
        if is_embedding {
            let Some(Fused { pass: (next, _, _, result), .. }) = &found[*reader] else { continue };
            if matches!(graph.nodes()[*next].op, Op::Flatten | Op::Reshape(_) | Op::Permute(_)) {
                found[*reader] = alone((node, kind, inputs, *result));
                found[place] = None;
            }
            continue;
        }
        let Some(Fused { pass: (_, Kind::Pointwise { norm: None, activation }, read, result), .. }) = &found[*reader]
        else {
            continue;
        };
        let others = read.iter().filter(|value| **value != output);
        let inputs = [x].into_iter().chain(others).copied().collect();
        let (activation, pass) = (*activation, (node, kind, inputs, *result));
        found[*reader] = Some(Fused { pass, activation, pools: false });
        found[place] = None;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use secateur_graph::{Builder, Conv2d, Linear, Op};

    #[test]
    fn a_residual_block_is_a_pass_for_each_convolution() {
        let mut net = Builder::new(&[4, 6, 6]).expect("a shape");
        let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
        let (conv, relu) = (|| Op::Conv2d(Conv2d::new(4, 3).padding(1)), || Op::Activation(Activation::Relu));
        add("conv1", conv(), &["input"]);
        add("relu1", relu(), &["conv1"]);
        add("unread", relu(), &["relu1"]);
        add("conv2", conv(), &["relu1"]);
        add("sum", Op::Add, &["input", "conv2"]);
        add("relu2", relu(), &["sum"]);
        add("conv3", conv(), &["relu2"]);
        add("flat", Op::Flatten, &["conv3"]);
        add("fc", Op::Linear(Linear::new(3)), &["flat"]);
        let graph = net.finish();
        let plan = Plan::new(&graph, LanesHold::Images, Numbers::Floats, 1).expect("small");
        let name = |step: &Step| step.node.map_or("copy", |node| graph.nodes()[node].name.as_str());
        assert_eq!(plan.steps.iter().map(name).collect::<Vec<_>>(), ["copy", "conv1", "conv2", "conv3", "fc"]);
        let sum = &plan.steps[2];
        assert_eq!((sum.inputs.as_slice(), sum.output, sum.activation), (&[1, 0][..], 2, Some(Activation::Relu)));
        assert_eq!(plan.steps[3].activation, None);
        // Values: 0 input with margins, 1 relu1, 2 relu2, 3 conv3, 4 flat, 5 fc, 6 images. conv3 has no margins, as the
        // images have none; it is flat as it stands.
        assert_eq!(plan.steps[4].inputs, [3]);
        assert_eq!(plan.buffers, [1, 2, 3, 0, usize::MAX, 4, 0]);
        assert_eq!(plan.sizes, [4 * 36, 4 * 64, 4 * 64, 4 * 64, 3].map(|size| (size, 0)));
        assert_eq!(plan.bytes(2), plan.bytes(1) + 64 * (36 * 4 + 3 * 256 + 3));
    }

    #[test]
    fn pooling_by_two_is_part_of_a_convolution_that_nobody_else_reads() {
        let conv = |name: &'static str| (name, Op::Conv2d(Conv2d::new(4, 3).padding(1)));
        let relu = |name: &'static str| (name, Op::Activation(Activation::Relu));
        let pool = |name: &'static str, pool: Pool| (name, Op::Pool(pool));
        let overlapping = Pool { window: Window { stride: [2; 2], ..Window::square(3) }, ..Pool::max(2) };
        let ops = [
            conv("conv1"),
            relu("relu1"),
            pool("pool1", Pool::max(2)),
            conv("conv2"),
            pool("pool2", Pool::max(2)),
            conv("conv3"),
            ("gelu", Op::Activation(Activation::Gelu)),
            pool("pool3", Pool::max(2)),
            conv("conv4"),
            pool("pool4", Pool::average(2)),
            conv("conv5"),
            pool("pool5", overlapping),
        ];
        let graph = Graph::sequential(&[3, 97, 101], ops).expect("fits");
        for lanes in [LanesHold::Images, LanesHold::Places] {
            let pooled = |numbers: Numbers<'_>| -> Vec<&str> {
                let plan = Plan::new(&graph, lanes, numbers, 1).expect("small");
                let own = plan.steps.iter().filter(|step| step.pools);
                own.filter_map(|step| step.node).map(|node| graph.nodes()[node].name.as_str()).collect()
            };
            assert_eq!(pooled(Numbers::Floats), ["conv1", "conv2"]);
            assert!(pooled(Numbers::EveryFloat).is_empty());
        }
    }
}
