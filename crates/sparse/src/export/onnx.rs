//! Writes a network as an ONNX model: the operators that every engine knows, in a version that old engines still read.

use super::Error;
use crate::proto::{
    Attribute, Dimension, Extent, FLOAT, FLOAT_NUMBER, Graph, INT, INT64, INTS, Model, Node, Note, OperatorSet, Shape,
    Tensor, TensorType, Type, ValueInfo,
};
use prost::Message;
use secateur_graph::{Activation, LayerNorm, Op, Pool, PoolKind, Weights, Window};

/// Version of the operators: 13 is read by engines of 2021 and of today.
const OPERATORS: i64 = 13;
/// Version of the file's layout that goes with it.
const LAYOUT: i64 = 7;
/// A protobuf message may not be longer. The graph itself takes far less than what is set aside for it.
const LONGEST: usize = (1 << 31) - (1 << 20);

/// The graph as an ONNX model called `name`: input `x`, `[batch, sides of the input]`, output `y`. Without a `batch` the model
/// takes any; some engines want it fixed. `notes` are its metadata.
///
/// Convolutions and fully connected layers keep their zeros. Parameters have their own names, such as `fc.weight`, what
/// a node gives is called `<node>.out`, and what belongs to an operator besides `<node>/<field>`.
///
/// # Errors
/// When the parameters do not fit into one protobuf message of 2 GiB, or are not the graph's.
pub fn onnx(
    graph: &secateur_graph::Graph,
    weights: &Weights,
    name: &str,
    batch: Option<usize>,
    notes: &[(&str, &str)],
) -> Result<Vec<u8>, Error> {
    weights.check(graph).map_err(Error::Graph)?;
    check_size(graph.parameters().iter().map(secateur_graph::Parameter::len).sum())?;
    let mut writer = Writer { graph, weights, nodes: vec![], tensors: vec![] };
    if graph.nodes().is_empty() {
        writer.push("Identity", OUTPUT, vec![INPUT.into()], OUTPUT.into(), vec![]);
    }
    graph.nodes().iter().for_each(|node| writer.node(node));
    let input = graph.shape(graph.input());
    // Numbers that are no image: what is flattened at once has one side, as other programs have it.
    let is_flat = |node: &secateur_graph::Node| !node.inputs.contains(&graph.input()) || node.op == Op::Flatten;
    let input =
        if input[1..].iter().all(|side| *side == 1) && graph.nodes().iter().all(is_flat) { &input[..1] } else { input };
    let written = Graph {
        node: writer.nodes,
        name: Some(name.into()),
        initializer: writer.tensors,
        input: vec![value(INPUT, batch, input)],
        output: vec![value(OUTPUT, batch, graph.shape(graph.output()))],
    };
    let model = Model {
        ir_version: Some(LAYOUT),
        producer_name: Some("secateur".into()),
        producer_version: Some(env!("CARGO_PKG_VERSION").into()),
        graph: Some(written),
        opset_import: vec![OperatorSet { domain: Some(String::new()), version: Some(OPERATORS) }],
        metadata_props: notes.iter().map(|(key, note)| text(key, note)).collect(),
    };
    Ok(model.encode_to_vec())
}

fn text(key: &str, value: &str) -> Note {
    Note { key: Some(key.into()), value: Some(value.into()) }
}

const INPUT: &str = "x";
const OUTPUT: &str = "y";

fn check_size(parameters: usize) -> Result<(), Error> {
    let found = parameters.saturating_mul(size_of::<f32>());
    if found < LONGEST { Ok(()) } else { Err(Error::TooLarge { found, wanted: LONGEST }) }
}

/// The operators so far.
struct Writer<'a> {
    graph: &'a secateur_graph::Graph,
    weights: &'a Weights,
    nodes: Vec<Node>,
    tensors: Vec<Tensor>,
}

impl Writer<'_> {
    /// Appends the operators of a node.
    fn node(&mut self, node: &secateur_graph::Node) {
        let (name, output) = (node.name.as_str(), self.value_name(node.output));
        let inputs: Vec<String> = node.inputs.iter().map(|value| self.value_name(*value)).collect();
        let shape = self.graph.shape(node.inputs[0]);
        let mut one = |operator: &str, more: Vec<String>, attributes: Vec<Attribute>| {
            self.push(operator, name, [inputs.clone(), more].concat(), output.clone(), attributes);
        };
        match &node.op {
            Op::Conv2d(conv) => {
                let attributes = convolution(&conv.window, conv.groups);
                let more = self.parameters(node);
                self.push("Conv", name, [inputs, more].concat(), output, attributes);
            }
            Op::Linear(_) => {
                let more = self.parameters(node);
                self.push("Gemm", name, [inputs, more].concat(), output, vec![int("transB", 1)]);
            }
            Op::BatchNorm(norm) => {
                let more = self.parameters(node);
                let epsilon = vec![number("epsilon", norm.epsilon as f32)];
                self.push("BatchNormalization", name, [inputs, more].concat(), output, epsilon);
            }
            Op::Activation(Activation::Relu) => one("Relu", vec![], vec![]),
            Op::Activation(Activation::Relu6) => {
                let limits = vec![self.number(name, "min", 0.0), self.number(name, "max", 6.0)];
                self.push("Clip", name, [inputs, limits].concat(), output, vec![]);
            }
            Op::Activation(Activation::Gelu) => self.gelu(name, &inputs[0], output),
            Op::Activation(Activation::Silu) => {
                let sigmoid = self.step("Sigmoid", name, "sigmoid", vec![inputs[0].clone()]);
                self.push("Mul", name, vec![inputs[0].clone(), sigmoid], output, vec![]);
            }
            // This version's operators have none of its own.
            Op::Activation(Activation::HardSwish) => {
                let step = format!("{name}/hard_sigmoid");
                self.push("HardSigmoid", &step, vec![inputs[0].clone()], step.clone(), hard_sigmoid());
                self.push("Mul", name, vec![inputs[0].clone(), step], output, vec![]);
            }
            Op::Activation(Activation::Sigmoid) => one("Sigmoid", vec![], vec![]),
            Op::Activation(Activation::Tanh) => one("Tanh", vec![], vec![]),
            Op::Activation(Activation::HardSigmoid) => one("HardSigmoid", vec![], hard_sigmoid()),
            Op::Activation(Activation::GeluTanh) => self.gelu_tanh(name, &inputs[0], output),
            Op::Pool(Pool { kind: PoolKind::Max, window }) => {
                one("MaxPool", vec![], [vec![ints("dilations", &window.dilation)], windows(window)].concat());
            }
            Op::Pool(Pool { kind: PoolKind::Average, window }) if window.dilation == [1; 2] => {
                one("AveragePool", vec![], [vec![int("count_include_pad", 1)], windows(window)].concat());
            }
            // This version's operator has no dilation, but a depthwise convolution has.
            Op::Pool(Pool { kind: PoolKind::Average, window }) => {
                let [rows, columns] = window.size;
                let weights = vec![1.0 / (rows * columns) as f32; shape[0] * rows * columns];
                let field = format!("{name}/weight");
                self.floats(field.clone(), &[shape[0], 1, rows, columns], &weights);
                self.push("Conv", name, vec![inputs[0].clone(), field], output, convolution(window, shape[0]));
            }
            Op::GlobalAveragePool => one("GlobalAveragePool", vec![], vec![]),
            Op::Add => one("Add", vec![], vec![]),
            Op::Mul => one("Mul", vec![], vec![]),
            Op::Concat => one("Concat", vec![], vec![int("axis", 1)]),
            Op::Flatten => one("Flatten", vec![], vec![int("axis", 1)]),
            Op::Reshape(shape) => {
                // A 0 leaves the batch as it is.
                let shape = self.integers(name, "shape", &[&[0], &shape[..]].concat());
                self.push("Reshape", name, vec![inputs[0].clone(), shape], output, vec![]);
            }
            Op::Crop(ends) => {
                let fields: [(&str, &[usize]); 3] = [("starts", &[0, 0]), ("ends", ends), ("axes", &[2, 3])];
                let limits = fields.map(|(field, values)| self.integers(name, field, values));
                self.push("Slice", name, [inputs, limits.to_vec()].concat(), output, vec![]);
            }
            Op::Permute(order) => {
                // The batch stays first.
                let order: Vec<usize> = std::iter::once(0).chain(order.iter().map(|own| own + 1)).collect();
                one("Transpose", vec![], vec![ints("perm", &order)]);
            }
            Op::LayerNorm(norm) => self.layer_norm(node, norm, &inputs[0], output),
            Op::Softmax(axis) => one("Softmax", vec![], vec![int("axis", *axis as i64 + 1)]),
            Op::Embedding(_) => {
                let step = format!("{name}/rows");
                self.push("Cast", &step, inputs, step.clone(), vec![int("to", i64::from(INT64))]);
                let table = self.parameters(node).remove(0);
                self.push("Gather", name, vec![table, step], output, vec![int("axis", 0)]);
            }
        }
    }

    /// `x (1 + erf(x / sqrt(2))) / 2`.
    fn gelu(&mut self, name: &str, input: &str, output: String) {
        let fields = [("root", std::f32::consts::FRAC_1_SQRT_2), ("one", 1.0), ("half", 0.5)];
        let [root, one, half] = fields.map(|(field, value)| self.number(name, field, value));
        let scaled = self.step("Mul", name, "scaled", vec![input.to_owned(), root]);
        let erf = self.step("Erf", name, "erf", vec![scaled]);
        let sum = self.step("Add", name, "sum", vec![erf, one]);
        let product = self.step("Mul", name, "product", vec![input.to_owned(), sum]);
        self.push("Mul", name, vec![product, half], output, vec![]);
    }

    /// `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`.
    fn gelu_tanh(&mut self, name: &str, input: &str, output: String) {
        let root = (2.0 / std::f64::consts::PI).sqrt() as f32;
        let fields = [("cubed", 0.044715), ("root", root), ("one", 1.0), ("half", 0.5)];
        let [cubed, root, one, half] = fields.map(|(field, value)| self.number(name, field, value));
        let square = self.step("Mul", name, "square", vec![input.to_owned(); 2]);
        let scaled = self.step("Mul", name, "scaled", vec![square, cubed]);
        let factor = self.step("Add", name, "factor", vec![scaled, one.clone()]);
        let inner = self.step("Mul", name, "inner", vec![input.to_owned(), factor]);
        let argument = self.step("Mul", name, "argument", vec![inner, root]);
        let tanh = self.step("Tanh", name, "tanh", vec![argument]);
        let sum = self.step("Add", name, "sum", vec![tanh, one]);
        let product = self.step("Mul", name, "product", vec![input.to_owned(), sum]);
        self.push("Mul", name, vec![product, half], output, vec![]);
    }

    /// `scale (x - mean) / sqrt(variance + epsilon) + shift`: this version has no operator for it.
    fn layer_norm(&mut self, node: &secateur_graph::Node, norm: &LayerNorm, input: &str, output: String) {
        let name = node.name.as_str();
        let axes: Vec<usize> = norm.axes.iter().map(|own| own + 1).collect();
        // Scale and shift have a side of 1 wherever nothing is summed, and are spread from the first such side on.
        let shape = self.graph.shape(node.inputs[0]);
        let first = norm.axes[0];
        let side = |axis: usize| if norm.axes.contains(&axis) { shape[axis] } else { 1 };
        let sides: Vec<usize> = (first..shape.len()).map(side).collect();
        let names = [format!("{name}.weight"), format!("{name}.bias")];
        let [scale, shift] = names.map(|own| {
            let values = self.weights.get(&own);
            self.floats(own, &sides, values)
        });
        let epsilon = self.number(name, "epsilon", norm.epsilon as f32);
        let mean = |own: &mut Self, step: &str, of: String| {
            let step = format!("{name}/{step}");
            own.push("ReduceMean", &step, vec![of], step.clone(), vec![ints("axes", &axes), int("keepdims", 1)]);
            step
        };
        let center = mean(self, "mean", input.to_owned());
        let distance = self.step("Sub", name, "distance", vec![input.to_owned(), center]);
        let square = self.step("Mul", name, "square", vec![distance.clone(); 2]);
        let variance = mean(self, "variance", square);
        let sum = self.step("Add", name, "sum", vec![variance, epsilon]);
        let root = self.step("Sqrt", name, "root", vec![sum]);
        let own = self.step("Div", name, "normalised", vec![distance, root]);
        let scaled = self.step("Mul", name, "scaled", vec![own, scale]);
        self.push("Add", name, vec![scaled, shift], output, vec![]);
    }

    /// The name of a value.
    fn value_name(&self, value: secateur_graph::Value) -> String {
        match self.graph.node(value) {
            None => INPUT.into(),
            Some(_) if value == self.graph.output() => OUTPUT.into(),
            Some(node) => format!("{}.out", node.name),
        }
    }

    /// The tensors of a node's parameters, by their names.
    fn parameters(&mut self, node: &secateur_graph::Node) -> Vec<String> {
        let graph = self.graph;
        let place = node.output.index() - 1;
        let first = graph.parameters().partition_point(|own| own.node < place);
        let own = graph.parameters()[first..].iter().take_while(|own| own.node == place);
        own.map(|own| self.floats(own.name.clone(), &own.shape, self.weights.get(&own.name))).collect()
    }

    /// Appends an operator whose output another one of the same node reads; gives that output.
    fn step(&mut self, operator: &str, node: &str, step: &str, inputs: Vec<String>) -> String {
        // No node's name has a slash.
        let own = format!("{node}/{step}");
        self.push(operator, &own, inputs, own.clone(), vec![]);
        own
    }

    fn push(&mut self, operator: &str, name: &str, input: Vec<String>, output: String, attribute: Vec<Attribute>) {
        let (name, op_type) = (Some(name.into()), Some(operator.into()));
        self.nodes.push(Node { input, output: vec![output], name, op_type, attribute, domain: None });
    }

    fn floats(&mut self, name: String, shape: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, FLOAT, shape, bytes)
    }

    fn number(&mut self, node: &str, field: &str, value: f32) -> String {
        self.floats(format!("{node}/{field}"), &[], &[value])
    }

    fn integers(&mut self, node: &str, field: &str, values: &[usize]) -> String {
        let bytes = values.iter().flat_map(|value| (*value as i64).to_le_bytes()).collect();
        self.tensor(format!("{node}/{field}"), INT64, &[values.len()], bytes)
    }

    fn tensor(&mut self, name: String, kind: i32, shape: &[usize], bytes: Vec<u8>) -> String {
        let dims = shape.iter().map(|extent| *extent as i64).collect();
        let (data_type, raw_data) = (Some(kind), Some(bytes));
        self.tensors.push(Tensor { dims, data_type, name: Some(name.clone()), raw_data, ..Tensor::default() });
        name
    }
}

/// The slope of a hard sigmoid, 1/6 and not 1/5.
fn hard_sigmoid() -> Vec<Attribute> {
    vec![number("alpha", 1.0 / 6.0), number("beta", 0.5)]
}

fn windows(window: &Window) -> Vec<Attribute> {
    let [rows, columns] = window.padding;
    vec![
        ints("kernel_shape", &window.size),
        ints("pads", &[rows, columns, rows, columns]),
        ints("strides", &window.stride),
    ]
}

fn convolution(window: &Window, groups: usize) -> Vec<Attribute> {
    [vec![ints("dilations", &window.dilation), int("group", groups as i64)], windows(window)].concat()
}

fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: Some(name.into()), i: Some(value), kind: Some(INT), ..Attribute::default() }
}

fn ints(name: &str, values: &[usize]) -> Attribute {
    let ints = values.iter().map(|value| *value as i64).collect();
    Attribute { name: Some(name.into()), ints, kind: Some(INTS), ..Attribute::default() }
}

fn number(name: &str, value: f32) -> Attribute {
    Attribute { name: Some(name.into()), f: Some(value), kind: Some(FLOAT_NUMBER), ..Attribute::default() }
}

/// An input or output of f32, `[batch, shape]`.
fn value(name: &str, batch: Option<usize>, shape: &[usize]) -> ValueInfo {
    let known = |extent: usize| Extent::Known(extent as i64);
    let batch = batch.map_or_else(|| Extent::Named("N".into()), known);
    let all = std::iter::once(batch).chain(shape.iter().map(|extent| known(*extent)));
    let shape = Shape { dim: all.map(|value| Dimension { value: Some(value) }).collect() };
    let tensor = TensorType { element: Some(FLOAT), shape: Some(shape) };
    ValueInfo { name: Some(name.into()), kind: Some(Type { tensor: Some(tensor) }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secateur_graph::{BatchNorm, Conv2d, Linear};

    fn model(input: &[usize], ops: &[(&str, Op)], batch: Option<usize>) -> Graph {
        let graph = secateur_graph::Graph::sequential(input, ops.iter().cloned()).expect("fits");
        let mut weights = Weights::neutral(&graph);
        graph.parameters().iter().for_each(|own| weights.insert(&own.name, vec![0.5; own.len()]));
        let bytes = onnx(&graph, &weights, "small", batch, &[]).expect("small");
        Model::decode(&bytes[..]).expect("own bytes").graph.expect("a graph")
    }

    /// Each node as `Operator(inputs) -> output`.
    fn words(graph: &Graph) -> Vec<String> {
        let word = |node: &Node| {
            let operator = node.op_type.as_deref().unwrap_or("none");
            format!("{operator}({}) -> {}", node.input.join(" "), node.output.join(" "))
        };
        graph.node.iter().map(word).collect()
    }

    #[test]
    fn every_layer_becomes_its_operator() {
        let ops = [
            ("conv1", Op::Conv2d(Conv2d::new(2, 3).padding(1).stride(2))),
            ("bn", Op::BatchNorm(BatchNorm::default())),
            ("relu", Op::Activation(Activation::Relu)),
            ("crop", Op::Crop([8, 4])),
            ("max_pool", Op::Pool(Pool::max(2))),
            ("average_pool", Op::Pool(Pool::average(2))),
            ("flatten", Op::Flatten),
            ("fc1", Op::Linear(Linear::new(3))),
        ];
        let graph = model(&[1, 16, 16], &ops, None);
        let expected = [
            "Conv(x conv1.weight conv1.bias) -> conv1.out",
            "BatchNormalization(conv1.out bn.weight bn.bias bn.running_mean bn.running_var) -> bn.out",
            "Relu(bn.out) -> relu.out",
            "Slice(relu.out crop/starts crop/ends crop/axes) -> crop.out",
            "MaxPool(crop.out) -> max_pool.out",
            "AveragePool(max_pool.out) -> average_pool.out",
            "Flatten(average_pool.out) -> flatten.out",
            "Gemm(flatten.out fc1.weight fc1.bias) -> y",
        ];
        assert_eq!(words(&graph), expected);
        let attribute = |node: usize, name: &str| {
            let own = graph.node[node].attribute.iter().find(|own| own.name.as_deref() == Some(name));
            own.map(|own| (own.i, own.ints.clone()))
        };
        assert_eq!(attribute(0, "pads"), Some((None, vec![1, 1, 1, 1])));
        assert_eq!(attribute(0, "strides"), Some((None, vec![2, 2])));
        assert_eq!(attribute(7, "transB"), Some((Some(1), vec![])));
        let tensor = |name: &str| graph.initializer.iter().find(|own| own.name.as_deref() == Some(name));
        assert_eq!(tensor("bn.weight").map(|own| &own.dims), Some(&vec![2]));
        let epsilon = &graph.node[1].attribute[0];
        assert_eq!((epsilon.name.as_deref(), epsilon.f), (Some("epsilon"), Some(1e-5)));
        let weight = tensor("conv1.weight").expect("written");
        assert_eq!(weight.dims, [2, 1, 3, 3]);
        assert_eq!(weight.raw_data, Some([0, 0, 0, 0x3f].repeat(18)), "0.5, little-endian");
    }

    #[test]
    fn every_other_operation_becomes_its_operators() {
        let mut net = secateur_graph::Builder::new(&[4, 6, 6]).expect("a shape");
        let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
        let conv = secateur_graph::Conv2d::new(8, 3).groups(2).padding(1).without_bias();
        add("conv", Op::Conv2d(conv), &["input"]);
        add("gelu", Op::Activation(Activation::Gelu), &["conv"]);
        add("silu", Op::Activation(Activation::Silu), &["gelu"]);
        add("swish", Op::Activation(Activation::HardSwish), &["silu"]);
        add("sum", Op::Add, &["swish", "conv"]);
        add("relu6", Op::Activation(Activation::Relu6), &["sum"]);
        let window = Window { dilation: [2, 2], ..Window::square(2) };
        add("max", Op::Pool(Pool { window, ..Pool::max(2) }), &["relu6"]);
        add("average", Op::Pool(Pool { window, ..Pool::average(2) }), &["relu6"]);
        add("both", Op::Concat, &["max", "average"]);
        add("mean", Op::GlobalAveragePool, &["both"]);
        add("shape", Op::Reshape(vec![4, 4]), &["mean"]);
        let own = net.finish();
        let bytes = onnx(&own, &Weights::neutral(&own), "all", None, &[]).expect("small");
        let graph = Model::decode(&bytes[..]).expect("own bytes").graph.expect("a graph");
        let expected = [
            "Conv(x conv.weight) -> conv.out",
            "Mul(conv.out gelu/root) -> gelu/scaled",
            "Erf(gelu/scaled) -> gelu/erf",
            "Add(gelu/erf gelu/one) -> gelu/sum",
            "Mul(conv.out gelu/sum) -> gelu/product",
            "Mul(gelu/product gelu/half) -> gelu.out",
            "Sigmoid(gelu.out) -> silu/sigmoid",
            "Mul(gelu.out silu/sigmoid) -> silu.out",
            "HardSigmoid(silu.out) -> swish/hard_sigmoid",
            "Mul(silu.out swish/hard_sigmoid) -> swish.out",
            "Add(swish.out conv.out) -> sum.out",
            "Clip(sum.out relu6/min relu6/max) -> relu6.out",
            "MaxPool(relu6.out) -> max.out",
            "Conv(relu6.out average/weight) -> average.out",
            "Concat(max.out average.out) -> both.out",
            "GlobalAveragePool(both.out) -> mean.out",
            "Reshape(mean.out shape/shape) -> y",
        ];
        assert_eq!(words(&graph), expected);
        assert_eq!(graph.output, [value("y", None, &[4, 4])]);
        let missing = onnx(&own, &Weights::default(), "all", None, &[]).expect_err("no weights").to_string();
        assert!(missing.starts_with("no values for `conv.weight`"), "{missing}");
    }

    #[test]
    fn a_batch_is_a_number_or_a_letter() {
        let graph = |batch| model(&[1, 2, 2], &[], batch);
        assert_eq!(words(&graph(None)), ["Identity(x) -> y"]);
        let first = |graph: Graph| graph.input[0].kind.as_ref()?.tensor.as_ref()?.shape.as_ref()?.dim[0].value.clone();
        assert_eq!(first(graph(None)), Some(Extent::Named("N".into())));
        assert_eq!(first(graph(Some(128))), Some(Extent::Known(128)));
    }
}
