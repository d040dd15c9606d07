//! Writes a network as safetensors, dense or as the nonzeros alone, in the names and layouts that PyTorch takes.

use super::{Error, graph_to_json};
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use secateur_graph::{Graph, Role, Weights};
use serde::Serialize;
use std::collections::BTreeMap;

/// How weights are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All values: `<node>.weight`, `[out, in, height, width]` or `[out, in]`, as `load_state_dict` takes them.
    Dense,
    /// The nonzeros as compressed sparse rows, as `torch.sparse_csr_tensor` takes them: `<node>.weight.crow_indices`,
    /// `.col_indices` and `.values`. The rows are the outputs; a convolution's columns are `in * height * width`. The
    /// metadata's `<node>.weight.shape` is the matrix's shape as JSON.
    Csr,
}

/// Key of the metadata under which a graph is told.
pub const GRAPH: &str = "graph";

/// The graph as a safetensors file: every parameter and buffer by its own name, as PyTorch's modules call them. The metadata's
/// `graph` tells input and nodes as JSON, beside the `notes`, each a key and its text. The same graph, weights and notes give
/// the same bytes.
///
/// # Errors
/// When the weights are not the graph's.
pub fn safetensors(graph: &Graph, weights: &Weights, form: Form, notes: &[(&str, &str)]) -> Result<Vec<u8>, Error> {
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

/// The header's text: metadata first, then the tensors by name. (The crate `safetensors` keeps metadata in an unordered map, whose bytes
/// would differ from one writing to the next.)
#[derive(Serialize)]
struct Header<'a> {
    #[serde(rename = "__metadata__")]
    metadata: &'a BTreeMap<String, String>,
    #[serde(flatten)]
    tensors: &'a BTreeMap<String, TensorInfo>,
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
    use safetensors::SafeTensors;
    use secateur_graph::{BatchNorm, Conv2d, Linear, Op};

    fn network() -> (Graph, Weights) {
        let ops = [
            ("conv1", Op::Conv2d(Conv2d::new(2, 2))),
            ("bn1", Op::BatchNorm(BatchNorm::default())),
            ("flat", Op::Flatten),
            ("fc1", Op::Linear(Linear::new(3))),
        ];
        let graph = Graph::sequential(&[1, 2, 2], ops).expect("fits");
        let mut weights = Weights::neutral(&graph);
        weights.insert("conv1.weight", vec![0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
        weights.insert("bn1.bias", vec![3.0, 4.0]);
        weights.insert("fc1.weight", vec![-0.0, f32::NAN, 5.0, 6.0, 0.0, 0.0]);
        (graph, weights)
    }

    fn written(form: Form) -> Vec<u8> {
        let (graph, weights) = network();
        safetensors(&graph, &weights, form, &[]).expect("its weights")
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
        let bytes = written(Form::Dense);
        let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        let weight = vec![0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(floats(&file, "conv1.weight"), (vec![2, 1, 2, 2], weight));
        assert_eq!(floats(&file, "bn1.bias"), (vec![2], vec![3.0, 4.0]));
        assert_eq!(floats(&file, "fc1.bias"), (vec![3], vec![0.0; 3]));
        assert_eq!(file.len(), 8);
        assert_eq!(bytes, written(Form::Dense), "the same network gives the same bytes");
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
        let bytes = safetensors(&graph, &weights, Form::Dense, &[("from", "a run")]).expect("its weights");
        let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        assert_eq!(floats(&file, "layer1.0.conv.weight"), (vec![2, 1, 1, 1], vec![0.0, 3.0]));
        assert_eq!(floats(&file, "layer1.0.norm.running_var"), (vec![2], vec![1.0; 2]));
        assert_eq!(file.len(), 5);
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("a header");
        let metadata = header.metadata().as_ref().expect("metadata");
        let expected = r#"{"input":[2,3,3],"nodes":[{"name":"layer1.0.conv","inputs":["input"],"kind":"conv2d","inputs_per_group":1,"outputs":2,"groups":2,"bias":false,"kernel":[1,1],"stride":[1,1],"padding":[0,0],"dilation":[1,1]},{"name":"layer1.0.norm","inputs":["layer1.0.conv"],"kind":"batch-norm","epsilon":0.00001,"momentum":0.1},{"name":"sum","inputs":["layer1.0.norm","input"],"kind":"add"}]}"#;
        assert_eq!((&*metadata["graph"], &*metadata["from"]), (expected, "a run"));
        assert_eq!(crate::export::graph_from_json(expected).expect("just written"), graph);
        let sparse = safetensors(&graph, &weights, Form::Csr, &[]).expect("its weights");
        let file = SafeTensors::deserialize(&sparse).expect("a safetensors file");
        assert_eq!(integers(&file, "layer1.0.conv.weight.crow_indices"), [0, 0, 1]);
        assert_eq!(file.len(), 7);
        assert!(safetensors(&graph, &Weights::default(), Form::Csr, &[]).is_err());
    }

    #[test]
    fn sparse_rows_hold_the_nonzeros_alone() {
        let bytes = written(Form::Csr);
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
}
