//! What a trainer does with a graph, step by step: which nodes are computed in one pass, which values are kept, how they
//! lie in memory, and which gradients go where. Pure: no weights, no buffers.

mod gradients;
mod passes;

use super::conv::POSITIONS;
use super::geometry::{Geometry, gradient_margins, padding};
use super::layout::Layout;
use crate::Unsupported;
pub(crate) use passes::{Pass, passes};
use secateur_graph::{Activation, Graph, Pool, Value, Window};

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
    /// Whether the gradient of its first input is not kept: the convolution before it works it out again, block by block.
    pub is_lazy_back: bool,
    /// The step behind it from which it works the gradient of its output out.
    pub source_back: Option<usize>,
    /// The step before it of whose output's gradient it writes the last part, and then goes back over the activation.
    pub reduces: Option<usize>,
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
    /// It is that of the output before the activation, and takes its buffer over.
    TakesOver,
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
    /// The largest value of each channel: a pass of inference, of an image in tiles.
    GlobalMaxPool,
    /// A fully connected layer of one image: a pass of inference.
    Vector,
    /// Flatten, reshape, concat, crop, and other orders of the sides.
    Copy,
    /// Products, layer normalisation, softmax and embeddings.
    Other,
}

impl Plan {
    /// # Errors
    /// When a value is larger than the kernels' 32-bit offsets reach.
    pub(super) fn new(graph: &Graph) -> Result<Self, Unsupported> {
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
                is_lazy_back: false,
                source_back: None,
                reduces: None,
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
        own.plan_lazy_gradients();
        own.plan_gradients(graph);
        own.plan_reductions();
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
            if self.works_by_block(*reader) {
                self.steps[place].is_lazy = true;
                self.steps[*reader].source = Some(place);
            }
        }
    }

    /// Whether a step is a convolution whose items are of one block each.
    fn works_by_block(&self, step: usize) -> bool {
        let step = &self.steps[step];
        matches!(step.kind, Kind::Conv { .. }) && self.slots[step.output].values.pixels() >= POSITIONS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secateur_graph::{BatchNorm, Builder, Conv2d, Linear, Op};

    #[test]
    fn a_residual_block_is_two_convolutions_and_two_passes() {
        let mut net = Builder::new(&[4, 8, 8]).expect("a shape");
        let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
        let conv = || Op::Conv2d(Conv2d::new(4, 3).padding(1).without_bias());
        let (norm, relu) = (|| Op::BatchNorm(BatchNorm::default()), || Op::Activation(Activation::Relu));
        add("stem", conv(), &["input"]);
        add("norm0", norm(), &["stem"]);
        add("conv1", conv(), &["norm0"]);
        add("norm1", norm(), &["conv1"]);
        add("relu1", relu(), &["norm1"]);
        add("conv2", conv(), &["relu1"]);
        add("norm2", norm(), &["conv2"]);
        add("sum", Op::Add, &["norm2", "norm0"]);
        add("relu2", relu(), &["sum"]);
        add("pool", Op::GlobalAveragePool, &["relu2"]);
        add("flat", Op::Flatten, &["pool"]);
        add("fc", Op::Linear(Linear::new(3)), &["flat"]);
        let graph = net.finish();
        let plan = Plan::new(&graph).expect("small");
        let names: Vec<&str> = plan.steps.iter().map(|step| graph.nodes()[step.node].name.as_str()).collect();
        assert_eq!(names, ["stem", "norm0", "conv1", "norm1", "conv2", "norm2", "pool", "flat", "fc"]);
        // Slots: 0 input, 1 stem, 2 norm0, 3 conv1, 4 norm1, 5 conv2, 6 norm2, 7 pool, 8 flat, 9 fc.
        assert_eq!((plan.steps[5].inputs.as_slice(), plan.steps[5].output, plan.output), (&[5, 2][..], 6, 9));
        // The sum's gradient is that of both; what conv2 reads is worked out from it.
        assert_eq!(plan.steps[5].gradients, [Way::Unwanted, Way::TakesOver]);
        assert_eq!((plan.steps[4].source_back, plan.slots[6].buffer), (Some(5), plan.slots[2].buffer));
        assert_eq!((plan.steps[4].reduces, plan.steps[2].reduces), (Some(3), Some(1)));
        assert_eq!((plan.steps[2].gradients[0], plan.steps[0].gradients[0]), (Way::Adds, Way::Unwanted));
        let rows = |slot: usize| [plan.slots[slot].values.rows(), plan.slots[slot].gradient.rows()];
        assert_eq!([0, 1, 2, 3, 4].map(rows), [[10, 8], [8, 10], [10, 8], [8, 10], [10, 8]]);
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
        assert_eq!(plan.steps[3].gradients, [Way::Adds, Way::Writes]);
    }
}
