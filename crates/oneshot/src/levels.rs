//! What pruning each layer alone loses, level by level.

use crate::Error;
use crate::allocate::Level;
use crate::answers::Reference;
use crate::job::{Job, MEASURED, Progress, Tell};
use crate::layers::Layer;
use crate::reconstruct::Affine;
use secateur_graph::{Graph, Weights};

/// Fractions of a layer's weights that are kept.
const DENSITIES: [f64; 15] = [1.0, 0.75, 0.6, 0.5, 0.4, 0.3, 0.22, 0.16, 0.12, 0.08, 0.055, 0.035, 0.02, 0.01, 0.005];

impl Job<'_> {
    /// For each layer its levels, the dense one first, with what they lose: how far the network's answers go from those of the dense
    /// one when that layer alone is pruned, or, without images, the part of its squared weights that goes. Their costs are not known
    /// yet.
    ///
    /// # Errors
    /// When the engine cannot compute the network.
    pub(crate) fn levels(&self, tell: &mut Tell<'_>) -> Result<Vec<Vec<Level>>, Error> {
        let [images, _] = self.learned.split(MEASURED, self.pixels());
        let reference = match images.pixels.is_empty() {
            true => None,
            false => Some(Reference::new(self.graph, self.dense, images, &self.engine())?),
        };
        let mut found = vec![];
        for (place, layer) in self.layers.iter().enumerate() {
            tell(&Progress {
                stage: "measuring what each layer loses",
                done: place,
                of: self.layers.len(),
                what: &layer.weight,
            });
            let known = match self.options.reconstruct && reference.is_some() {
                true => self.known(layer, self.dense, None)?,
                false => None,
            };
            let mut weights = self.dense.clone();
            let mut own = vec![];
            for kept in self.counts(layer) {
                let affine = match &known {
                    Some(known) => known.pruned(layer.len() - kept, self.options.threads),
                    None => Affine { weight: self.largest(layer, kept)?, ..self.affine(layer) },
                };
                let loss = match &reference {
                    _ if own.is_empty() => 0.0,
                    Some(reference) => {
                        weights.insert(&layer.weight, affine.weight);
                        if let Some(name) = &layer.bias {
                            weights.insert(name, affine.bias);
                        }
                        reference.divergence(self.graph, &weights, &self.engine())?
                    }
                    None => gone(self.dense.get(&layer.weight), &affine.weight),
                };
                own.push(Level { kept, cost: 0.0, loss });
            }
            found.push(own);
        }
        Ok(found)
    }

    /// Weights of a layer that are not zero, or one.
    pub(crate) fn nonzero(&self, layer: &Layer) -> usize {
        self.dense.get(&layer.weight).iter().filter(|weight| **weight != 0.0).count().max(1)
    }

    /// How many weights of a layer the levels keep: all that are not zero, then fewer.
    fn counts(&self, layer: &Layer) -> Vec<usize> {
        let nonzero = self.nonzero(layer);
        let mut counts: Vec<usize> = DENSITIES
            .iter()
            .map(|density| ((density * layer.len() as f64).round() as usize).clamp(1, nonzero))
            .collect();
        counts.dedup();
        counts
    }

    /// A layer by itself, with so many weights kept: to be timed and stored.
    ///
    /// # Errors
    /// When it cannot be built.
    pub(crate) fn alone(&self, layer: &Layer, kept: usize) -> Result<(Graph, Weights), Error> {
        let node = &self.graph.nodes()[layer.node];
        let graph = Graph::sequential(self.graph.shape(node.inputs[0]), [(node.name.as_str(), node.op.clone())])?;
        let affine = Affine { weight: self.largest(layer, kept)?, ..self.affine(layer) };
        let bias = layer.bias.iter().map(|name| (name.clone(), affine.bias.clone()));
        let weights = [(layer.weight.clone(), affine.weight.clone())].into_iter().chain(bias).collect();
        Ok((graph, weights))
    }
}

/// The part of the squares of some weights that goes.
fn gone(dense: &[f32], pruned: &[f32]) -> f64 {
    let sum = |values: &[f32]| values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
    let whole = sum(dense);
    if whole > 0.0 { 1.0 - sum(pruned) / whole } else { 0.0 }
}
