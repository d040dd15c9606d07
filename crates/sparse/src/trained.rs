//! A trained network: a chain of layers, which has an engine, a compaction and a file format of its own, or any other graph.
//! Whoever measures, stores, exports and asks networks need not care which.

use crate::compact::{compact, compact_graph};
use crate::export::{self, Form};
use crate::file::{self, Info, LayerSize, Precision, decode_trained, encode, encode_graph, quantized, quantized_graph};
use crate::{Compacted, CompactedGraph, Cost, Footprint, Layer, Network};
use secateur_graph::{Graph, Op, Role, Weights};
use std::borrow::Cow;

/// A network with its weights, pruned ones as zeros.
#[derive(Clone, Debug, PartialEq)]
pub enum Trained {
    /// A chain of layers.
    Chain(Network),
    /// Any other graph.
    Graph(Graph, Weights),
}

/// A trained network out of a file, and what the file says beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedFile {
    /// The network.
    pub network: Trained,
    /// What it is, and what it wants to see.
    pub info: Info,
    /// How the weights are stored.
    pub precision: Precision,
    /// For each layer that has values, what it takes in the file, input first.
    pub sizes: Vec<LayerSize>,
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
    /// The network that a graph with these weights is: a chain where it can be one.
    ///
    /// # Panics
    /// When the weights are not the graph's; [`Weights::check`] finds that out.
    pub fn of(graph: &Graph, weights: Weights) -> Self {
        match Network::from_graph(graph, &weights) {
            Ok(network) => Self::Chain(network),
            Err(_) => Self::Graph(graph.clone(), weights),
        }
    }

    /// The chain of layers; `None` where it is none.
    pub fn chain(&self) -> Option<&Network> {
        match self {
            Self::Chain(network) => Some(network),
            Self::Graph(..) => None,
        }
    }

    /// The graph that it is, with its weights.
    ///
    /// # Errors
    /// When a chain is more than a graph may be.
    pub fn to_graph(&self) -> Result<(Cow<'_, Graph>, Cow<'_, Weights>), secateur_graph::Error> {
        Ok(match self {
            Self::Chain(network) => {
                let (graph, weights) = network.to_graph()?;
                (Cow::Owned(graph), Cow::Owned(weights))
            }
            Self::Graph(graph, weights) => (Cow::Borrowed(graph), Cow::Borrowed(weights)),
        })
    }

    /// Channels, rows and columns of an image; features are `[n, 1, 1]`.
    pub fn input(&self) -> [usize; 3] {
        match self {
            Self::Chain(network) => network.input(),
            Self::Graph(graph, _) => match *graph.shape(graph.input()) {
                [channels, rows, columns] => [channels, rows, columns],
                ref other => [other.iter().product(), 1, 1],
            },
        }
    }

    /// Numbers that it answers to an image.
    pub fn classes(&self) -> usize {
        match self {
            Self::Chain(network) => network.classes(),
            Self::Graph(graph, _) => graph.shape(graph.output()).iter().product(),
        }
    }

    /// Rows of the table that the numbers of its input choose from; `None` where they are no such numbers.
    pub fn rows(&self) -> Option<usize> {
        let Self::Graph(graph, _) = self else { return None };
        graph.nodes().iter().find_map(|node| match &node.op {
            Op::Embedding(own) => Some(own.rows),
            _ => None,
        })
    }

    /// Whether bytes compute it faster than floats do: any graph, and of chains those most of whose work is in padded convolutions,
    /// such as a VGG. The chains without padding, LeNets, have kernels for floats that join convolution and pooling.
    pub fn suits_bytes(&self) -> bool {
        let Self::Chain(network) = self else { return true };
        let work = |(place, layer): (usize, &Layer)| match layer {
            Layer::Conv2d(conv) => {
                let outputs: usize = network.shape(place + 1).iter().product();
                [outputs * conv.inputs * conv.kernel * conv.kernel, conv.padding]
            }
            Layer::Linear(linear) => [linear.inputs * linear.outputs, 0],
            Layer::Affine(_)
            | Layer::Relu
            | Layer::MaxPool2d { .. }
            | Layer::AvgPool2d { .. }
            | Layer::Crop { .. }
            | Layer::Flatten => [0, 0],
        };
        let all: Vec<[usize; 2]> = network.layers().iter().enumerate().map(work).collect();
        let sum = |padded: bool| -> usize { all.iter().filter(|own| !padded || own[1] > 0).map(|own| own[0]).sum() };
        2 * sum(true) > sum(false)
    }

    /// The reference implementation's answers to an image, `[channels, height, width]` row-major.
    ///
    /// # Panics
    /// When the image has another size than the network's input.
    pub fn forward(&self, image: &[f32]) -> Vec<f32> {
        match self {
            Self::Chain(network) => network.forward(image),
            Self::Graph(graph, weights) => graph.forward(weights, image),
        }
    }

    /// What it costs.
    pub fn cost(&self) -> Cost {
        match self {
            Self::Chain(network) => network.cost(),
            Self::Graph(graph, weights) => secateur_graph::Survey::of(graph, weights).cost(),
        }
    }

    /// The convolutions and fully connected layers, input first.
    pub fn layers(&self) -> Vec<LayerWeights<'_>> {
        match self {
            Self::Chain(network) => {
                let own = network.parameters();
                own.map(|own| LayerWeights { name: own.name, shape: own.shape, weight: own.weight }).collect()
            }
            Self::Graph(graph, weights) => {
                let own = graph.parameters().iter().filter(|own| own.role == Role::Weight);
                own.map(|own| LayerWeights {
                    name: &graph.nodes()[own.node].name,
                    shape: own.shape.clone(),
                    weight: weights.get(&own.name),
                })
                .collect()
            }
        }
    }

    /// The same network without what its answers do not depend on, and its size before and after.
    pub fn compacted(&self) -> (Self, [Footprint; 2]) {
        match self {
            Self::Chain(network) => {
                let Compacted { network, before, after } = compact(network);
                (Self::Chain(network), [before, after])
            }
            Self::Graph(graph, weights) => {
                let CompactedGraph { graph, weights, before, after } = compact_graph(graph, weights);
                (Self::Graph(graph, weights), [before, after])
            }
        }
    }

    /// The network that a file of this precision holds.
    ///
    /// # Errors
    /// When a value is not finite, or too large for the precision.
    pub fn quantized(&self, precision: Precision) -> Result<Self, file::Error> {
        Ok(match self {
            Self::Chain(network) => Self::Chain(quantized(network, precision)?),
            Self::Graph(graph, weights) => Self::Graph(graph.clone(), quantized_graph(graph, weights, precision)?),
        })
    }

    /// The bytes of a model file.
    ///
    /// # Errors
    /// As [`encode`] and [`encode_graph`].
    pub fn encode(&self, info: &Info, precision: Precision) -> Result<Vec<u8>, file::Error> {
        match self {
            Self::Chain(network) => encode(network, info, precision),
            Self::Graph(graph, weights) => encode_graph(graph, weights, info, precision),
        }
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// When a byte of it is not as [`Self::encode`] would write it, or the network is too large.
    pub fn decode(bytes: &[u8]) -> Result<TrainedFile, file::Error> {
        decode_trained(bytes)
    }

    /// Reads a model out of a file of this name: Secateur's own (`.secateur`), or an ONNX model (`.onnx`), whose values may stand in
    /// other files beside it, and of which it is not known what it sees of a picture's bytes.
    ///
    /// # Errors
    /// When the name ends in something else, or the file is no such model; with the name.
    pub fn read(name: &std::path::Path, bytes: &[u8]) -> Result<(Self, Info), ReadError> {
        let place = || name.display().to_string();
        match name.extension().and_then(|end| end.to_str()) {
            Some("secateur") => match decode_trained(bytes) {
                Ok(file) => Ok((file.network, file.info)),
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
        match self {
            Self::Chain(network) => export::onnx(network, name, batch, notes),
            Self::Graph(graph, weights) => export::onnx_graph(graph, weights, name, batch, notes),
        }
    }

    /// The network as a safetensors file with these notes in its header.
    ///
    /// # Errors
    /// When the weights are not the graph's.
    pub fn safetensors(&self, form: Form, notes: &[(&str, &str)]) -> Result<Vec<u8>, export::Error> {
        match self {
            Self::Chain(network) => Ok(export::safetensors(network, form, notes)),
            Self::Graph(graph, weights) => export::safetensors_graph(graph, weights, form, notes),
        }
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
