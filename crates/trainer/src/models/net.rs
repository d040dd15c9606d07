//! A graph as a burn module, on any of burn's devices: the reference implementation of training.
//!
//! Parameters stand under their names in the graph, such as `conv1.weight`, so that masks, optimizers and checkpoints find
//! them, and in its shapes: the weight of a fully connected layer is `[outputs, inputs]`, as in PyTorch.

use crate::Error;
use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::module::{adaptive_avg_pool2d, avg_pool2d, batch_norm, batch_norm_train, conv2d, linear, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData, activation};
use secateur_graph::{Activation, BatchNorm, Conv2d, Graph, LayerNorm, Node, Op, Pool, PoolKind, Weights};
use secateur_pruner::Activations;
use std::sync::Arc;

/// A graph with its parameters as burn tensors.
#[derive(Clone, Debug)]
pub struct Net {
    graph: Arc<Graph>,
    /// In the order of the graph's parameters.
    fields: Vec<Field>,
    /// By node: the place of its first parameter.
    first: Vec<usize>,
    /// By value: the place of the last node that reads it.
    last_use: Vec<usize>,
}

/// One parameter or buffer; a buffer receives no gradient.
#[derive(Clone, Debug)]
enum Field {
    Vector(Param<Tensor<1>>),
    Matrix(Param<Tensor<2>>),
    Kernel(Param<Tensor<4>>),
}

/// A value of the graph for a batch.
#[derive(Clone, Debug)]
enum Batch {
    /// `[batch, channels, height, width]`.
    Images(Tensor<4>),
    /// `[batch, features]`.
    Features(Tensor<2>),
}

/// What a batch says of the running mean and variance of batch normalisation.
#[derive(Clone, Debug)]
pub(crate) struct Statistics {
    /// Place of the running mean among the parameters; the variance comes next.
    mean_at: usize,
    mean: Tensor<1>,
    variance: Tensor<1>,
}

impl Net {
    /// The module with these weights. `device` decides where it computes and whether gradients are kept.
    ///
    /// # Errors
    /// When the graph has a value that is neither an image nor features.
    pub fn new(graph: &Arc<Graph>, weights: &Weights, device: &Device) -> Result<Self, Error> {
        Self::supports(graph)?;
        let field = |own: &secateur_graph::Parameter| {
            let (values, shape) = (weights.get(&own.name).to_vec(), own.shape.as_slice());
            let (id, trains) = (id(&own.name), !own.role.is_buffer());
            match *shape {
                [a, b] => Field::Matrix(param(id, values, [a, b], device, trains)),
                [a, b, c, d] => Field::Kernel(param(id, values, [a, b, c, d], device, trains)),
                _ => Field::Vector(param(id, values, [own.len()], device, trains)),
            }
        };
        let fields = graph.parameters().iter().map(field).collect();
        let mut first = vec![0; graph.nodes().len() + 1];
        graph.parameters().iter().for_each(|own| first[own.node + 1] += 1);
        (1..first.len()).for_each(|place| first[place] += first[place - 1]);
        let mut last_use = vec![usize::MAX; graph.nodes().len() + 1];
        for (place, node) in graph.nodes().iter().enumerate() {
            node.inputs.iter().for_each(|value| last_use[value.index()] = place);
        }
        Ok(Self { graph: Arc::clone(graph), fields, first, last_use })
    }

    /// Checks that burn's devices can compute a graph.
    ///
    /// # Errors
    /// When the graph has a value that is neither an image nor features.
    pub(crate) fn supports(graph: &Graph) -> Result<(), Error> {
        match graph.nodes().iter().find(|node| !matches!(graph.shape(node.output).len(), 1 | 3)) {
            None => Ok(()),
            Some(node) => {
                let found = graph.shape(node.output);
                let why = format!("gives {found:?}, expected an image or features on burn's devices");
                Err(Error::UnsupportedNode { node: node.name.clone(), why })
            }
        }
    }

    /// Logits `[batch, classes]` of images `[batch, channels, height, width]`; batch normalisation takes its running mean and
    /// variance.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let (logits, _) = self.walk(images, false, &mut |_, _| Ok(())).expect("nothing is watched that could fail");
        logits
    }

    /// Logits as in training, where batch normalisation takes the mean and variance of the batch, and what the batch says of
    /// them.
    pub(crate) fn forward_training(&self, images: Tensor<4>) -> (Tensor<2>, Vec<Statistics>) {
        self.walk(images, true, &mut |_, _| Ok(())).expect("nothing is watched that could fail")
    }

    /// The module whose running means and variances have taken in those of a batch: by the fraction that each normalisation
    /// says, or by this one.
    pub(crate) fn absorb(mut self, statistics: Vec<Statistics>, fraction: Option<f64>) -> Self {
        for own in statistics {
            let Op::BatchNorm(norm) = &self.graph.nodes()[self.graph.parameters()[own.mean_at].node].op else {
                unreachable!("statistics come from batch normalisation")
            };
            for (place, new) in [(own.mean_at, own.mean), (own.mean_at + 1, own.variance)] {
                let Field::Vector(param) = &self.fields[place] else { unreachable!("a buffer is a vector") };
                let (old, momentum) = (param.val(), fraction.unwrap_or(norm.momentum));
                let mixed = old.mul_scalar(1.0 - momentum).add(new.detach().mul_scalar(momentum));
                self.fields[place] = Field::Vector(Param::initialized(param.id, mixed.detach()));
            }
        }
        self
    }

    /// Adds what each layer is given for images `[batch, channels, height, width]` to `seen`.
    ///
    /// # Errors
    /// When an input is not finite.
    pub(crate) fn watch(&self, images: Tensor<4>, seen: &mut Activations) -> Result<(), Error> {
        let mut look = |node: &Node, input: &Batch| -> Result<(), Error> {
            let weight = format!("{}.weight", node.name);
            match (&node.op, input) {
                (Op::Conv2d(_), Batch::Images(images)) => Ok(seen.channels(&weight, images)?),
                (Op::Linear(_), Batch::Features(features)) => Ok(seen.channels(&weight, features)?),
                _ => Ok(()),
            }
        };
        self.walk(images, false, &mut look).map(drop)
    }

    /// Computes node after node; `look` is shown the first input of each.
    fn walk(
        &self,
        images: Tensor<4>,
        training: bool,
        look: &mut dyn FnMut(&Node, &Batch) -> Result<(), Error>,
    ) -> Result<(Tensor<2>, Vec<Statistics>), Error> {
        let count = images.dims()[0];
        // Features come as images of one row.
        let input = match *self.graph.shape(self.graph.input()) {
            [channels, rows, columns] => Batch::Images(images.reshape([count, channels, rows, columns])),
            ref other => Batch::Features(images.reshape([count, other.iter().product()])),
        };
        let (mut values, mut statistics) = (vec![Some(input)], vec![]);
        for (place, node) in self.graph.nodes().iter().enumerate() {
            let mut inputs = Vec::with_capacity(node.inputs.len());
            for value in &node.inputs {
                inputs.push(values[value.index()].clone().expect("a value is there until it was read last"));
            }
            for value in node.inputs.iter().filter(|value| self.last_use[value.index()] == place) {
                values[value.index()] = None;
            }
            look(node, &inputs[0])?;
            values.push(Some(self.computed(place, node, inputs, training, &mut statistics)));
        }
        match values.pop().flatten() {
            Some(Batch::Features(logits)) => Ok((logits, statistics)),
            Some(Batch::Images(_)) | None => unreachable!("a model is checked to end in features"),
        }
    }

    fn computed(
        &self,
        place: usize,
        node: &Node,
        mut inputs: Vec<Batch>,
        training: bool,
        statistics: &mut Vec<Statistics>,
    ) -> Batch {
        let fields = &self.fields[self.first[place]..];
        match &node.op {
            Op::Conv2d(conv) => Batch::Images(convolved(conv, fields, inputs.remove(0).images())),
            Op::Linear(own) => {
                let bias = own.bias.then(|| fields[1].vector());
                Batch::Features(linear(inputs.remove(0).features(), fields[0].matrix().transpose(), bias))
            }
            Op::BatchNorm(norm) => {
                let own = [0, 1, 2, 3].map(|place| fields[place].vector());
                let mean_at = self.first[place] + 2;
                match inputs.remove(0) {
                    Batch::Images(x) => Batch::Images(normalised(norm, own, x, training, mean_at, statistics)),
                    Batch::Features(x) => Batch::Features(normalised(norm, own, x, training, mean_at, statistics)),
                }
            }
            Op::Activation(own) => match inputs.remove(0) {
                Batch::Images(x) => Batch::Images(activated(*own, x)),
                Batch::Features(x) => Batch::Features(activated(*own, x)),
            },
            Op::Pool(pool) => Batch::Images(pooled(pool, inputs.remove(0).images())),
            Op::GlobalAveragePool => Batch::Images(adaptive_avg_pool2d(inputs.remove(0).images(), [1, 1])),
            Op::Add => match (inputs.remove(0), inputs.remove(0)) {
                (Batch::Images(a), Batch::Images(b)) => Batch::Images(a + b),
                (a, b) => Batch::Features(a.features() + b.features()),
            },
            Op::Mul => match (inputs.remove(0), inputs.remove(0)) {
                // One factor for each channel is spread over its pixels.
                (Batch::Images(a), Batch::Images(b)) => Batch::Images(a * b),
                (a, b) => Batch::Features(a.features() * b.features()),
            },
            Op::Permute(order) => match inputs.remove(0) {
                Batch::Images(x) => {
                    let order = order.iter().map(|own| *own as isize + 1);
                    let order: Vec<isize> = std::iter::once(0).chain(order).collect();
                    Batch::Images(x.permute([order[0], order[1], order[2], order[3]]))
                }
                features => features,
            },
            Op::LayerNorm(norm) => {
                let [scale, shift] = [0, 1].map(|place| fields[place].flat());
                match inputs.remove(0) {
                    Batch::Images(x) => Batch::Images(layer_normalised(norm, [scale, shift], x)),
                    Batch::Features(x) => Batch::Features(layer_normalised(norm, [scale, shift], x)),
                }
            }
            Op::Softmax(axis) => match inputs.remove(0) {
                Batch::Images(x) => Batch::Images(activation::softmax(x, axis + 1)),
                Batch::Features(x) => Batch::Features(activation::softmax(x, axis + 1)),
            },
            Op::Embedding(_) => unreachable!("what it gives is neither an image nor features"),
            Op::Concat => match inputs[0] {
                Batch::Images(_) => Batch::Images(Tensor::cat(inputs.into_iter().map(Batch::images).collect(), 1)),
                Batch::Features(_) => {
                    Batch::Features(Tensor::cat(inputs.into_iter().map(Batch::features).collect(), 1))
                }
            },
            Op::Crop([rows, columns]) => {
                let images = inputs.remove(0).images();
                Batch::Images(images.narrow(2, 0, *rows).narrow(3, 0, *columns))
            }
            Op::Flatten | Op::Reshape(_) => {
                let flat: Tensor<2> = match inputs.remove(0) {
                    Batch::Images(x) => x.flatten(1, 3),
                    Batch::Features(x) => x,
                };
                match *self.graph.shape(node.output) {
                    [channels, height, width] => {
                        let [batch, _] = flat.dims();
                        Batch::Images(flat.reshape([batch, channels, height, width]))
                    }
                    _ => Batch::Features(flat),
                }
            }
        }
    }
}

impl Batch {
    fn images(self) -> Tensor<4> {
        let Self::Images(images) = self else { unreachable!("shapes are checked when a graph is made") };
        images
    }

    fn features(self) -> Tensor<2> {
        let Self::Features(features) = self else { unreachable!("shapes are checked when a graph is made") };
        features
    }
}

impl Field {
    fn vector(&self) -> Tensor<1> {
        let Self::Vector(own) = self else { unreachable!("shapes follow from the graph") };
        own.val()
    }

    fn matrix(&self) -> Tensor<2> {
        let Self::Matrix(own) = self else { unreachable!("shapes follow from the graph") };
        own.val()
    }

    /// All values, row-major.
    fn flat(&self) -> Tensor<1> {
        match self {
            Self::Vector(own) => own.val(),
            Self::Matrix(own) => own.val().flatten(0, 1),
            Self::Kernel(own) => own.val().flatten(0, 3),
        }
    }

    fn kernel(&self) -> Tensor<4> {
        let Self::Kernel(own) = self else { unreachable!("shapes follow from the graph") };
        own.val()
    }
}

fn convolved(conv: &Conv2d, fields: &[Field], images: Tensor<4>) -> Tensor<4> {
    let window = conv.window;
    let options = ConvOptions::new(window.stride, window.padding, window.dilation, conv.groups);
    conv2d(images, fields[0].kernel(), conv.bias.then(|| fields[1].vector()), options)
}

/// `own` is scale, shift, running mean and running variance.
fn normalised<const D: usize>(
    norm: &BatchNorm,
    own: [Tensor<1>; 4],
    x: Tensor<D>,
    training: bool,
    mean_at: usize,
    statistics: &mut Vec<Statistics>,
) -> Tensor<D> {
    let [scale, shift, mean, variance] = own;
    if !training {
        return batch_norm(x, scale, shift, mean, variance, norm.epsilon);
    }
    let count = x.shape().num_elements() / scale.dims()[0];
    let found = batch_norm_train(x, scale, shift, norm.epsilon);
    // As in PyTorch the batch is normalised by its own variance, and the running one estimates that of all data.
    let variance = found.variance.mul_scalar(count as f64 / count.saturating_sub(1).max(1) as f64);
    statistics.push(Statistics { mean_at, mean: found.mean, variance });
    found.output
}

/// `own` is scale and shift.
fn layer_normalised<const D: usize>(norm: &LayerNorm, own: [Tensor<1>; 2], x: Tensor<D>) -> Tensor<D> {
    // The axes of a batch stand one place further.
    let mean = |x: Tensor<D>| norm.axes.iter().fold(x, |x, axis| x.mean_dim(axis + 1));
    let distance = x.clone() - mean(x.clone());
    let root = mean(distance.clone().square()).add_scalar(norm.epsilon).sqrt();
    let mut sides = [1; D];
    norm.axes.iter().for_each(|axis| sides[axis + 1] = x.dims()[axis + 1]);
    let [scale, shift] = own.map(|own| own.reshape(sides));
    distance / root * scale + shift
}

fn activated<const D: usize>(own: Activation, x: Tensor<D>) -> Tensor<D> {
    match own {
        Activation::Relu => activation::relu(x),
        Activation::Relu6 => activation::relu6(x),
        Activation::Gelu => activation::gelu(x),
        Activation::Silu => activation::silu(x),
        Activation::HardSwish => activation::hard_swish(x),
        Activation::Sigmoid => activation::sigmoid(x),
        Activation::Tanh => activation::tanh(x),
        Activation::HardSigmoid => activation::hard_sigmoid(x, 1.0 / 6.0, 0.5),
        Activation::GeluTanh => activation::gelu_approximate(x),
    }
}

fn pooled(pool: &Pool, images: Tensor<4>) -> Tensor<4> {
    let window = pool.window;
    match pool.kind {
        PoolKind::Max => {
            let options = MaxPoolOptions::new(window.size).with_stride(window.stride).with_padding(window.padding);
            max_pool2d(images, options.with_dilation(window.dilation))
        }
        PoolKind::Average => {
            avg_pool2d(images, AvgPoolOptions::new(window.size).with_stride(window.stride).with_padding(window.padding))
        }
    }
}

/// Does the same with the parameter of a field, whatever its rank.
macro_rules! each {
    ($field:expr, $own:ident => $change:expr) => {
        match $field {
            Field::Vector($own) => Field::Vector($change),
            Field::Matrix($own) => Field::Matrix($change),
            Field::Kernel($own) => Field::Kernel($change),
        }
    };
}

/// What a traversal of the module is told that a parameter lies in.
const CONTAINER: &str = "Graph";

impl Net {
    fn changed(mut self, change: impl Fn(Field) -> Field) -> Self {
        self.fields = self.fields.into_iter().map(change).collect();
        self
    }

    fn names(graph: &Graph) -> impl Iterator<Item = &str> {
        graph.parameters().iter().map(|own| own.name.as_str())
    }
}

impl Module for Net {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.fields.iter().fold(devices, |devices, field| match field {
            Field::Vector(own) => own.collect_devices(devices),
            Field::Matrix(own) => own.collect_devices(devices),
            Field::Kernel(own) => own.collect_devices(devices),
        })
    }

    fn fork(self, device: &Device) -> Self {
        self.changed(|field| each!(field, own => own.fork(device)))
    }

    fn to_device(self, device: &Device) -> Self {
        self.changed(|field| each!(field, own => own.to_device(device)))
    }

    fn train(self) -> Self {
        self.changed(|field| each!(field, own => own.train()))
    }

    fn valid(&self) -> Self {
        self.clone().changed(|field| each!(field, own => own.valid()))
    }

    fn materialize(self) -> Self {
        self.changed(|field| each!(field, own => own.materialize()))
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for (name, field) in Self::names(&self.graph).zip(&self.fields) {
            visitor.enter_module(name, CONTAINER);
            match field {
                Field::Vector(own) => own.visit(visitor),
                Field::Matrix(own) => own.visit(visitor),
                Field::Kernel(own) => own.visit(visitor),
            }
            visitor.exit_module(name, CONTAINER);
        }
    }

    fn map<M: ModuleMapper>(mut self, mapper: &mut M) -> Self {
        let graph = Arc::clone(&self.graph);
        let fields = Self::names(&graph).zip(self.fields).map(|(name, field)| {
            mapper.enter_module(name, CONTAINER);
            let mapped = each!(field, own => Module::map(own, mapper));
            mapper.exit_module(name, CONTAINER);
            mapped
        });
        self.fields = fields.collect();
        self
    }
}

fn param<const D: usize>(
    id: ParamId,
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
    trains: bool,
) -> Param<Tensor<D>> {
    let value = Tensor::from_data(TensorData::new(values, shape), device);
    Param::initialized(id, if device.is_autodiff() && trains { value.require_grad() } else { value })
}

/// The parameter's id, a function of its name (64-bit FNV-1a): the same in every process.
pub(crate) fn id(name: &str) -> ParamId {
    let hash = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    ParamId::from(name.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::models::testing::everything;
    use crate::models::{ModelConfig, testing};
    use secateur_graph::Role;
    use secateur_pruner::parameters;

    /// Weights that differ everywhere, variances positive.
    fn weights(graph: &Graph) -> Weights {
        let mut state = 7u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let mut value = |role: Role| if role == Role::Variance { random().abs() + 0.5 } else { random() };
        let own = graph.parameters().iter();
        own.map(|own| (own.name.clone(), (0..own.len()).map(|_| value(own.role)).collect())).collect()
    }

    #[test]
    fn every_operation_answers_as_the_reference_implementation() {
        let graph = Arc::new(everything());
        let weights = weights(&graph);
        let net = Net::new(&graph, &weights, &Device::flex()).expect("images and features");
        let images: Vec<f32> = (0..2 * 144).map(|place| ((place * 37) % 101) as f32 / 50.0 - 1.0).collect();
        let tensor = Tensor::from_data(TensorData::new(images.clone(), [2, 2, 8, 9]), &Device::flex());
        let found: Vec<f32> = net.forward(tensor).into_data().iter::<f32>().collect();
        let expected: Vec<f32> = images.chunks(144).flat_map(|image| graph.forward(&weights, image)).collect();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{found} {expected}");
        }
    }

    #[test]
    fn names_and_values_are_the_graph_s() {
        let graph = Arc::new(everything());
        let weights = weights(&graph);
        let net = Net::new(&graph, &weights, &Device::flex()).expect("images and features");
        let found = parameters(&net);
        let names = |of: &dyn Fn(usize) -> String| (0..found.len()).map(of).collect::<Vec<_>>();
        assert_eq!(names(&|at| found[at].name.clone()), names(&|at| graph.parameters()[at].name.clone()));
        for own in &found {
            assert_eq!(own.values, weights.get(&own.name), "{}", own.name);
        }
    }

    #[test]
    fn running_means_and_variances_follow_the_batches() {
        let ops =
            [("flat", Op::Flatten), ("norm", Op::BatchNorm(BatchNorm { momentum: 0.25, ..BatchNorm::default() }))];
        let graph = Arc::new(Graph::sequential(&[1, 1, 2], ops).expect("fits"));
        let device = Device::flex().autodiff();
        let net = Net::new(&graph, &Weights::neutral(&graph), &device).expect("features");
        let images = Tensor::from_data(TensorData::new(vec![1.0f32, 0.0, 3.0, 8.0], [2, 1, 1, 2]), &device);
        let (logits, statistics) = net.forward_training(images);
        let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
        assert!(
            logits.iter().zip([-1.0, -1.0, 1.0, 1.0]).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-4),
            "{logits:?}"
        );
        let net = net.absorb(statistics, None);
        // Means 2 and 4; variances of the data, by one less than the batch, 2 and 32.
        let own = |name: &str| parameters(&net).into_iter().find(|own| own.name == name).expect("there").values;
        assert_eq!(own("norm.running_mean"), [0.5, 1.0]);
        assert_eq!(own("norm.running_var"), [0.75 + 0.5, 0.75 + 8.0]);
        assert_eq!(own("norm.weight"), [1.0, 1.0]);
    }

    #[test]
    fn every_model_gives_ten_logits_an_image() {
        for model in [ModelConfig::Lenet { width: 1 }, ModelConfig::Lenet300 {}, ModelConfig::Lenet5 {}] {
            let (graph, weights) = testing::model(&model, 1);
            let net = Net::new(&Arc::new(graph), &weights, &Device::flex()).expect("images and features");
            assert_eq!(net.forward(Tensor::ones([3, 1, 28, 28], &Device::flex())).dims(), [3, 10], "{model}");
        }
    }
}
