//! Writes a network as an ONNX model: the operators that every engine knows, in a version that old engines still read.

use super::proto::{
    Attribute, Dimension, Extent, FLOAT, Graph, INT, INT64, INTS, Model, Node, OperatorSet, Shape, Tensor, TensorType,
    Type, ValueInfo,
};
use super::{Error, names};
use crate::{Layer, Network};
use prost::Message;

/// Version of the operators: 13 is read by engines of 2021 and of today.
const OPERATORS: i64 = 13;
/// Version of the file's layout that goes with it.
const LAYOUT: i64 = 7;
/// A protobuf message may not be longer. The graph itself takes far less than the room that is set aside for it.
const LONGEST: usize = (1 << 31) - (1 << 20);

/// The network as an ONNX model called `name`: input `x`, `[batch, channels, height, width]`, output `y`. Without a
/// `batch` the model takes any; some engines want it fixed.
///
/// Convolutions and fully connected layers keep their zeros. The tensors are called `<layer>.weight` and `<layer>.bias`.
///
/// # Errors
/// When the parameters do not fit into one protobuf message of 2 GiB.
pub fn onnx(network: &Network, name: &str, batch: Option<usize>) -> Result<Vec<u8>, Error> {
    let found = network.cost().parameters.saturating_mul(size_of::<f32>());
    if found >= LONGEST {
        return Err(Error::TooLarge { found, wanted: LONGEST });
    }
    let mut writer = Writer::default();
    for (place, (layer, own)) in network.layers().iter().zip(names(network)).enumerate() {
        writer.layer(layer, &own, network.shape(place));
    }
    // The output is called y whatever came last.
    let last = std::mem::replace(&mut writer.value, OUTPUT.into());
    match writer.nodes.last_mut() {
        Some(node) => node.output = vec![OUTPUT.into()],
        None => writer.nodes.push(node("Identity", OUTPUT, vec![last], vec![])),
    }
    let shape = network.shape(network.layers().len());
    let output = if writer.flat { &shape[..1] } else { &shape[..] };
    let graph = Graph {
        node: writer.nodes,
        name: Some(name.into()),
        initializer: writer.tensors,
        input: vec![value(INPUT, batch, &network.input())],
        output: vec![value(OUTPUT, batch, output)],
    };
    let model = Model {
        ir_version: Some(LAYOUT),
        producer_name: Some("secateur".into()),
        producer_version: Some(env!("CARGO_PKG_VERSION").into()),
        graph: Some(graph),
        opset_import: vec![OperatorSet { domain: Some(String::new()), version: Some(OPERATORS) }],
    };
    Ok(model.encode_to_vec())
}

const INPUT: &str = "x";
const OUTPUT: &str = "y";

/// The graph so far.
struct Writer {
    nodes: Vec<Node>,
    tensors: Vec<Tensor>,
    /// The tensor that the next node reads.
    value: String,
    /// Whether it is `[batch, features]`; else `[batch, channels, height, width]`.
    flat: bool,
}

impl Default for Writer {
    fn default() -> Self {
        Self { nodes: vec![], tensors: vec![], value: INPUT.into(), flat: false }
    }
}

impl Writer {
    /// Appends a layer called `name`, whose input has this shape.
    fn layer(&mut self, layer: &Layer, name: &str, input: [usize; 3]) {
        match layer {
            Layer::Conv2d(conv) => {
                self.unflatten(name, input[0]);
                let kernel = [conv.kernel; 2];
                let weight = [conv.outputs, conv.inputs, conv.kernel, conv.kernel];
                let parameters = [
                    self.floats(name, "weight", &weight, &conv.weight),
                    self.floats(name, "bias", &[conv.outputs], &conv.bias),
                ];
                let attributes = vec![
                    ints("dilations", &[1, 1]),
                    int("group", 1),
                    ints("kernel_shape", &kernel),
                    ints("pads", &[conv.padding; 4]),
                    ints("strides", &[conv.stride; 2]),
                ];
                self.push("Conv", name, parameters, attributes);
            }
            Layer::Linear(linear) => {
                self.flatten(name);
                let parameters = [
                    self.floats(name, "weight", &[linear.outputs, linear.inputs], &linear.weight),
                    self.floats(name, "bias", &[linear.outputs], &linear.bias),
                ];
                self.push("Gemm", name, parameters, vec![int("transB", 1)]);
            }
            Layer::Affine(affine) => {
                let channels = affine.scale.len();
                let shape = [channels, 1, 1];
                let shape = if self.flat { &shape[..1] } else { &shape[..] };
                let scale = self.floats(name, "scale", shape, &affine.scale);
                self.push("Mul", &format!("{name}.mul"), [scale], vec![]);
                let shift = self.floats(name, "shift", shape, &affine.shift);
                self.push("Add", &format!("{name}.add"), [shift], vec![]);
            }
            Layer::Relu => self.push("Relu", name, [], vec![]),
            Layer::MaxPool2d { size } => self.pool("MaxPool", name, *size, input[0]),
            Layer::AvgPool2d { size } => self.pool("AveragePool", name, *size, input[0]),
            Layer::Crop { height, width } => {
                self.unflatten(name, input[0]);
                let limits = [
                    self.integers(name, "starts", &[0, 0]),
                    self.integers(name, "ends", &[*height, *width]),
                    self.integers(name, "axes", &[2, 3]),
                ];
                self.push("Slice", name, limits, vec![]);
            }
            Layer::Flatten => self.flatten(name),
        }
    }

    fn pool(&mut self, operator: &str, name: &str, size: usize, channels: usize) {
        self.unflatten(name, channels);
        self.push(operator, name, [], vec![ints("kernel_shape", &[size; 2]), ints("strides", &[size; 2])]);
    }

    /// Makes `[batch, features]` of the value, unless it is.
    fn flatten(&mut self, name: &str) {
        if !self.flat {
            self.push("Flatten", &format!("{name}.flat"), [], vec![int("axis", 1)]);
            self.flat = true;
        }
    }

    /// Makes `[batch, channels, 1, 1]` of the value if it is `[batch, channels]`.
    fn unflatten(&mut self, name: &str, channels: usize) {
        if self.flat {
            // A 0 leaves the batch as it is.
            let shape = self.integers(name, "shape", &[0, channels, 1, 1]);
            self.push("Reshape", &format!("{name}.reshaped"), [shape], vec![]);
            self.flat = false;
        }
    }

    fn push<const N: usize>(&mut self, operator: &str, name: &str, more: [String; N], attributes: Vec<Attribute>) {
        let read = std::mem::replace(&mut self.value, format!("{name}.out"));
        let inputs = std::iter::once(read).chain(more).collect();
        self.nodes.push(Node { output: vec![self.value.clone()], ..node(operator, name, inputs, attributes) });
    }

    fn floats(&mut self, layer: &str, field: &str, shape: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(format!("{layer}.{field}"), FLOAT, shape, bytes)
    }

    fn integers(&mut self, layer: &str, field: &str, values: &[usize]) -> String {
        let bytes = values.iter().flat_map(|value| (*value as i64).to_le_bytes()).collect();
        self.tensor(format!("{layer}.{field}"), INT64, &[values.len()], bytes)
    }

    fn tensor(&mut self, name: String, kind: i32, shape: &[usize], bytes: Vec<u8>) -> String {
        let dims = shape.iter().map(|extent| *extent as i64).collect();
        self.tensors.push(Tensor { dims, data_type: Some(kind), name: Some(name.clone()), raw_data: Some(bytes) });
        name
    }
}

fn node(operator: &str, name: &str, input: Vec<String>, attribute: Vec<Attribute>) -> Node {
    Node { input, output: vec![name.into()], name: Some(name.into()), op_type: Some(operator.into()), attribute }
}

fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: Some(name.into()), i: Some(value), ints: vec![], kind: Some(INT) }
}

fn ints(name: &str, values: &[usize]) -> Attribute {
    let ints = values.iter().map(|value| *value as i64).collect();
    Attribute { name: Some(name.into()), i: None, ints, kind: Some(INTS) }
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
    use crate::network::tests::{conv, linear};
    use crate::{Affine, Conv2d};

    fn model(input: [usize; 3], layers: Vec<Layer>, batch: Option<usize>) -> Graph {
        let network = Network::new(input, layers).expect("fits");
        let bytes = onnx(&network, "small", batch).expect("small");
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

    fn affine(channels: usize) -> Layer {
        Layer::Affine(Affine { name: "bn".into(), scale: vec![2.0; channels], shift: vec![1.0; channels] })
    }

    #[test]
    fn every_layer_becomes_its_operator() {
        let Layer::Conv2d(plain) = conv("conv1", [1, 2, 3], vec![0.5; 18]) else { panic!("a conv") };
        let layers = vec![
            Layer::Conv2d(Conv2d { padding: 1, stride: 2, ..plain }),
            affine(2),
            Layer::Relu,
            Layer::Crop { height: 8, width: 4 },
            Layer::MaxPool2d { size: 2 },
            Layer::AvgPool2d { size: 2 },
            Layer::Flatten,
            linear("fc1", [4, 3], vec![0.0; 12]),
        ];
        let graph = model([1, 16, 16], layers, None);
        let expected = [
            "Conv(x conv1.weight conv1.bias) -> conv1.out",
            "Mul(conv1.out bn.scale) -> bn.mul.out",
            "Add(bn.mul.out bn.shift) -> bn.add.out",
            "Relu(bn.add.out) -> relu.out",
            "Slice(relu.out crop.starts crop.ends crop.axes) -> crop.out",
            "MaxPool(crop.out) -> max_pool.out",
            "AveragePool(max_pool.out) -> average_pooling.out",
            "Flatten(average_pooling.out) -> flatten.flat.out",
            "Gemm(flatten.flat.out fc1.weight fc1.bias) -> y",
        ];
        assert_eq!(words(&graph), expected);
        let attribute = |node: usize, name: &str| {
            let own = graph.node[node].attribute.iter().find(|own| own.name.as_deref() == Some(name));
            own.map(|own| (own.i, own.ints.clone()))
        };
        assert_eq!(attribute(0, "pads"), Some((None, vec![1, 1, 1, 1])));
        assert_eq!(attribute(0, "strides"), Some((None, vec![2, 2])));
        assert_eq!(attribute(8, "transB"), Some((Some(1), vec![])));
        let tensor = |name: &str| graph.initializer.iter().find(|own| own.name.as_deref() == Some(name));
        assert_eq!(tensor("bn.scale").map(|own| &own.dims), Some(&vec![2, 1, 1]));
        let weight = tensor("conv1.weight").expect("written");
        assert_eq!(weight.dims, [2, 1, 3, 3]);
        assert_eq!(weight.raw_data, Some([0, 0, 0, 0x3f].repeat(18)), "0.5, little-endian");
    }

    #[test]
    fn flat_values_become_images_again_where_a_layer_wants_them() {
        let layers = vec![linear("fc", [2, 2], vec![1.0; 4]), affine(2), conv("c", [2, 1, 1], vec![1.0; 2])];
        let graph = model([2, 1, 1], layers, Some(3));
        assert_eq!(words(&graph)[0], "Flatten(x) -> fc.flat.out");
        assert_eq!(words(&graph)[4], "Reshape(bn.add.out c.shape) -> c.reshaped.out");
        assert_eq!(graph.output, [value("y", Some(3), &[1, 1, 1])]);
        let scale = graph.initializer.iter().find(|own| own.name.as_deref() == Some("bn.scale"));
        assert_eq!(scale.map(|own| &own.dims), Some(&vec![2]));
    }

    #[test]
    fn a_batch_is_a_number_or_a_letter() {
        let graph = |batch| model([1, 2, 2], vec![], batch);
        assert_eq!(words(&graph(None)), ["Identity(x) -> y"]);
        let first = |graph: Graph| graph.input[0].kind.as_ref()?.tensor.as_ref()?.shape.as_ref()?.dim[0].value.clone();
        assert_eq!(first(graph(None)), Some(Extent::Named("N".into())));
        assert_eq!(first(graph(Some(128))), Some(Extent::Known(128)));
    }
}
