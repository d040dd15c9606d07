//! What a trainer does with a graph, step by step: which nodes are computed in one pass, which values are kept, how they
//! lie in memory, and which gradients go where. Pure: no weights, no buffers.

use super::conv::POSITIONS;
use super::geometry::{Geometry, gradient_margins, padding};
use super::layout::Layout;
use crate::Unsupported;
use secateur_graph::{Activation, Conv2d, Graph, Node, Op, Pool, Value, Window};

/// The steps of a graph.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub slots: Vec<Slot>,
    pub steps: Vec<Step>,
    /// The slot of the logits; that of the images is the first.
    pub output: usize,
    /// Layouts of the buffers that gradients share.
    pub buffers: Vec<Layout>,
}

/// A value that is kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub values: Layout,
    pub gradient: Layout,
    /// Buffer of its gradient; `None` when nobody wants it.
    pub buffer: Option<usize>,
}

/// One pass, or two, over the values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// The node that it is named after.
    pub node: usize,
    pub kind: Kind,
    /// Slots.
    pub inputs: Vec<usize>,
    pub output: usize,
    /// What becomes of the gradient of each input.
    pub gradients: Vec<Way>,
    /// Whether it takes part in the way back.
    pub goes_back: bool,
    /// Whether a batch normalisation reads its output.
    pub gathers: bool,
    /// Whether its output is not kept: the convolution that alone reads it works it out again, block by block.
    pub is_lazy: bool,
    /// The lazy step whose output it reads.
    pub source: Option<usize>,
}

/// What becomes of the gradient of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Nobody wants it.
    Unwanted,
    /// It is the first for its value.
    Writes,
    /// It is added to those of other steps.
    Adds,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A convolution or a fully connected layer.
    Conv {
        window: Window,
        groups: usize,
        has_bias: bool,
        is_linear: bool,
    },
    /// Batch normalisation (by its node), addition and activation, of which each may be missing.
    Pointwise {
        norm: Option<usize>,
        activation: Option<Activation>,
    },
    Pool(Pool),
    GlobalAveragePool,
    /// Flatten, reshape, concat and crop.
    Copy,
}

impl Plan {
    /// # Errors
    /// When a value is larger than the kernels' 32-bit offsets reach, or a node belongs to inference.
    pub(super) fn new(graph: &Graph) -> Result<Self, Unsupported> {
        if let Some(node) = graph.nodes().iter().find(|node| matches!(node.op, Op::Crop(_))) {
            return Err(Unsupported { node: node.name.clone(), why: "a crop, which belongs to inference".into() });
        }
        let layout = |value: Value| Layout::of(graph.shape(value));
        let slot = |layout: Layout| Slot { values: layout, gradient: layout, buffer: None };
        let mut own = Self { slots: vec![slot(layout(graph.input()))], steps: vec![], output: 0, buffers: vec![] };
        let mut slots = vec![None; graph.nodes().len() + 1];
        slots[0] = Some(0);
        for (node, kind, inputs, output) in passes(graph) {
            let inputs: Vec<usize> =
                inputs.iter().map(|value| slots[value.index()].expect("it is computed before")).collect();
            let place = own.slots.len();
            slots[output.index()] = Some(place);
            own.slots.push(slot(layout(output)));
            if let Kind::Conv { window, .. } = &kind {
                let (x, y) = (own.slots[inputs[0]].values, own.slots[place].values);
                let margins = padding(window, &x, &y);
                own.slots[inputs[0]].values.margins = x.margins.max(margins);
                own.slots[place].gradient.margins = gradient_margins(window, &x, &y);
            }
            let gradients = vec![Way::Unwanted; inputs.len()];
            if let Kind::Pointwise { norm: Some(_), .. } = kind {
                own.steps.iter_mut().filter(|step| step.output == inputs[0]).for_each(|step| step.gathers = true);
            }
            own.steps.push(Step {
                node,
                kind,
                inputs,
                output: place,
                gradients,
                goes_back: false,
                gathers: false,
                is_lazy: false,
                source: None,
            });
        }
        own.output = slots[graph.output().index()].expect("the last node ends a pass");
        for step in &own.steps {
            let slots = step.inputs.iter().chain([&step.output]).map(|slot| &own.slots[*slot]);
            if slots.flat_map(|own| [&own.values, &own.gradient]).any(|own| own.block() > u32::MAX as usize) {
                let node = graph.nodes()[step.node].name.clone();
                let why = "its values with their padding are more than 4294967295 for one image".to_owned();
                return Err(Unsupported { node, why });
            }
        }
        own.plan_lazy_steps();
        own.plan_gradients();
        Ok(own)
    }

    /// The geometry of a convolution.
    pub(super) fn geometry(&self, step: &Step) -> Option<Geometry> {
        let Kind::Conv { window, groups, .. } = step.kind else { return None };
        let (x, y) = (self.slots[step.inputs[0]], self.slots[step.output]);
        Some(Geometry { window, groups, x: x.values, dx: x.gradient, y: y.values, dy: y.gradient })
    }

    /// Which outputs need not be kept: a normalisation costs less than a way to memory and back. Only where a convolution
    /// works block by block.
    fn plan_lazy_steps(&mut self) {
        for place in 0..self.steps.len() {
            let step = &self.steps[place];
            let normalises = matches!(step.kind, Kind::Pointwise { norm: Some(_), .. }) && step.inputs.len() == 1;
            let readers: Vec<usize> =
                (place + 1..self.steps.len()).filter(|own| self.steps[*own].inputs.contains(&step.output)).collect();
            let ([reader], true) = (readers.as_slice(), normalises && step.output != self.output) else { continue };
            let by_block = self.slots[self.steps[*reader].output].values.pixels() >= POSITIONS;
            if by_block && matches!(self.steps[*reader].kind, Kind::Conv { .. }) {
                self.steps[place].is_lazy = true;
                self.steps[*reader].source = Some(place);
            }
        }
    }

    /// Which steps go back, which gradients they write, and where.
    fn plan_gradients(&mut self) {
        // A gradient is wanted where parameters stand before it, and there is one where the logits depend on the value.
        let mut wanted = vec![false; self.slots.len()];
        for step in &self.steps {
            let trains = match step.kind {
                Kind::Conv { .. } => true,
                Kind::Pointwise { norm, .. } => norm.is_some(),
                Kind::Pool(_) | Kind::GlobalAveragePool | Kind::Copy => false,
            };
            wanted[step.output] = trains || step.inputs.iter().any(|input| wanted[*input]);
        }
        let mut free: Vec<usize> = vec![];
        let (slots, buffers) = (&mut self.slots, &mut self.buffers);
        let mut take = |slot: &mut Slot, free: &mut Vec<usize>| {
            // Buffers are shared by gradients of one layout only, so that the zeros of their margins stay.
            let found = free.iter().position(|own| buffers[*own] == slot.gradient);
            let buffer = found.map_or(buffers.len(), |place| free.remove(place));
            if buffer == buffers.len() {
                buffers.push(slot.gradient);
            }
            slot.buffer = Some(buffer);
        };
        if wanted[self.output] {
            take(&mut slots[self.output], &mut free);
        }
        for step in self.steps.iter_mut().rev() {
            let Some(buffer) = slots[step.output].buffer else { continue };
            step.goes_back = true;
            for (input, way) in step.inputs.iter().zip(&mut step.gradients) {
                if !wanted[*input] {
                    continue;
                }
                *way = if slots[*input].buffer.is_some() { Way::Adds } else { Way::Writes };
                if *way == Way::Writes {
                    take(&mut slots[*input], &mut free);
                }
            }
            free.push(buffer);
        }
    }
}

/// A pass: the node that it is named after, what it does, what it reads and what it gives.
pub(crate) type Pass = (usize, Kind, Vec<Value>, Value);

/// The passes of a graph, in the order in which they are computed.
pub(crate) fn passes(graph: &Graph) -> Vec<Pass> {
    let nodes = graph.nodes();
    let mut readers: Vec<Vec<usize>> = vec![vec![]; nodes.len() + 1];
    for (place, node) in nodes.iter().enumerate() {
        node.inputs.iter().for_each(|value| readers[value.index()].push(place));
    }
    // The only node that reads a node's value, if nobody else needs it.
    let reader = |place: usize| match readers[place + 1].as_slice() {
        [one] => Some(*one),
        [] | [_, ..] => None,
    };
    let mut absorbed = vec![false; nodes.len()];
    let mut found: Vec<(usize, Pass)> = vec![];
    for (place, node) in nodes.iter().enumerate() {
        if absorbed[place] {
            continue;
        }
        let (mut last, mut inputs) = (place, node.inputs.clone());
        let kind = match &node.op {
            Op::Conv2d(Conv2d { window, groups, bias, .. }) => {
                Kind::Conv { window: *window, groups: *groups, has_bias: *bias, is_linear: false }
            }
            Op::Linear(own) => Kind::Conv { window: Window::square(1), groups: 1, has_bias: own.bias, is_linear: true },
            Op::Pool(pool) => Kind::Pool(*pool),
            Op::GlobalAveragePool => Kind::GlobalAveragePool,
            Op::Concat | Op::Flatten | Op::Reshape(_) | Op::Crop(_) => Kind::Copy,
            Op::Activation(own) => Kind::Pointwise { norm: None, activation: Some(*own) },
            Op::BatchNorm(_) | Op::Add => {
                let norm = matches!(node.op, Op::BatchNorm(_)).then_some(place);
                let add = |next: &usize| norm.is_some() && nodes[*next].op == Op::Add && !absorbed[*next];
                if let Some(next) = reader(last).filter(add) {
                    inputs.extend(nodes[next].inputs.iter().filter(|value| **value != nodes[last].output));
                    absorbed[next] = true;
                    last = next;
                }
                let activation = reader(last).and_then(|next| Some((next, activation(&nodes[next])?)));
                if let Some((next, _)) = activation {
                    absorbed[next] = true;
                    last = next;
                }
                Kind::Pointwise { norm, activation: activation.map(|own| own.1) }
            }
        };
        found.push((last, (place, kind, inputs, nodes[last].output)));
    }
    // A pass is computed where its last node stands: there all that it reads is known.
    found.sort_by_key(|own| own.0);
    found.into_iter().map(|own| own.1).collect()
}

fn activation(node: &Node) -> Option<Activation> {
    if let Op::Activation(own) = node.op { Some(own) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secateur_graph::{BatchNorm, Builder, Linear};

    #[test]
    fn a_residual_block_is_two_convolutions_and_two_passes() {
        let mut net = Builder::new(&[4, 6, 6]).expect("a shape");
        let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
        let conv = || Op::Conv2d(Conv2d::new(4, 3).padding(1).without_bias());
        let (norm, relu) = (|| Op::BatchNorm(BatchNorm::default()), || Op::Activation(Activation::Relu));
        add("stem", conv(), &["input"]);
        add("conv1", conv(), &["stem"]);
        add("norm1", norm(), &["conv1"]);
        add("relu1", relu(), &["norm1"]);
        add("conv2", conv(), &["relu1"]);
        add("norm2", norm(), &["conv2"]);
        add("sum", Op::Add, &["norm2", "stem"]);
        add("relu2", relu(), &["sum"]);
        add("pool", Op::GlobalAveragePool, &["relu2"]);
        add("flat", Op::Flatten, &["pool"]);
        add("fc", Op::Linear(Linear::new(3)), &["flat"]);
        let graph = net.finish();
        let plan = Plan::new(&graph).expect("small");
        let names: Vec<&str> = plan.steps.iter().map(|step| graph.nodes()[step.node].name.as_str()).collect();
        assert_eq!(names, ["stem", "conv1", "norm1", "conv2", "norm2", "pool", "flat", "fc"]);
        // Slots: 0 input, 1 stem, 2 conv1, 3 norm1, 4 conv2, 5 norm2, 6 pool, 7 flat, 8 fc.
        assert_eq!((plan.steps[4].inputs.as_slice(), plan.steps[4].output, plan.output), (&[4, 1][..], 5, 8));
        assert_eq!(plan.steps[4].gradients, [Way::Writes, Way::Writes]);
        assert_eq!((plan.steps[1].gradients[0], plan.steps[0].gradients[0]), (Way::Adds, Way::Unwanted));
        let rows = |slot: usize| [plan.slots[slot].values.rows(), plan.slots[slot].gradient.rows()];
        assert_eq!([0, 1, 2, 3].map(rows), [[8, 6], [8, 8], [6, 8], [8, 6]]);
        // conv2's gradient is done with before conv1's is begun.
        assert_eq!(plan.slots[4].buffer, plan.slots[2].buffer);
    }

    #[test]
    fn what_others_read_is_a_pass_of_its_own() {
        let mut net = Builder::new(&[2]).expect("a shape");
        let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
        add("norm", Op::BatchNorm(BatchNorm::default()), &["input"]);
        add("relu", Op::Activation(Activation::Relu), &["norm"]);
        add("unread", Op::Linear(Linear::new(3)), &["norm"]);
        add("twice", Op::Add, &["relu", "relu"]);
        let graph = net.finish();
        let plan = Plan::new(&graph).expect("small");
        assert_eq!(plan.steps.iter().map(|own| own.goes_back).collect::<Vec<_>>(), [true, true, false, true]);
        assert_eq!(plan.steps[3].gradients, [Way::Writes, Way::Adds]);
    }
}
