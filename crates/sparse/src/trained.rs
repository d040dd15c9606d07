//! A trained network: a graph with its weights.

use crate::compact::{Footprint, compact};
use crate::export::{self, Form};
use crate::file::{self, Info, Model, Precision, decode, encode, quantized};
use secateur_graph::{Cost, Graph, Op, Role, Survey, Weights};

/// A network with its weights, pruned ones as zeros.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The network.
    pub graph: Graph,
    /// Its weights; [`Weights::check`] says whether they are. What is asked of a network panics where they are not.
    pub weights: Weights,
}

/// Why a file was not read as a model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReadError {
    /// Another ending.
    #[error("{name}: expected a file whose name ends in .secateur or .onnx")]
    Ending {
        /// The file's name.
        name: String,
    },
    /// A file of Secateur's own that is damaged.
    #[error("{name}: {why}")]
    Secateur {
        /// The file's name.
        name: String,
        /// What is wrong with it.
        why: Box<file::Error>,
    },
    /// An ONNX model that is damaged, or has something that is not supported.
    #[error("{name}: {why}")]
    Onnx {
        /// The file's name.
        name: String,
        /// What is wrong with it.
        why: Box<crate::import::Error>,
    },
}

/// The weights of a convolution or a fully connected layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerWeights<'a> {
    /// Its name.
    pub name: &'a str,
    /// Shape of the weight, `[outputs, inputs, ..]`.
    pub shape: Vec<usize>,
    /// The weight.
    pub weight: &'a [f32],
}

impl Trained {
    /// Channels, rows and columns of an image; features are `[n, 1, 1]`.
    pub fn input(&self) -> [usize; 3] {
        match *self.graph.shape(self.graph.input()) {
            [channels, rows, columns] => [channels, rows, columns],
            ref other => [other.iter().product(), 1, 1],
        }
    }

    /// Numbers that it answers to an image.
    pub fn classes(&self) -> usize {
        self.graph.shape(self.graph.output()).iter().product()
    }

    /// Rows of the table that the numbers of its input choose from; `None` where they are no such numbers.
    pub fn rows(&self) -> Option<usize> {
        self.graph.nodes().iter().find_map(|node| match &node.op {
            Op::Embedding(own) => Some(own.rows),
            _ => None,
        })
    }

    /// Whether bytes compute it faster than floats do: all but networks like LeNet, one layer behind the other, most of whose work is in
    /// convolutions without padding, whose kernels for floats join convolution and pooling, and in fully connected layers.
    pub fn suits_bytes(&self) -> bool {
        let graph = &self.graph;
        let mut last = graph.input();
        for node in graph.nodes() {
            let in_groups = matches!(&node.op, Op::Conv2d(conv) if conv.groups > 1);
            if node.inputs != [last] || in_groups {
                return true;
            }
            last = node.output;
        }
        let [mut all, mut padded] = [0, 0];
        for (place, own) in graph.parameters().iter().enumerate().filter(|(_, own)| own.role == Role::Weight) {
            let work = own.len() * graph.positions(place);
            let is_padded = matches!(&graph.nodes()[own.node].op, Op::Conv2d(conv) if conv.window.padding != [0; 2]);
            all += work;
            padded += if is_padded { work } else { 0 };
        }
        2 * padded > all
    }

    /// The reference implementation's answers to an image, `[channels, height, width]` row-major.
    ///
    /// # Panics
    /// When the image has another size than the network's input.
    pub fn forward(&self, image: &[f32]) -> Vec<f32> {
        self.graph.forward(&self.weights, image)
    }

    /// What it costs.
    pub fn cost(&self) -> Cost {
        Survey::of(&self.graph, &self.weights).cost()
    }

    /// The convolutions and fully connected layers, input first.
    pub fn layers(&self) -> Vec<LayerWeights<'_>> {
        let own = self.graph.parameters().iter().filter(|own| own.role == Role::Weight);
        own.map(|own| LayerWeights {
            name: &self.graph.nodes()[own.node].name,
            shape: own.shape.clone(),
            weight: self.weights.get(&own.name),
        })
        .collect()
    }

    /// The same network without what its answers do not depend on, and its size before and after.
    pub fn compacted(&self) -> (Self, [Footprint; 2]) {
        let own = compact(&self.graph, &self.weights);
        (Self { graph: own.graph, weights: own.weights }, [own.before, own.after])
    }

    /// The network that a file of this precision holds.
    ///
    /// # Errors
    /// When a value is not finite, or too large for the precision.
    pub fn quantized(&self, precision: Precision) -> Result<Self, file::Error> {
        let weights = quantized(&self.graph, &self.weights, precision)?;
        Ok(Self { graph: self.graph.clone(), weights })
    }

    /// The bytes of a model file.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn encode(&self, info: &Info, precision: Precision) -> Result<Vec<u8>, file::Error> {
        encode(&self.graph, &self.weights, info, precision)
    }

    /// Reads a model out of a file of this name: Secateur's own (`.secateur`), or an ONNX model (`.onnx`), whose values may stand in
    /// other files beside it, and of which it is not known what it sees of a picture's bytes.
    ///
    /// # Errors
    /// When the name ends in something else, or the file is no such model; with the name.
    pub fn read(name: &std::path::Path, bytes: &[u8]) -> Result<(Self, Info), ReadError> {
        let place = || name.display().to_string();
        match name.extension().and_then(|end| end.to_str()) {
            Some("secateur") => match decode(bytes) {
                Ok(Model { network, info, .. }) => Ok((network, info)),
                Err(why) => Err(ReadError::Secateur { name: place(), why: Box::new(why) }),
            },
            Some("onnx") => match crate::import::onnx_in(name.parent().unwrap_or(std::path::Path::new("")), bytes) {
                Ok(found) => {
                    // Numbers that choose rows are what they are.
                    let (divisor, shift) = if found.network.rows().is_some() { (1.0, 0.0) } else { (255.0, -0.5) };
                    let scales = vec![file::Scale { divisor, shift }];
                    let info = Info { name: found.name, scales, classes: vec![], ranges: crate::Ranges::default() };
                    Ok((found.network, info))
                }
                Err(why) => Err(ReadError::Onnx { name: place(), why: Box::new(why) }),
            },
            _ => Err(ReadError::Ending { name: place() }),
        }
    }

    /// The network as an ONNX model called `name`, for so many images a call, or any number, with these notes in its metadata.
    ///
    /// # Errors
    /// When it does not fit into one message.
    pub fn onnx(&self, name: &str, batch: Option<usize>, notes: &[(&str, &str)]) -> Result<Vec<u8>, export::Error> {
        export::onnx(&self.graph, &self.weights, name, batch, notes)
    }

    /// The network as a safetensors file with these notes in its header.
    ///
    /// # Errors
    /// When the weights are not the graph's.
    pub fn safetensors(&self, form: Form, notes: &[(&str, &str)]) -> Result<Vec<u8>, export::Error> {
        export::safetensors(&self.graph, &self.weights, form, notes)
    }
}

/// The largest difference between the answers of two networks to these images, `[channels, height, width]` row-major. NaN
/// when an answer is NaN.
///
/// # Panics
/// When an image has another size than a network's input, or the networks have not the same number of outputs.
pub fn difference<'a>(a: &Trained, b: &Trained, images: impl IntoIterator<Item = &'a [f32]>) -> f32 {
    let mut most = 0f32;
    for image in images {
        let (a, b) = (a.forward(image), b.forward(image));
        assert_eq!(a.len(), b.len(), "networks are compared that have the same outputs");
        for (a, b) in a.iter().zip(&b) {
            // Equal infinities do not differ, though their difference is NaN.
            let own = if a == b { 0.0 } else { (a - b).abs() };
            most = if own.is_nan() || own > most { own } else { most };
            if most.is_nan() {
                return most;
            }
        }
    }
    most
}
