//! A model that was made elsewhere: its graph and its weights are those of a file, or of another run.
//!
//! What is computed depends on the file's content alone, so that the config names it by its SHA-256, too, and a run keeps a copy.

use crate::files::digest;
use crate::model::Model;
use crate::{Error, export, state};
use secateur_graph::Graph;
use secateur_sparse::Trained;
use secateur_sparse::file::{Info, Precision};
use std::path::Path;

/// The content of such a file.
#[derive(Debug)]
pub(crate) struct Source {
    model: Model,
    graph: Graph,
    weights: secateur_graph::Weights,
    /// As Secateur's own file, all values as f32: what a run keeps.
    bytes: Vec<u8>,
    /// SHA-256 of those bytes.
    sha256: String,
}

impl Source {
    /// Reads a model; where a SHA-256 is expected, it has to be that one.
    ///
    /// # Errors
    /// When it cannot be read, or is another one.
    pub(crate) fn open(path: &Path, expected: Option<&str>) -> Result<Self, Error> {
        let model = Model::open(path, None)?;
        let refuse = |why: String| Error::Run { path: path.to_owned(), why };
        let Trained { graph, weights } = model.network.clone();
        // Ranges belong to the weights as they are.
        let info = Info { ranges: Default::default(), ..model.info.clone() };
        let bytes = model.network.encode(&info, Precision::F32).map_err(|error| refuse(error.to_string()))?;
        let sha256 = digest(&bytes);
        match expected.filter(|expected| **expected != sha256) {
            Some(expected) => Err(refuse(format!(
                "found another model, of SHA-256 {sha256}, expected {expected}, as the config's `sha256` says"
            ))),
            None => Ok(Self { model, graph, weights, bytes, sha256 }),
        }
    }

    /// Checks that it takes what has these sides, those of 1 left out or not, and answers so many classes or more; `key` is the
    /// config's that names it.
    ///
    /// # Errors
    /// When it takes or gives something else.
    pub(crate) fn check(&self, key: &'static str, shape: &[usize], classes: usize) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::Meaning { key, why });
        let [input, output] = [self.graph.input(), self.graph.output()].map(|value| self.graph.shape(value));
        let sides = |own: &[usize]| own.iter().copied().filter(|side| *side != 1).collect::<Vec<_>>();
        if sides(input) != sides(shape) {
            return refuse(format!(
                "found a model that takes {input:?}, expected one for the data's images of {shape:?}"
            ));
        }
        if output.len() != 1 || output[0] < classes {
            return refuse(format!(
                "found a model that answers {output:?}, expected one for the data's {classes} classes"
            ));
        }
        Ok(())
    }

    /// What it computes.
    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// All parameters, in the graph's order.
    pub(crate) fn parameters(&self) -> Vec<state::Weights> {
        export::parameters(&self.graph, &self.weights)
    }

    /// What computes, and what is known about it.
    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// What a run keeps.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the content, whatever kind of file it stands in.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }
}
