//! What flows into each layer: the norms of inputs that Wanda weighs weights by.
//!
//! A module's layers call no one, so its author records the inputs in a forward pass of their own; see
//! [`Activations::features`].

use crate::{Error, Parameter, Saliency};
use burn::tensor::Tensor;
use std::collections::BTreeMap;

/// Sums of squares of the inputs of layers, one for each input feature or channel, by the path of the layer's weight.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Activations(BTreeMap<String, Record>);

#[derive(Clone, Debug, PartialEq)]
struct Record {
    layer: Layer,
    squares: Vec<f64>,
}

/// What reads the inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layer {
    Linear,
    Convolution,
    Transposed,
}

impl Activations {
    /// Nothing recorded yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the input of a linear layer, `[.., features]`, whose weight has this path. Call it for every batch.
    ///
    /// # Errors
    /// When an input is not finite, or has another number of features than before.
    pub fn features<const D: usize>(&mut self, weight: &str, input: &Tensor<D>) -> Result<(), Error> {
        self.add(weight, Layer::Linear, input.clone())
    }

    /// Adds the input of a convolution, or of another layer whose weight is `[out, in, ..]`, `[batch, channels, ..]`. The
    /// weight has this path. Call it for every batch.
    ///
    /// # Errors
    /// When an input is not finite, or has another number of channels than before.
    pub fn channels<const D: usize>(&mut self, weight: &str, input: &Tensor<D>) -> Result<(), Error> {
        self.add(weight, Layer::Convolution, input.clone().swap_dims(1, D - 1))
    }

    /// Adds the input of a transposed convolution, `[batch, channels, ..]`, whose weight has this path: that one has its
    /// inputs first. Call it for every batch.
    ///
    /// # Errors
    /// When an input is not finite, or has another number of channels than before.
    pub fn transposed_channels<const D: usize>(&mut self, weight: &str, input: &Tensor<D>) -> Result<(), Error> {
        self.add(weight, Layer::Transposed, input.clone().swap_dims(1, D - 1))
    }

    /// Adds an input whose last axis counts what is told apart.
    fn add<const D: usize>(&mut self, weight: &str, layer: Layer, input: Tensor<D>) -> Result<(), Error> {
        let inputs = input.shape().dims::<D>()[D - 1];
        let rows = input.detach().reshape([-1, inputs as i32]);
        let squares = (rows.clone() * rows).sum_dim(0).into_data();
        let squares: Vec<f64> = squares.iter::<f32>().map(f64::from).collect();
        if let Some(index) = squares.iter().position(|square| !square.is_finite()) {
            let value = squares[index] as f32;
            return Err(Error::NotFiniteScore { what: "input norm", name: weight.into(), index, value });
        }
        let record = self.0.entry(weight.to_owned()).or_insert_with(|| Record { layer, squares: vec![0.0; inputs] });
        if record.squares.len() != inputs || record.layer != layer {
            let of = |inputs: usize, layer: Layer| format!("{inputs} inputs of a layer that is {layer:?}");
            let (found, wanted) = (of(inputs, layer), of(record.squares.len(), record.layer) + ", as before");
            return Err(Error::State { name: weight.into(), found, wanted });
        }
        for (sum, square) in record.squares.iter_mut().zip(squares) {
            *sum += square;
        }
        Ok(())
    }

    /// Wanda: `|w|` times the norm of what it is multiplied by, over everything recorded
    /// (Sun et al., "A simple and effective pruning approach for large language models", 2023). A convolution's weights
    /// are given the norm of their input channel. Parameters without a record are left out.
    ///
    /// The paper lets weights compete within each output unit; the scores leave open who competes.
    ///
    /// # Errors
    /// When a record does not fit its weight: linear weights are `[in, out]`, those recorded as convolutions `[out, in / groups, ..]`,
    /// transposed ones `[in, out / groups, ..]`.
    pub fn wanda(&self, weights: &[Parameter]) -> Result<Saliency, Error> {
        let mut scores = Vec::new();
        for own in weights {
            let Some(Record { layer, squares }) = self.0.get(&own.name) else { continue };
            own.check_finite("weight")?;
            let input = input_of(own, *layer, squares.len())?;
            let score =
                |(index, weight): (usize, &f32)| (f64::from(weight.abs()) * squares[input(index)].sqrt()) as f32;
            let values = own.values.iter().enumerate().map(score).collect();
            scores.push(Parameter { name: own.name.clone(), shape: own.shape.clone(), values });
        }
        Saliency::new(scores)
    }
}

/// Which of `inputs` the weight at a flat index reads.
fn input_of(own: &Parameter, layer: Layer, inputs: usize) -> Result<impl Fn(usize) -> usize, Error> {
    let unfit = || Error::State {
        name: own.name.clone(),
        found: format!("shape {:?}", own.shape),
        wanted: format!("a weight that reads the {inputs} inputs recorded"),
    };
    // The weight at `index` reads `index / stride % size` of its group; a group is `outputs * per_output` long.
    let (stride, size, per_output, outputs) = match (layer, &own.shape[..]) {
        (Layer::Linear, &[size, outputs]) if size == inputs => (outputs, size, own.values.len(), 1),
        (Layer::Transposed, &[size, _, _, ..]) if size == inputs => {
            (own.shape[1..].iter().product(), size, own.values.len(), 1)
        }
        (Layer::Convolution, &[outputs, size, ..]) if size > 0 && inputs.is_multiple_of(size) => {
            let groups = inputs / size;
            if groups == 0 || !outputs.is_multiple_of(groups) {
                return Err(unfit());
            }
            let stride: usize = own.shape[2..].iter().product();
            (stride, size, size * stride, outputs / groups)
        }
        _ => return Err(unfit()),
    };
    let group = (outputs * per_output).max(1);
    Ok(move |index| index / group * size + index / stride % size)
}
