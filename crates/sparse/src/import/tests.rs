use super::*;
use crate::proto::{Attribute, Dimension, Graph, Node, Note, Shape, Tensor, TensorType, Type};
use secateur_graph::{Activation, Op};

/// A model that is put together.
struct Made {
    nodes: Vec<Node>,
    tensors: Vec<Tensor>,
    input: Vec<i64>,
    version: i64,
}

impl Made {
    /// With an input `x` of any batch.
    fn new(sides: &[i64]) -> Self {
        Self { nodes: vec![], tensors: vec![], input: [&[-1], sides].concat(), version: 17 }
    }

    fn floats(mut self, name: &str, dims: &[i64], values: &[f32]) -> Self {
        let (dims, name) = (dims.to_vec(), Some(name.into()));
        self.tensors.push(Tensor { dims, data_type: Some(1), name, float_data: values.to_vec(), ..Tensor::default() });
        self
    }

    fn integers(mut self, name: &str, values: &[i64]) -> Self {
        let (dims, name) = (vec![values.len() as i64], Some(name.into()));
        self.tensors.push(Tensor { dims, data_type: Some(7), name, int64_data: values.to_vec(), ..Tensor::default() });
        self
    }

    /// `Operator(inputs) -> output`, and its attributes.
    fn node(mut self, text: &str, attribute: Vec<Attribute>) -> Self {
        let (operator, rest) = text.split_once('(').expect("an operator");
        let (inputs, output) = rest.split_once(") -> ").expect("an output");
        let input = inputs.split_whitespace().map(|own| if own == "_" { String::new() } else { own.into() }).collect();
        let name = Some(format!("/net/{output}/{operator}"));
        let op_type = Some(operator.into());
        self.nodes.push(Node { input, output: vec![output.into()], name, op_type, attribute, domain: None });
        self
    }

    fn model(self) -> Model {
        let dimension = |side: &i64| Dimension { value: (*side >= 0).then_some(Extent::Known(*side)) };
        let shape = Some(Shape { dim: self.input.iter().map(dimension).collect() });
        let kind = Some(Type { tensor: Some(TensorType { element: Some(1), shape }) });
        let graph = Graph {
            node: self.nodes,
            name: Some("made".into()),
            initializer: self.tensors,
            input: vec![ValueInfo { name: Some("x".into()), kind }],
            output: vec![ValueInfo { name: Some("y".into()), kind: None }],
        };
        let opset_import = vec![OperatorSet { domain: None, version: Some(self.version) }];
        Model { graph: Some(graph), opset_import, ..Model::default() }
    }

    fn read(self) -> Result<Imported, Error> {
        onnx(&self.model().encode_to_vec())
    }

    /// The answers to images.
    fn answers<const N: usize>(self, images: [&[f32]; N]) -> [Vec<f32>; N] {
        let read = self.read().expect("supported");
        images.map(|image| read.network.forward(image))
    }

    fn error(self) -> String {
        self.read().expect_err("refused").to_string()
    }
}

fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: Some(name.into()), i: Some(value), ..Attribute::default() }
}

fn ints(name: &str, values: &[i64]) -> Attribute {
    Attribute { name: Some(name.into()), ints: values.to_vec(), ..Attribute::default() }
}

fn text(name: &str, value: &str) -> Attribute {
    Attribute { name: Some(name.into()), s: Some(value.into()), ..Attribute::default() }
}

fn near(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{found:?} {expected:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{found} {expected}");
    }
}

/// What the network's operations are, in their order.
fn ops(made: Made) -> Vec<Op> {
    let read = made.read().expect("supported");
    let graph = &read.network.graph;
    graph.nodes().iter().map(|own| own.op.clone()).collect()
}

#[test]
fn shape_arithmetic_is_worked_out() {
    let made = Made::new(&[2, 2, 2])
        .integers("zero", &[0])
        .integers("minus", &[-1])
        .node("Shape(x) -> shape", vec![])
        .node("Gather(shape zero) -> batch", vec![])
        .node("Concat(batch minus) -> target", vec![int("axis", 0)])
        .node("Reshape(x target) -> flat", vec![])
        .floats("w", &[8, 1], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
        .node("MatMul(flat w) -> product", vec![])
        .floats("b", &[1], &[0.5])
        .node("Add(product b) -> y", vec![]);
    let [found] = made.answers([&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0]]);
    near(&found, &[17.5]);
}

/// As PyTorch writes the padding of its `pad`: pairs from the last axis on, turned around.
#[test]
fn numbers_are_sliced_turned_around_and_put_together() {
    let made = Made::new(&[1, 2, 2])
        .integers("own", &[0, 1, 2, 0])
        .integers("four", &[4])
        .node("ConstantOfShape(four) -> none", vec![])
        .node("Cast(none) -> zeros", vec![int("to", 7)])
        .node("Concat(own zeros) -> flat", vec![int("axis", 0)])
        .integers("pairs", &[-1, 2])
        .node("Reshape(flat pairs) -> a", vec![])
        .integers("last", &[-1])
        .integers("before", &[i64::MIN + 1])
        .integers("zero", &[0])
        .node("Slice(a last before zero last) -> b", vec![])
        .node("Transpose(b) -> c", vec![ints("perm", &[1, 0])])
        .node("Reshape(c last) -> pads", vec![])
        .node("Pad(x pads) -> d", vec![])
        .floats("w", &[1, 1, 1, 1], &[1.0])
        .node("Conv(d w) -> y", vec![]);
    let [found] = made.answers([&[1.0, 2.0, 3.0, 4.0]]);
    // Two rows above, a column on the right.
    near(&found, &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 3.0, 4.0, 0.0]);
    let many =
        Made::new(&[1]).integers("n", &[1 << 40]).node("ConstantOfShape(n) -> a", vec![]).node("Mul(x a) -> y", vec![]);
    assert!(many.error().contains("expected at most 65536 numbers, found [1099511627776]"));
}

#[test]
fn parameters_keep_their_names_and_a_sum_becomes_a_bias() {
    let made = Made::new(&[3])
        .floats("head.fc.weight", &[2, 3], &[1.0, 0.0, 0.0, 0.0, 1.0, 1.0])
        .node("Gemm(x head.fc.weight) -> product", vec![int("transB", 1)])
        .floats("b", &[1, 2], &[10.0, 20.0])
        .node("Add(b product) -> sum", vec![])
        .node("Relu(sum) -> y", vec![]);
    let read = made.read().expect("supported");
    let Trained { graph, weights } = &read.network;
    let names: Vec<&str> = graph.parameters().iter().map(|own| own.name.as_str()).collect();
    assert_eq!(names, ["head.fc.weight", "head.fc.bias"]);
    assert_eq!(weights.get("head.fc.bias"), [10.0, 20.0]);
    near(&read.network.forward(&[1.0, 2.0, 3.0]), &[11.0, 25.0]);
}

#[test]
fn a_layer_is_called_as_in_pytorch_after_its_node() {
    let mut model = Made::new(&[3])
        .floats("w", &[3, 3], &[1.0; 9])
        .node("Gemm(x w) -> a", vec![])
        .node("Relu(a) -> y", vec![])
        .model();
    model.graph.as_mut().expect("made").node[0].name = Some("/layer1/layer1.0/fc 1/Gemm".into());
    let read = onnx(&model.encode_to_vec()).expect("supported");
    assert_eq!(read.network.layers()[0].name, "layer1.0.fc.1");
}

#[test]
fn activations_are_found_in_every_form_that_they_are_written_in() {
    let numbers = |made: Made| {
        made.floats("root", &[], &[std::f32::consts::SQRT_2])
            .floats("over", &[], &[std::f32::consts::FRAC_1_SQRT_2])
            .floats("one", &[], &[1.0])
            .floats("half", &[], &[0.5])
            .floats("two", &[], &[2.0])
            .floats("three", &[1], &[3.0])
            .floats("zero", &[], &[0.0])
            .floats("six", &[], &[6.0])
            .floats("cubed", &[], &[0.044715])
            .floats("pi", &[], &[(2.0 / std::f32::consts::PI).sqrt()])
    };
    let all: [(Activation, &[&str]); 17] = [
        (
            Activation::Gelu,
            &["Div(x root) -> a", "Erf(a) -> b", "Add(b one) -> c", "Mul(x c) -> d", "Mul(d half) -> y"],
        ),
        (
            Activation::Gelu,
            &["Mul(x over) -> a", "Erf(a) -> b", "Add(one b) -> c", "Mul(half x) -> d", "Mul(d c) -> y"],
        ),
        (Activation::Gelu, &["Mul(x over) -> a", "Erf(a) -> b", "Add(b one) -> c", "Div(c two) -> d", "Mul(d x) -> y"]),
        (Activation::Gelu, &["Gelu(x) -> y"]),
        (Activation::Silu, &["Sigmoid(x) -> a", "Mul(x a) -> y"]),
        (Activation::HardSwish, &["HardSwish(x) -> y"]),
        (Activation::HardSwish, &["Add(x three) -> a", "Clip(a zero six) -> b", "Mul(x b) -> c", "Div(c six) -> y"]),
        (Activation::HardSwish, &["Add(x three) -> a", "Clip(a zero six) -> b", "Div(b six) -> c", "Mul(c x) -> y"]),
        (Activation::Relu6, &["Clip(x zero six) -> y"]),
        (Activation::Relu, &["Clip(x zero _) -> y"]),
        (Activation::Relu, &["Max(zero x) -> y"]),
        (Activation::Sigmoid, &["Sigmoid(x) -> y"]),
        (Activation::Sigmoid, &["Neg(x) -> a", "Exp(a) -> b", "Add(b one) -> c", "Div(one c) -> y"]),
        (Activation::Tanh, &["Tanh(x) -> y"]),
        (Activation::HardSigmoid, &["Add(x three) -> a", "Clip(a zero six) -> b", "Div(b six) -> y"]),
        (
            Activation::GeluTanh,
            &[
                "Mul(x x) -> a",
                "Mul(x a) -> b",
                "Mul(b cubed) -> c",
                "Add(x c) -> d",
                "Mul(pi d) -> e",
                "Tanh(e) -> f",
                "Add(f one) -> g",
                "Mul(half g) -> h",
                "Mul(x h) -> y",
            ],
        ),
        (
            Activation::GeluTanh,
            &[
                "Pow(x three) -> a",
                "Mul(a cubed) -> b",
                "Add(x b) -> c",
                "Mul(c pi) -> d",
                "Tanh(d) -> e",
                "Add(one e) -> f",
                "Mul(x half) -> g",
                "Mul(g f) -> y",
            ],
        ),
    ];
    for (expected, nodes) in all {
        let made = nodes.iter().fold(numbers(Made::new(&[3])), |made, node| made.node(node, vec![]));
        assert_eq!(ops(made), [Op::Activation(expected)], "{nodes:?}");
    }
    let alone = Made::new(&[3]).node("Erf(x) -> y", vec![]);
    assert_eq!(
        alone.error(),
        "no ONNX model: the output `y`: an error function is supported as a part of an activation, of layer normalisation or of a \
         softmax only"
    );
}

#[test]
fn factors_of_channels_become_batch_normalisation() {
    let made = Made::new(&[2, 1, 2])
        .floats("mean", &[1, 2, 1, 1], &[1.0, 2.0])
        .floats("std", &[2, 1, 1], &[2.0, 4.0])
        .floats("by", &[], &[3.0])
        .node("Sub(x mean) -> a", vec![])
        .node("Div(a std) -> b", vec![])
        .node("Sub(by b) -> y", vec![]);
    let [found] = made.answers([&[1.0, 3.0, 2.0, 10.0]]);
    near(&found, &[3.0, 2.0, 3.0, 1.0]);
    // Along another side.
    let spread = Made::new(&[2, 1, 2]).floats("by", &[1, 1, 1, 2], &[1.0, 2.0]).node("Mul(x by) -> y", vec![]);
    let [found] = spread.answers([&[1.0, 3.0, 2.0, 10.0]]);
    near(&found, &[1.0, 6.0, 2.0, 20.0]);
    let other = Made::new(&[2, 1, 2]).floats("by", &[1, 2, 1, 2], &[1.0; 4]).node("Mul(x by) -> y", vec![]);
    assert_eq!(
        other.error(),
        "node `/net/y/Mul` (Mul): expected numbers that fit the value, found a constant of shape [1, 2, 1, 2]"
    );
}

/// The formulas of functions that have no operation of their own are put together from those that have.
#[test]
fn other_formulas_are_put_together() {
    let made = Made::new(&[2])
        .floats("by", &[], &[1.702])
        .node("Mul(x by) -> a", vec![])
        .node("Sigmoid(a) -> b", vec![])
        .node("Mul(x b) -> c", vec![])
        .node("Tanh(x) -> d", vec![])
        .node("Sub(c d) -> y", vec![]);
    let own = |x: f32| x / (1.0 + (-1.702 * x).exp()) - x.tanh();
    let [found] = made.answers([&[0.5, -2.0]]);
    near(&found, &[own(0.5), own(-2.0)]);
    let bounds = Made::new(&[3])
        .floats("low", &[], &[-1.0])
        .floats("high", &[], &[2.0])
        .node("HardSigmoid(x) -> a", vec![])
        .node("Clip(x low high) -> b", vec![])
        .node("Sub(a b) -> y", vec![]);
    let own = |x: f32| (0.2 * x + 0.5).clamp(0.0, 1.0) - x.clamp(-1.0, 2.0);
    let [found] = bounds.answers([&[0.5, -4.0, 3.0]]);
    near(&found, &[own(0.5), own(-4.0), own(3.0)]);
    let long = (0..300).fold(Made::new(&[2]).node("Tanh(x) -> a0", vec![]), |made, step| {
        made.node(&format!("Tanh(a{step}) -> a{}", step + 1), vec![])
    });
    let expected = (0..301).fold(0.5f32, |own, _| own.tanh());
    near(&long.node("Relu(a300) -> y", vec![]).answers([&[0.5, -2.0]])[0], &[expected, 0.0]);
}

/// Squeeze and excitation: a factor for each channel.
#[test]
fn an_image_is_multiplied_with_its_own_gate() {
    let made = Made::new(&[2, 1, 2])
        .node("ReduceMean(x) -> m", vec![ints("axes", &[2, 3]), int("keepdims", 1)])
        .floats("w", &[2, 2, 1, 1], &[1.0, 0.0, 0.0, -1.0])
        .node("Conv(m w) -> c", vec![])
        .node("Sigmoid(c) -> g", vec![])
        .node("Mul(g x) -> y", vec![]);
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
    let [found] = made.answers([&[1.0, 3.0, -2.0, 0.0]]);
    near(&found, &[sigmoid(2.0), 3.0 * sigmoid(2.0), -2.0 * sigmoid(1.0), 0.0]);
    let two = Made::new(&[2]).node("Relu(x) -> a", vec![]).node("Mul(a x) -> y", vec![]);
    let [found] = two.answers([&[3.0, -2.0]]);
    near(&found, &[9.0, 0.0]);
    let quotient = Made::new(&[2]).node("Relu(x) -> a", vec![]).node("Div(a x) -> y", vec![]);
    assert!(quotient.error().contains("expected a constant beside a value, found two values"));
}

/// `scale (x - mean) / sqrt(variance + epsilon) + shift`
fn normalised(x: &[f32], scale: &[f32], shift: &[f32], epsilon: f32) -> Vec<f32> {
    let mean = x.iter().sum::<f32>() / x.len() as f32;
    let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / x.len() as f32;
    let own = |place: usize| scale[place] * (x[place] - mean) / (variance + epsilon).sqrt() + shift[place];
    (0..x.len()).map(own).collect()
}

#[test]
fn layer_normalisation_is_found_in_every_form() {
    let (scale, shift) = ([1.0, 2.0, -1.0], [0.5, 0.0, 3.0]);
    let numbers = |made: Made| {
        made.floats("scale", &[3], &scale)
            .floats("shift", &[3], &shift)
            .floats("two", &[], &[2.0])
            .floats("one", &[], &[1.0])
            .floats("none", &[], &[0.0])
            .floats("third", &[], &[1.0 / 3.0])
            .floats("eps", &[], &[1e-2])
            .integers("last", &[-1])
            .integers("column", &[-1, 1])
    };
    let mean = |text: &str| (text.to_owned(), vec![ints("axes", &[-1]), int("keepdims", 1)]);
    let sum = |text: &str| (text.to_owned(), vec![int("keepdims", 0)]);
    let plain = |text: &str| (text.to_owned(), vec![]);
    let epsilon = Attribute { name: Some("epsilon".into()), f: Some(1e-2), ..Attribute::default() };
    let forms = [
        vec![("LayerNormalization(x scale shift) -> y".to_owned(), vec![epsilon])],
        // PyTorch's before it had an operator.
        vec![
            mean("ReduceMean(x) -> m"),
            plain("Sub(x m) -> d"),
            plain("Pow(d two) -> q"),
            mean("ReduceMean(q) -> v"),
            plain("Add(v eps) -> e"),
            plain("Sqrt(e) -> r"),
            plain("Div(d r) -> n"),
            plain("Mul(n scale) -> s"),
            plain("Add(s shift) -> y"),
        ],
        // By the mean of the squares, as JAX has it.
        vec![
            sum("ReduceSum(x last) -> a"),
            plain("Mul(x x) -> b"),
            sum("ReduceSum(b last) -> c"),
            plain("Mul(c third) -> d"),
            plain("Mul(a third) -> m"),
            plain("Mul(m m) -> e"),
            plain("Sub(d e) -> f"),
            plain("Max(none f) -> v"),
            plain("Reshape(v column) -> w"),
            plain("Add(w eps) -> g"),
            plain("Sqrt(g) -> r"),
            plain("Reciprocal(r) -> i"),
            plain("Mul(i scale) -> s"),
            plain("Reshape(m column) -> k"),
            plain("Sub(x k) -> n"),
            plain("Mul(n s) -> t"),
            plain("Add(t shift) -> y"),
        ],
    ];
    let image = [1.0, 2.0, 4.0];
    for form in forms {
        let made = || form.iter().fold(numbers(Made::new(&[3])), |made, (text, own)| made.node(text, own.clone()));
        let found = ops(made());
        assert!(
            matches!(&found[..], [Op::LayerNorm(own)] if own.axes == [0] && (own.epsilon - 1e-2).abs() < 1e-8),
            "{found:?}"
        );
        let [found] = made().answers([&image]);
        near(&found, &normalised(&image, &scale, &shift, 1e-2));
    }
}

#[test]
fn a_softmax_is_found_in_its_parts() {
    let parts = |made: Made, last: &str| {
        let own = || vec![ints("axes", &[1]), int("keepdims", 1)];
        made.node("ReduceMax(x) -> m", own())
            .node("Sub(x m) -> d", vec![])
            .node("Exp(d) -> e", vec![])
            .node("ReduceSum(e one) -> s", vec![int("keepdims", 1)])
            .node(&format!("Div(e s) -> {last}"), vec![])
            .integers("one", &[1])
    };
    let end = parts(Made::new(&[3]), "y").read().expect("left out");
    assert_eq!(end.remarks, ["the softmax at the end is left out: the network answers with logits"]);
    let inside = || parts(Made::new(&[3]), "p").floats("w", &[3, 1], &[1.0, 2.0, 3.0]).node("MatMul(p w) -> y", vec![]);
    assert!(matches!(&ops(inside())[..], [Op::Softmax(0), Op::Linear(_)]));
    let [found] = inside().answers([&[0.0, 0.0, 2f32.ln()]]);
    near(&found, &[0.25 + 2.0 * 0.25 + 3.0 * 0.5]);
    let alone = Made::new(&[3]).node("Exp(x) -> y", vec![]).error();
    assert!(alone.contains("an exponential is supported as a part of"), "{alone}");
    let axes = Made::new(&[2, 3]).node("ReduceMax(x) -> a", vec![ints("axes", &[1])]).node("Relu(a) -> y", vec![]);
    assert!(axes.error().contains("found that of [2, 3] over the axes [1]"));
}

/// A product of the last side is a convolution of single pixels; sides that change their order twice do not change it.
#[test]
fn products_along_the_last_side() {
    let made = || {
        Made::new(&[2, 3])
            .floats("w", &[3, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0])
            .floats("b", &[2], &[10.0, 20.0])
            .node("MatMul(x w) -> p", vec![])
            .node("Add(p b) -> s", vec![])
            .node("Relu(s) -> r", vec![])
            .floats("v", &[2, 1], &[1.0, -1.0])
            .node("MatMul(r v) -> q", vec![])
            .node("Flatten(q) -> y", vec![])
    };
    let [found] = made().answers([&[1.0, 2.0, 3.0, -4.0, 5.0, -6.0]]);
    near(&found, &[14.0 - 25.0, 0.0 - 19.0]);
    let turned = ops(made()).iter().filter(|op| matches!(op, Op::Permute(_))).count();
    assert_eq!(turned, 1, "the first one");
    let turned =
        Made::new(&[2, 3]).node("Transpose(x) -> t", vec![ints("perm", &[0, 2, 1])]).node("Flatten(t) -> y", vec![]);
    let [found] = turned.answers([&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]);
    near(&found, &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
}

#[test]
fn numbers_choose_rows_of_a_table() {
    let table = [1.0, -2.0, 3.0, -4.0, 5.0, -6.0];
    let whole = |mut made: Model| {
        let kind = made.graph.as_mut().expect("made").input[0].kind.as_mut().expect("made");
        kind.tensor.as_mut().expect("made").element = Some(6);
        onnx(&made.encode_to_vec())
    };
    let gathered = Made::new(&[2])
        .floats("table", &[3, 2], &table)
        .node("Gather(table x) -> r", vec![])
        .floats("b", &[2], &[0.0, 1.0])
        .node("Add(r b) -> s", vec![])
        .node("Relu(s) -> t", vec![])
        .node("Flatten(t) -> y", vec![]);
    let one_hot = Made::new(&[2])
        .integers("column", &[-1, 2, 1])
        .node("Reshape(x column) -> c", vec![])
        .integers("all", &[0, 1, 2])
        .node("Equal(c all) -> h", vec![])
        .node("Cast(h) -> f", vec![int("to", 1)])
        .floats("table", &[3, 2], &table)
        .node("MatMul(f table) -> r", vec![])
        .floats("b", &[1, 1, 2], &[0.0, 1.0])
        .node("Add(r b) -> s", vec![])
        .node("Relu(s) -> t", vec![])
        .node("Flatten(t) -> y", vec![]);
    for made in [gathered, one_hot] {
        let read = whole(made.model()).expect("supported");
        let Trained { graph, weights } = &read.network;
        assert!(matches!(graph.nodes()[0].op, Op::Embedding(own) if (own.rows, own.columns) == (3, 2)));
        assert_eq!(weights.get(&graph.parameters()[0].name), [1.0, 0.0, 3.0, 0.0, 5.0, 0.0], "worked out once");
        near(&read.network.forward(&[2.0, 0.0]), &[5.0, 0.0, 1.0, 0.0]);
    }
    let alone = whole(Made::new(&[2]).node("Relu(x) -> y", vec![]).model()).expect_err("refused").to_string();
    assert!(alone.contains("whole numbers are supported where they choose rows of a table only"), "{alone}");
}

/// As TensorFlow's models come: a sequence as an image of one column, and sides of 1 that come and go around every layer.
#[test]
fn sides_of_1_do_not_stand_between_a_layer_and_what_belongs_to_it() {
    let weight: Vec<f32> = (0..24).map(|own| (own % 7) as f32 - 3.0).collect();
    let mut made = Made::new(&[8])
        .floats("table", &[3, 2], &[1.0, -1.0, 2.0, 0.5, -3.0, 4.0])
        .node("Gather(table x) -> rows", vec![])
        .integers("four", &[-1, 4, 4])
        .node("Reshape(rows four) -> a", vec![])
        .floats("scale", &[4], &[1.0, 2.0, 1.0, 0.5])
        .floats("shift", &[4], &[0.0, 0.5, 0.0, -1.0])
        .node("LayerNormalization(a scale shift) -> n", vec![])
        .integers("last", &[3])
        .node("Unsqueeze(n last) -> b", vec![])
        .node("Transpose(b) -> c", vec![ints("perm", &[0, 2, 1, 3])])
        .floats("w", &[3, 4, 2, 1], &weight)
        .node("Conv(c w) -> d", vec![])
        .node("Squeeze(d last) -> e", vec![])
        .floats("bias", &[1, 3, 1], &[0.5, 0.0, -1.0])
        .node("Add(e bias) -> f", vec![])
        .node("Relu(f) -> g", vec![])
        .node("GlobalMaxPool(g) -> h", vec![])
        .integers("two", &[2])
        .node("Squeeze(h two) -> y", vec![])
        .model();
    let kind = made.graph.as_mut().expect("made").input[0].kind.as_mut().expect("made");
    kind.tensor.as_mut().expect("made").element = Some(7);
    let read = onnx(&made.encode_to_vec()).expect("supported");
    let graph = &read.network.graph;
    let words: Vec<String> = graph.nodes().iter().map(|own| own.op.to_string()).collect();
    assert_eq!(
        words,
        [
            "embedding, 3 rows of 2",
            "reshape to [4, 1, 4]",
            "permute to [2, 0, 1]",
            "layer-norm over [0]",
            "conv2d, 3 filters of 2x1",
            "batch-norm",
            "relu",
            "max-pool 3x1, stride 3x1",
            "flatten",
        ]
    );
    let numbers = [0.0, 1.0, 2.0, 2.0, 1.0, 0.0, 0.0, 2.0];
    let rows: Vec<f32> = numbers.iter().flat_map(|own| [[1.0, -1.0], [2.0, 0.5], [-3.0, 4.0]][*own as usize]).collect();
    let norm = |row: &[f32]| normalised(row, &[1.0, 2.0, 1.0, 0.5], &[0.0, 0.5, 0.0, -1.0], 1e-5);
    let rows: Vec<f32> = rows.chunks(4).flat_map(norm).collect();
    let sum = |filter: usize, place: usize| -> f32 {
        let tap = |own: usize| weight[filter * 8 + own] * rows[(place + own % 2) * 4 + own / 2];
        (0..8).map(tap).sum::<f32>() + [0.5, 0.0, -1.0][filter]
    };
    let largest = |filter: usize| (0..3).map(|place| sum(filter, place)).fold(0f32, f32::max);
    near(&read.network.forward(&numbers), &[largest(0), largest(1), largest(2)]);
}

/// A convolution by its definition: one channel, the kernel `1, 2, 3, 4`, stride 2, and these zeros around 3x3 pixels.
fn convolved(image: &[f32], [top, left, bottom, right]: [usize; 4]) -> Vec<f32> {
    let (rows, columns) = ((3 + top + bottom - 2) / 2 + 1, (3 + left + right - 2) / 2 + 1);
    let at = |row: usize, column: usize| match (row.checked_sub(top), column.checked_sub(left)) {
        (Some(row @ 0..3), Some(column @ 0..3)) => image[row * 3 + column],
        _ => 0.0,
    };
    let one = |row: usize, column: usize| {
        [[0, 0], [0, 1], [1, 0], [1, 1]]
            .iter()
            .zip([1.0, 2.0, 3.0, 4.0])
            .map(|(own, by)| by * at(2 * row + own[0], 2 * column + own[1]))
            .sum()
    };
    (0..rows)
        .flat_map(|row| (0..columns).map(move |column| (row, column)))
        .map(|(row, column)| one(row, column))
        .collect()
}

#[test]
fn padding_of_one_side_only_is_computed() {
    let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    let conv = |made: Made, input: &str, more: Attribute| {
        let strides = ints("strides", &[2, 2]);
        made.floats("w", &[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0])
            .node(&format!("Conv({input} w) -> c"), vec![strides, more])
            .node("Relu(c) -> y", vec![])
    };
    let pads = |own: [i64; 4]| conv(Made::new(&[1, 3, 3]), "x", ints("pads", &own));
    for own in [[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0], [2, 0, 0, 1]] {
        let [found] = pads(own).answers([&image]);
        near(&found, &convolved(&image, own.map(|own| own as usize)));
    }
    let [same] = conv(Made::new(&[1, 3, 3]), "x", text("auto_pad", "SAME_UPPER")).answers([&image]);
    near(&same, &convolved(&image, [0, 0, 1, 1]));
    let padded = Made::new(&[1, 3, 3]).integers("p", &[0, 0, 0, 1, 0, 0, 1, 0]).node("Pad(x p) -> a", vec![]);
    let [found] = conv(padded, "a", ints("pads", &[1, 0, 0, 0])).answers([&image]);
    near(&found, &convolved(&image, [1, 1, 1, 0]));
}

#[test]
fn pooling_is_read_or_refused() {
    let image: Vec<f32> = (0..16).map(|own| own as f32).collect();
    let pool = |operator: &str, more: Vec<Attribute>| {
        let attributes = [vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])], more].concat();
        Made::new(&[1, 4, 4]).node(&format!("{operator}(x) -> y"), attributes)
    };
    let [found] = pool("MaxPool", vec![int("ceil_mode", 1)]).answers([&image]);
    near(&found, &[5.0, 7.0, 13.0, 15.0]);
    let [found] = pool("AveragePool", vec![]).answers([&image]);
    near(&found, &[2.5, 4.5, 10.5, 12.5]);
    let [found] = Made::new(&[1, 4, 4]).node("GlobalMaxPool(x) -> y", vec![]).answers([&image]);
    near(&found, &[15.0]);
    let mean = Made::new(&[1, 4, 4]).node("ReduceMean(x) -> y", vec![ints("axes", &[-1, -2]), int("keepdims", 0)]);
    let [found] = mean.answers([&image]);
    near(&found, &[7.5]);
    let outside = pool("AveragePool", vec![ints("pads", &[1, 1, 1, 1])]).error();
    assert!(outside.ends_with("expected padding that counts as zeros (`count_include_pad`)"), "{outside}");
    let attributes = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[3, 3]), int("ceil_mode", 1)];
    let short = Made::new(&[1, 4, 4]).node("MaxPool(x) -> y", attributes).error();
    assert!(short.ends_with("found `ceil_mode` with one that does not"), "{short}");
}

#[test]
fn what_is_not_read_is_named() {
    let made = || Made::new(&[2, 4, 4]).node("Relu(x) -> a", vec![]);
    let missing = made().node("Einsum(a) -> b", vec![]).node("Relu(b) -> c", vec![]).node("Add(c b) -> y", vec![]);
    assert_eq!(
        missing.error(),
        "node `/net/b/Einsum` (Einsum): this operator is not supported; 2 nodes are computed from it"
    );
    // What the output does not need may be anything.
    assert!(made().node("Einsum(a) -> b", vec![]).node("Relu(a) -> y", vec![]).read().is_ok());
    let nowhere = made().node("Add(a b) -> y", vec![]).error();
    assert_eq!(nowhere, "node `/net/y/Add` (Add): it reads `b`, which nothing before it gives");
    let circle = made().node("Add(a y) -> b", vec![]).node("Relu(b) -> y", vec![]).error();
    assert!(circle.contains("`y`, which nothing before it gives"), "{circle}");
    let twice = made().node("Relu(a) -> y", vec![]).node("Relu(a) -> y", vec![]).error();
    assert!(twice.contains("`y` is given twice"), "{twice}");
    let softmax = made().node("Softmax(a) -> y", vec![]).read().expect("left out");
    assert_eq!(softmax.remarks, ["the softmax at the end is left out: the network answers with logits"]);
    let old = Made { version: 9, ..made().node("Relu(a) -> y", vec![]) }.error();
    assert_eq!(old, "no ONNX model: expected ONNX's operators in a version from 11 to 22, found version 9");
    let open = || Made::new(&[2, -1, 4]).node("Relu(x) -> y", vec![]);
    let said = open().error();
    assert!(said.contains("the input `x`: expected sides behind the batch that are numbers"), "{said}");
    let of = |sides: &[usize]| onnx_of(std::path::Path::new(""), &open().model().encode_to_vec(), sides);
    assert_eq!(of(&[2, 3, 4]).expect("fits").network.input(), [2, 3, 4]);
    for sides in [&[2, 3, 5][..], &[2, 3], &[2, 0, 4]] {
        assert!(of(sides).expect_err("refused").to_string().contains("expected sides of 2 x any x 4, found ["));
    }
    let short = Made::new(&[2]).floats("w", &[2, 2], &[1.0]).node("MatMul(x w) -> y", vec![]).error();
    assert_eq!(short, "node `/net/y/MatMul` (MatMul): `w`: expected 4 values, for the shape [2, 2], found 1");
    let narrow = Made::new(&[3]).floats("w", &[2, 2], &[1.0; 4]).node("MatMul(x w) -> y", vec![]).error();
    assert!(narrow.ends_with("expected [2] features, found [3]"), "{narrow}");
    let infinite = Made::new(&[1]).floats("w", &[1, 1], &[f32::INFINITY]).node("MatMul(x w) -> y", vec![]).error();
    assert_eq!(infinite, "no ONNX model: `net.y.weight`: expected numbers, found NaN or an infinity");
    let mut elsewhere = made().floats("w", &[1], &[1.0]).node("Add(a w) -> y", vec![]).model();
    elsewhere.graph.as_mut().expect("made").initializer[0].data_location = Some(1);
    let said = onnx(&elsewhere.encode_to_vec()).expect_err("refused").to_string();
    assert!(said.contains("`w`: its values stand in another file"), "{said}");
    assert!(onnx(b"no model").expect_err("refused").to_string().starts_with("no ONNX model: "));
}

#[test]
fn a_damaged_model_is_refused_or_read_and_never_worse() {
    let made = Made::new(&[2, 4, 4])
        .floats("w", &[2, 2, 3, 3], &[0.5; 36])
        .node("Conv(x w) -> a", vec![ints("pads", &[1, 1, 0, 1]), ints("strides", &[1, 2])])
        .node("Relu(a) -> b", vec![])
        .integers("p", &[0, 0, 1, 1, 0, 0, 1, 1])
        .node("Pad(b p) -> c", vec![])
        .node("AveragePool(c) -> d", vec![ints("kernel_shape", &[2, 2])])
        .node("Shape(d) -> s", vec![])
        .integers("i", &[0])
        .node("Gather(s i) -> g", vec![])
        .integers("m", &[-1])
        .node("Concat(g m) -> t", vec![int("axis", 0)])
        .node("Reshape(d t) -> e", vec![])
        .floats("v", &[24, 2], &[0.25; 48])
        .node("MatMul(e v) -> y", vec![]);
    damaged(&made.model(), 20_000, 1000);
    let text = Made::new(&[6])
        .floats("table", &[3, 4], &[0.5; 12])
        .node("Cast(x) -> numbers", vec![int("to", 7)])
        .node("Gather(table numbers) -> rows", vec![int("axis", 0)])
        .floats("one", &[], &[1.0])
        .node("Add(rows one) -> a", vec![])
        .floats("scale", &[4], &[2.0; 4])
        .node("LayerNormalization(a scale) -> n", vec![int("axis", -1)])
        .node("Transpose(n) -> t", vec![ints("perm", &[0, 2, 1])])
        .floats("w", &[2, 4, 3], &[0.25; 24])
        .node("Conv(t w) -> c", vec![])
        .node("Sigmoid(c) -> s", vec![])
        .node("Mul(c s) -> g", vec![])
        .node("ReduceMax(g) -> m", vec![ints("axes", &[2]), int("keepdims", 0)])
        .node("Exp(m) -> e", vec![])
        .integers("axis", &[1])
        .node("ReduceSum(e axis) -> z", vec![int("keepdims", 1)])
        .node("Div(e z) -> p", vec![])
        .floats("v", &[2, 3], &[0.5; 6])
        .node("MatMul(p v) -> y", vec![]);
    damaged(&text.model(), 20_000, 1000);
}

/// Reads a model with some bytes changed, or cut off, so often; at least so many times it is still one.
fn damaged(model: &Model, rounds: usize, least: usize) {
    let bytes = model.encode_to_vec();
    onnx(&bytes).expect("supported");
    let mut state = 1u64;
    let mut random = |count: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % count
    };
    let mut read = 0;
    for round in 0..rounds {
        let mut own = bytes.clone();
        for _ in 0..=random(3) {
            let place = random(own.len());
            match round % 3 {
                0 => own[place] = random(256) as u8,
                1 => own[place] ^= 1 << random(8),
                _ => own.truncate(place.max(1)),
            }
        }
        read += usize::from(onnx(&own).is_ok());
    }
    assert!(read > least, "{read}");
}

/// A model of `[channels, length]` is one of images of one row.
#[test]
fn sequences_are_images_of_one_row() {
    let made = || {
        Made::new(&[2, 5])
            .floats("conv.weight", &[2, 2, 3], &[1.0, 0.0, -1.0, 2.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.5])
            .floats("b", &[2, 1], &[0.5, -1.0])
            .node(
                "Conv(x conv.weight) -> c",
                vec![ints("pads", &[1, 1]), ints("strides", &[2]), ints("dilations", &[1])],
            )
            .node("Add(c b) -> d", vec![])
            .node("Relu(d) -> e", vec![])
            .node("MaxPool(e) -> f", vec![ints("kernel_shape", &[2]), ints("strides", &[1])])
    };
    let image = [1.0, 2.0, 3.0, 4.0, 5.0, 0.5, 1.5, 2.5, 3.5, 4.5];
    // Positions 0, 2 and 4 of the length: [-2, 2 - 4 + 2 * 1.5, 4 + 2 * 3.5] + 0.5 and [1 + 0.75, 3 + 1.75, 5] - 1.
    let flat = made().node("Flatten(f) -> y", vec![]);
    let [found] = flat.answers([&image]);
    near(&found, &[1.5, 11.5, 3.75, 4.0]);
    let mean = made().node("GlobalAveragePool(f) -> g", vec![]).node("Flatten(g) -> y", vec![]);
    let [found] = mean.answers([&image]);
    near(&found, &[6.5, 3.875]);
    let reduced = made().node("ReduceMean(f) -> y", vec![ints("axes", &[-1]), int("keepdims", 0)]);
    let [found] = reduced.answers([&image]);
    near(&found, &[6.5, 3.875]);
    // Features become a sequence, and a sequence an image.
    let long = Made::new(&[10])
        .integers("to", &[-1, 2, 5])
        .node("Reshape(x to) -> s", vec![])
        .floats("w", &[1, 2, 5], &[1.0; 10])
        .node("Conv(s w) -> c", vec![])
        .node("Flatten(c) -> y", vec![]);
    let [found] = long.answers([&image]);
    near(&found, &[27.5]);
    let padded = Made::new(&[1, 2])
        .integers("pads", &[0, 0, 1, 0, 0, 0])
        .node("Pad(x pads) -> p", vec![])
        .floats("w", &[1, 1, 2], &[1.0, 10.0])
        .node("Conv(p w) -> c", vec![])
        .node("Flatten(c) -> y", vec![]);
    let [found] = padded.answers([&[3.0, 4.0]]);
    near(&found, &[30.0, 43.0]);
}

#[test]
fn sequences_and_images_are_not_mixed() {
    let conv = |sides: &[i64], weight: &[i64], attributes: Vec<Attribute>| {
        let count = weight.iter().product::<i64>() as usize;
        Made::new(sides)
            .floats("w", weight, &vec![1.0; count])
            .node("Conv(x w) -> c", attributes)
            .node("Flatten(c) -> y", vec![])
            .error()
    };
    assert!(conv(&[2, 5], &[1, 2, 1, 3], vec![]).contains("expected a weight for [2, 5], found [1, 2, 1, 3]"));
    assert!(conv(&[2, 1, 5], &[1, 2, 3], vec![]).contains("expected a weight for [2, 1, 5], found [1, 2, 3]"));
    assert!(
        conv(&[2, 5], &[1, 2, 3], vec![ints("strides", &[1, 1])]).contains("expected `strides` of one axis, found 2")
    );
    assert!(conv(&[2, 5], &[1, 2, 3], vec![ints("pads", &[1, 1, 1, 1])]).contains("expected two `pads`"));
    assert!(conv(&[2, 5], &[1, 2], vec![]).contains("expected one or two axes behind filters and channels"));
    assert!(
        conv(&[7], &[1, 7, 1], vec![]).contains("expected [channels, rows, columns] or [channels, length], found [7]")
    );
}

/// PyTorch's exporter leaves the values of larger tensors in a file beside the model.
#[test]
fn values_are_read_out_of_the_file_that_they_stand_in() {
    let folder = std::env::temp_dir().join(format!("secateur-external-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("below")).expect("a folder");
    let values: Vec<u8> = [9.0f32, 1.0, 2.0, 3.0, 8.0].iter().flat_map(|own| own.to_le_bytes()).collect();
    std::fs::write(folder.join("model.onnx.data"), &values).expect("written");
    let model = |entries: &[(&str, &str)]| {
        let entry = |(key, value): &(&str, &str)| Note { key: Some((*key).into()), value: Some((*value).into()) };
        let tensor = Tensor {
            dims: vec![1, 3],
            data_type: Some(1),
            name: Some("fc.weight".into()),
            external_data: entries.iter().map(entry).collect(),
            data_location: Some(1),
            ..Tensor::default()
        };
        let mut made = Made::new(&[3]).node("Gemm(x fc.weight) -> y", vec![int("transB", 1)]);
        made.tensors.push(tensor);
        made.model().encode_to_vec()
    };
    let there = [("location", "model.onnx.data"), ("offset", "4"), ("length", "12")];
    let read = onnx_in(&folder, &model(&there)).expect("read");
    near(&read.network.forward(&[1.0, 10.0, 100.0]), &[321.0]);
    let error = |entries: &[(&str, &str)]| onnx_in(&folder, &model(entries)).expect_err("refused").to_string();
    for (entries, expected) in [
        (&[("location", "../model.onnx.data")][..], "expected its values in a file beside the model"),
        (&[("location", "/etc/passwd")], "expected its values in a file beside the model"),
        (&[("location", "")], "expected its values in a file beside the model"),
        (&[], "which it does not name"),
        (&[("location", "other.data")], "other.data"),
        (&[("location", "below")], "this is no file"),
        (&[there[0], ("offset", "12"), ("length", "12")], "found 20 bytes, expected 12 of them from 12 on"),
        (&[there[0], ("offset", "18446744073709551615"), ("length", "12")], "found 20 bytes"),
        (&[there[0], ("length", "99999999999999")], "found 20 bytes"),
        (&[there[0], ("offset", "four")], "expected a number as `offset`, found `four`"),
        (&[there[0], ("length", "8")], "expected 3 values, for the shape [1, 3], found 2"),
    ] {
        let said = error(entries);
        assert!(said.contains("fc.weight") && said.contains(expected), "{entries:?}: {said}");
    }
    assert!(onnx(&model(&there)).expect_err("bytes alone").to_string().contains("stand in another file"));
    std::fs::remove_dir_all(&folder).expect("removed");
}
