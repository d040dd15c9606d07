//! What is important, from more than the weights: a score for every element of a parameter, and the criteria that make
//! them. Pure: numbers in, numbers out; where the numbers come from is the business of [`Gradients`], `Activations` and
//! their like.

use crate::{Error, Gradients, Mask, MaskSet, Parameter, Selection};

/// Scores by parameter, shaped like it; the higher, the longer the weight lives. All are finite, they may be negative.
#[derive(Clone, Debug, PartialEq)]
pub struct Saliency(Vec<Parameter>);

impl Saliency {
    /// Scores of one's own, by the names and shapes of parameters.
    ///
    /// # Errors
    /// When a score is not finite, or a shape is not filled.
    pub fn new(scores: Vec<Parameter>) -> Result<Self, Error> {
        let mut own = Self(scores);
        for layer in &mut own.0 {
            let wanted = layer.shape.clone();
            layer.check_shape(&wanted)?;
            layer.check_finite("score")?;
            // Of the two zeros only the positive one is kept: they have to tie.
            layer.values.iter_mut().for_each(|score| *score += 0.0);
        }
        Ok(own)
    }

    /// What `score` says of each parameter: one number for each of its values.
    ///
    /// # Errors
    /// When a score is not finite, or there are not as many as values.
    pub fn of(weights: &[Parameter], mut score: impl FnMut(&Parameter) -> Vec<f32>) -> Result<Self, Error> {
        let scores = weights.iter().map(|own| Parameter {
            name: own.name.clone(),
            shape: own.shape.clone(),
            values: score(own),
        });
        Self::new(scores.collect())
    }

    /// `|w g|`, what the loss changes to first order when a weight goes; on a fresh network this is SNIP
    /// (Lee et al., "SNIP: Single-shot network pruning based on connection sensitivity", 2019). The order is SNIP's own:
    /// its division by the sum changes none.
    ///
    /// # Errors
    /// When a gradient has another shape than its weight, or a product is not finite.
    pub fn gradient(weights: &[Parameter], gradients: &Gradients) -> Result<Self, Error> {
        Self::products(weights, gradients, |product| product.abs())
    }

    /// `(w g)^2` (Molchanov et al., "Importance estimation for neural network pruning", 2019). Of one batch its order over
    /// single weights is that of [`Saliency::gradient`]; summed over batches, or over the weights of a group, it is not.
    ///
    /// # Errors
    /// When a gradient has another shape than its weight, or a product is not finite.
    pub fn taylor(weights: &[Parameter], gradients: &Gradients) -> Result<Self, Error> {
        Self::products(weights, gradients, |product| product * product)
    }

    /// A function of `w g`, for the weights that have a gradient.
    pub(crate) fn products(
        weights: &[Parameter],
        gradients: &Gradients,
        score: impl Fn(f32) -> f32,
    ) -> Result<Self, Error> {
        let mut scores = Vec::new();
        for own in weights {
            let Some(gradient) = gradients.get(&own.name) else { continue };
            gradient.check_shape(&own.shape)?;
            own.check_finite("weight")?;
            let values = own.values.iter().zip(&gradient.values).map(|(weight, gradient)| score(weight * gradient));
            scores.push(Parameter { name: own.name.clone(), shape: own.shape.clone(), values: values.collect() });
        }
        Self::new(scores)
    }

    /// Adds the scores of another batch.
    ///
    /// # Errors
    /// When the two are not of the same parameters, or a sum is not finite.
    pub fn add(&mut self, other: &Self) -> Result<(), Error> {
        super::gradients::add(&mut self.0, &other.0, "score")
    }

    /// The same with the scores of `other` for the parameters that the selection chooses: a criterion of their own. Layers
    /// whose scores mean different things should not compete with each other.
    ///
    /// # Errors
    /// When a pattern chooses nothing, or `other` has no score of a chosen parameter.
    pub fn replaced_by(mut self, other: &Self, selection: &Selection) -> Result<Self, Error> {
        let names: Vec<String> = self.0.iter().map(|own| own.name.clone()).collect();
        for name in selection.choose(&names.iter().map(String::as_str).collect::<Vec<_>>())? {
            let known = || other.0.iter().map(|own| own.name.clone()).collect();
            let own =
                other.get(name).ok_or_else(|| Error::Missing { what: "score", name: name.into(), known: known() })?;
            self.0.iter_mut().filter(|old| old.name == name).for_each(|old| *old = own.clone());
        }
        Ok(self)
    }

    /// The same without signs, such as for groups, whose scores are added.
    pub fn magnitudes(mut self) -> Self {
        self.0.iter_mut().flat_map(|layer| &mut layer.values).for_each(|score| *score = score.abs());
        self
    }

    /// LAMP: layers are made comparable, so that a global selection takes from each what it can give
    /// (Lee et al., "Layer-adaptive sparsity for the magnitude-based pruning", 2021). See [`lamp`].
    ///
    /// # Errors
    /// When there is no score of a masked parameter, or it has another shape.
    pub fn lamp(&self, masks: &MaskSet) -> Result<Self, Error> {
        let scores = masks.iter().map(|(name, mask)| {
            let kept = mask.gather(&self.layer(name, mask)?.values);
            Ok(Parameter { name: name.into(), shape: mask.shape().to_vec(), values: mask.scatter(&lamp(&kept)) })
        });
        Self::new(scores.collect::<Result<_, Error>>()?)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.0.iter()
    }

    /// The scores of the parameter at this path.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.0.iter().find(|own| own.name == name)
    }

    /// What a selection takes: for each of the masks, in their order, the scores of the weights that it keeps, not negative.
    ///
    /// Scores without a sign are given as they are. If any kept one is negative, all are replaced by numbers in the same
    /// order (see [`ordered`]): only the order of such scores means anything.
    ///
    /// # Errors
    /// When there is no score of a masked parameter, or it has another shape.
    pub fn kept(&self, masks: &MaskSet) -> Result<Vec<Vec<f32>>, Error> {
        let mut layers = Vec::new();
        for (name, mask) in masks.iter() {
            layers.push(mask.gather(&self.layer(name, mask)?.values));
        }
        if layers.iter().flatten().any(|score| *score < 0.0) {
            layers.iter_mut().flatten().for_each(|score| *score = ordered(*score));
        }
        Ok(layers)
    }

    /// The first negative score that the masks keep, by parameter and flat index.
    pub(crate) fn negative(&self, masks: &MaskSet) -> Option<(&str, usize, f32)> {
        masks.iter().find_map(|(name, mask)| {
            let own = self.get(name).filter(|own| own.values.len() == mask.total())?;
            let index = mask.indices().find(|index| own.values[*index] < 0.0)?;
            Some((own.name.as_str(), index, own.values[index]))
        })
    }

    fn layer(&self, name: &str, mask: &Mask) -> Result<&Parameter, Error> {
        let known = || self.0.iter().map(|own| own.name.clone()).collect();
        let own = self.get(name).ok_or_else(|| Error::Missing { what: "score", name: name.into(), known: known() })?;
        own.check_shape(mask.shape())?;
        Ok(own)
    }
}

/// The LAMP score of each of a layer's magnitudes: its square over the sum of the squares that are at least as large. Among
/// equal magnitudes the first one is the largest, as it is for a selection.
pub fn lamp(kept: &[f32]) -> Vec<f32> {
    crate::lamp::shares(kept)
}

/// Maps all finite numbers onto those that are not negative, in their order. The range is just wide enough for half of
/// them, so two neighbours may become one; `-0.0` counts as `0.0`.
pub fn ordered(value: f32) -> f32 {
    assert!(value.is_finite(), "only finite numbers have a place in an order");
    let bits = (value + 0.0).to_bits();
    let rising = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    f32::from_bits((rising - (!f32::MIN.to_bits())) >> 1)
}

#[cfg(test)]
#[path = "saliency_tests.rs"]
mod tests;
