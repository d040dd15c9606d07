//! Writes a network as safetensors, dense or as the nonzeros alone, in the names and layouts that PyTorch takes.

use super::header::{Header, structure};
use super::{Error, graph_to_json, names};
use crate::{Layer, Network};
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use secateur_graph::{Graph, Role, Weights};
use std::collections::BTreeMap;

/// How weights are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All values: `<layer>.weight`, `[out, in, height, width]` or `[out, in]`, as `load_state_dict` takes them.
    Dense,
    /// The nonzeros as compressed sparse rows, as `torch.sparse_csr_tensor` takes them: `<layer>.weight.crow_indices`,
    /// `.col_indices` and `.values`. The rows are the outputs; a convolution's columns are `in * height * width`. The
    /// metadata's `<layer>.weight.shape` is the matrix's shape as JSON.
    Csr,
}

/// The network as a safetensors file. Biases are `<layer>.bias`; a folded batch-norm has `<layer>.scale` and
/// `<layer>.shift`. The metadata's `network` tells input and layers as JSON, beside the `notes`, each a key and its text; where
/// the tensors are those of [`Network::to_graph`], `graph` tells that, too. The same network and notes give the same bytes.
pub fn safetensors(network: &Network, form: Form, notes: &[(&str, &str)]) -> Vec<u8> {
    let mut file = File::default();
    file.metadata.extend(notes.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())));
    file.metadata.insert("format".into(), "pt".into());
    file.metadata.insert("network".into(), structure(network));
    file.metadata.extend(as_graph(network).map(|graph| (GRAPH.to_owned(), graph_to_json(&graph))));
    for (layer, name) in network.layers().iter().zip(names(network)) {
        match layer {
            Layer::Conv2d(_) | Layer::Linear(_) => {
                let own = layer.parameters().expect("these have some");
                let rows = own.bias.len();
                let weight = format!("{name}.weight");
                match form {
                    Form::Dense => file.floats(weight, &own.shape, own.weight),
                    Form::Csr => file.csr(&weight, rows, own.shape[1..].iter().product(), own.weight),
                }
                file.floats(format!("{name}.bias"), &[rows], own.bias);
            }
            Layer::Affine(own) => {
                file.floats(format!("{name}.scale"), &[own.scale.len()], &own.scale);
                file.floats(format!("{name}.shift"), &[own.shift.len()], &own.shift);
            }
            Layer::Relu | Layer::MaxPool2d { .. } | Layer::AvgPool2d { .. } | Layer::Crop { .. } | Layer::Flatten => {}
        }
    }
    file.written()
}

/// The graph that a network is, if its parameters are those of the network's file.
fn as_graph(network: &Network) -> Option<Graph> {
    let mut written = vec![];
    for (layer, name) in network.layers().iter().zip(names(network)) {
        match layer {
            Layer::Conv2d(_) | Layer::Linear(_) => {
                written.extend(["weight", "bias"].map(|own| format!("{name}.{own}")));
            }
            Layer::Affine(_) => return None,
            Layer::Relu | Layer::MaxPool2d { .. } | Layer::AvgPool2d { .. } | Layer::Crop { .. } | Layer::Flatten => {}
        }
    }
    let (graph, _) = network.to_graph().ok()?;
    graph.parameters().iter().map(|own| &own.name).eq(&written).then_some(graph)
}

/// Key of the metadata under which a graph is told.
pub const GRAPH: &str = "graph";

/// The graph as a safetensors file: every parameter and buffer by its own name, as PyTorch's modules call them. The metadata's
/// `graph` tells input and nodes as JSON, beside the `notes`, each a key and its text. The same graph, weights and notes give
/// the same bytes.
///
/// # Errors
/// When the weights are not the graph's.
pub fn safetensors_graph(
    graph: &Graph,
    weights: &Weights,
    form: Form,
    notes: &[(&str, &str)],
) -> Result<Vec<u8>, Error> {
    weights.check(graph).map_err(Error::Graph)?;
    let mut file = File::default();
    file.metadata.extend(notes.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())));
    file.metadata.insert("format".into(), "pt".into());
    file.metadata.insert(GRAPH.into(), graph_to_json(graph));
    for own in graph.parameters() {
        let values = weights.get(&own.name);
        match (own.role, form) {
            (Role::Weight, Form::Csr) => {
                file.csr(&own.name, own.shape[0], own.shape[1..].iter().product(), values);
            }
            (Role::Weight, Form::Dense)
            | (
                Role::Bias | Role::Scale | Role::Shift | Role::Mean | Role::Variance | Role::Table,
                Form::Dense | Form::Csr,
            ) => {
                file.floats(own.name.clone(), &own.shape, values);
            }
        }
    }
    Ok(file.written())
}

/// Tensors one after the other, and what is said of them.
#[derive(Default)]
struct File {
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, TensorInfo>,
    data: Vec<u8>,
}

impl File {
    fn floats(&mut self, name: String, shape: &[usize], values: &[f32]) {
        let start = self.data.len();
        self.data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        self.add(name, Dtype::F32, shape, start);
    }

    fn csr(&mut self, name: &str, rows: usize, columns: usize, values: &[f32]) {
        self.metadata.insert(format!("{name}.shape"), format!("[{rows},{columns}]"));
        let nonzeros = || values.iter().enumerate().filter(|(_, value)| **value != 0.0);
        let mut ends = vec![0];
        for row in 0..rows {
            let own = values[row * columns..][..columns].iter().filter(|value| **value != 0.0).count();
            ends.push(ends[row] + own);
        }
        let kept: Vec<f32> = nonzeros().map(|(_, value)| *value).collect();
        let places = nonzeros().map(|(place, _)| place % columns).collect::<Vec<_>>();
        // PyTorch wants both kinds of index in one type.
        let narrow = kept.len().max(columns) <= i32::MAX as usize;
        self.indices(format!("{name}.crow_indices"), &ends, narrow);
        self.indices(format!("{name}.col_indices"), &places, narrow);
        self.floats(format!("{name}.values"), &[kept.len()], &kept);
    }

    fn indices(&mut self, name: String, values: &[usize], narrow: bool) {
        let start = self.data.len();
        if narrow {
            self.data.extend(values.iter().flat_map(|value| (*value as i32).to_le_bytes()));
        } else {
            self.data.extend(values.iter().flat_map(|value| (*value as i64).to_le_bytes()));
        }
        self.add(name, if narrow { Dtype::I32 } else { Dtype::I64 }, &[values.len()], start);
    }

    fn add(&mut self, name: String, dtype: Dtype, shape: &[usize], start: usize) {
        let info = TensorInfo { dtype, shape: shape.to_vec(), data_offsets: (start, self.data.len()) };
        self.tensors.insert(name, info);
    }

    /// Length of the header, header, data.
    fn written(self) -> Vec<u8> {
        let header = Header { metadata: &self.metadata, tensors: &self.tensors };
        let mut header = serde_json::to_vec(&header).expect("plain data");
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.reserve_exact(header.len() + self.data.len());
        bytes.extend(header);
        bytes.extend(self.data);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Affine;
    use crate::network::tests::{conv, linear};
    use safetensors::SafeTensors;

    fn network() -> Network {
        let layers = vec![
            conv("conv1", [1, 2, 2], vec![0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0]),
            Layer::Affine(Affine { name: "bn1".into(), scale: vec![1.0, 2.0], shift: vec![3.0, 4.0] }),
            Layer::Flatten,
            linear("fc1", [2, 3], vec![-0.0, f32::NAN, 5.0, 6.0, 0.0, 0.0]),
        ];
        Network::new([1, 2, 2], layers).expect("fits")
    }

    fn floats(file: &SafeTensors<'_>, name: &str) -> (Vec<usize>, Vec<f32>) {
        let tensor = file.tensor(name).expect(name);
        assert_eq!(tensor.dtype(), Dtype::F32);
        let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("four bytes"));
        (tensor.shape().to_vec(), tensor.data().chunks(4).map(number).collect())
    }

    fn integers(file: &SafeTensors<'_>, name: &str) -> Vec<i32> {
        let tensor = file.tensor(name).expect(name);
        assert_eq!(tensor.dtype(), Dtype::I32);
        let number = |bytes: &[u8]| i32::from_le_bytes(bytes.try_into().expect("four bytes"));
        tensor.data().chunks(4).map(number).collect()
    }

    #[test]
    fn dense_weights_keep_their_shape() {
        let bytes = safetensors(&network(), Form::Dense, &[]);
        let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        let weight = vec![0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(floats(&file, "conv1.weight"), (vec![2, 1, 2, 2], weight));
        assert_eq!(floats(&file, "bn1.shift"), (vec![2], vec![3.0, 4.0]));
        assert_eq!(floats(&file, "fc1.bias"), (vec![3], vec![0.0; 3]));
        assert_eq!(file.len(), 6);
    }

    #[test]
    fn a_graph_keeps_its_names_and_tells_its_nodes() {
        let mut net = secateur_graph::Builder::new(&[2, 3, 3]).expect("a shape");
        let conv = secateur_graph::Conv2d::new(2, 1).groups(2).without_bias();
        net.add_named("layer1.0.conv", secateur_graph::Op::Conv2d(conv), &["input"]).expect("fits");
        let norm = secateur_graph::BatchNorm::default();
        net.add_named("layer1.0.norm", secateur_graph::Op::BatchNorm(norm), &["layer1.0.conv"]).expect("fits");
        net.add_named("sum", secateur_graph::Op::Add, &["layer1.0.norm", "input"]).expect("fits");
        let graph = net.finish();
        let mut weights = Weights::neutral(&graph);
        weights.insert("layer1.0.conv.weight", vec![0.0, 3.0]);
        let bytes = safetensors_graph(&graph, &weights, Form::Dense, &[("from", "a run")]).expect("its weights");
        let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        assert_eq!(floats(&file, "layer1.0.conv.weight"), (vec![2, 1, 1, 1], vec![0.0, 3.0]));
        assert_eq!(floats(&file, "layer1.0.norm.running_var"), (vec![2], vec![1.0; 2]));
        assert_eq!(file.len(), 5);
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("a header");
        let metadata = header.metadata().as_ref().expect("metadata");
        let expected = r#"{"input":[2,3,3],"nodes":[{"name":"layer1.0.conv","inputs":["input"],"kind":"conv2d","inputs_per_group":1,"outputs":2,"groups":2,"bias":false,"kernel":[1,1],"stride":[1,1],"padding":[0,0],"dilation":[1,1]},{"name":"layer1.0.norm","inputs":["layer1.0.conv"],"kind":"batch-norm","epsilon":0.00001,"momentum":0.1},{"name":"sum","inputs":["layer1.0.norm","input"],"kind":"add"}]}"#;
        assert_eq!((&*metadata["graph"], &*metadata["from"]), (expected, "a run"));
        assert_eq!(crate::export::graph_from_json(expected).expect("just written"), graph);
        let sparse = safetensors_graph(&graph, &weights, Form::Csr, &[]).expect("its weights");
        let file = SafeTensors::deserialize(&sparse).expect("a safetensors file");
        assert_eq!(integers(&file, "layer1.0.conv.weight.crow_indices"), [0, 0, 1]);
        assert_eq!(file.len(), 7);
        assert!(safetensors_graph(&graph, &Weights::default(), Form::Csr, &[]).is_err());
    }

    #[test]
    fn sparse_rows_hold_the_nonzeros_alone() {
        let bytes = safetensors(&network(), Form::Csr, &[]);
        let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        assert_eq!(integers(&file, "conv1.weight.crow_indices"), [0, 2, 2]);
        assert_eq!(integers(&file, "conv1.weight.col_indices"), [1, 3]);
        assert_eq!(floats(&file, "conv1.weight.values").1, [1.0, 2.0]);
        assert_eq!(integers(&file, "fc1.weight.crow_indices"), [0, 1, 3, 3]);
        assert_eq!(integers(&file, "fc1.weight.col_indices"), [1, 0, 1]);
        assert!(floats(&file, "fc1.weight.values").1[0].is_nan(), "what is no number is no zero");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("a header");
        let metadata = header.metadata().as_ref().expect("metadata");
        assert_eq!(metadata["fc1.weight.shape"], "[3,2]");
    }

    #[test]
    fn the_metadata_tells_the_layers_and_what_is_noted() {
        let bytes = safetensors(&network(), Form::Dense, &[("from", "a run")]);
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("a header");
        let metadata = header.metadata().as_ref().expect("metadata");
        let expected = r#"{"input":[1,2,2],"layers":[{"kind":"conv2d","name":"conv1","inputs":1,"outputs":2,"kernel":2,"stride":1,"padding":0},{"kind":"affine","name":"bn1","channels":2},{"kind":"flatten"},{"kind":"linear","name":"fc1","inputs":2,"outputs":3}]}"#;
        assert_eq!((&*metadata["network"], &*metadata["from"]), (expected, "a run"));
        let again = safetensors(&network(), Form::Dense, &[("from", "a run")]);
        assert_eq!(bytes, again, "the same network gives the same bytes");
    }
}
