//! A network as data: a list of layers whose shapes have been checked against each other.

use crate::layer::{LARGEST, Layer, Parameters, ParametersMut, check_size};

/// A sequential network.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    input: [usize; 3],
    layers: Vec<Layer>,
    /// Shape before each layer and after the last, as `[channels, height, width]`; flat features are `[n, 1, 1]`.
    shapes: Vec<[usize; 3]>,
}

/// Layers that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A layer's input has another shape than the layer before gives.
    #[error("layer {layer} (`{name}`) takes {wanted}, but gets [channels, height, width] = {found:?}")]
    Input {
        /// Place of the layer, from 0.
        layer: usize,
        /// Its name or kind.
        name: String,
        /// What it takes.
        wanted: String,
        /// What it gets.
        found: [usize; 3],
    },
    /// A layer that gives nothing, or an input that is nothing.
    #[error("{name} has the shape [channels, height, width] = {shape:?}, wanted at least 1 of each")]
    Empty {
        /// The layer's place and name, or the input.
        name: String,
        /// What it gives.
        shape: [usize; 3],
    },
    /// More values than the kernels count.
    #[error("{what} has the shape {shape:?}, expected at most {LARGEST} values")]
    Large {
        /// The tensor, or what a layer takes or gives.
        what: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A tensor of the wrong length.
    #[error("`{name}` has {found} values, its shape asks for {wanted}")]
    Values {
        /// Name of the tensor, such as `fc1.weight`.
        name: String,
        /// Values given.
        found: usize,
        /// Values that the shape asks for.
        wanted: usize,
    },
}

impl Network {
    /// Checks that the layers fit together, from an input of `[channels, height, width]`.
    ///
    /// # Errors
    /// When a layer cannot take what the one before gives, gives nothing, has weights of another length than its shape, or
    /// has, takes or gives more values than 32 bits count.
    pub fn new(input: [usize; 3], layers: Vec<Layer>) -> Result<Self, Error> {
        check_size("the input".into(), &input)?;
        check_not_empty(input, || "the input".into())?;
        let empty = Self { input, layers: Vec::with_capacity(layers.len()), shapes: vec![input] };
        layers.into_iter().try_fold(empty, Self::then)
    }

    /// The layers, input first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The network with one more layer.
    ///
    /// # Errors
    /// As those of [`Self::new`].
    pub fn then(mut self, layer: Layer) -> Result<Self, Error> {
        let place = self.layers.len();
        let shape = layer.output(place, self.shapes[place])?;
        check_not_empty(shape, || format!("layer {place} (`{}`)", layer.name()))?;
        self.shapes.push(shape);
        self.layers.push(layer);
        Ok(self)
    }

    /// The layers alone.
    pub(crate) fn into_layers(self) -> Vec<Layer> {
        self.layers
    }

    /// The same layers with other values: `fill` is called for each layer that has parameters, input first.
    ///
    /// # Errors
    /// What `fill` says, and when it changed a length.
    pub fn filled<E: From<Error>>(&self, mut fill: impl FnMut(ParametersMut<'_>) -> Result<(), E>) -> Result<Self, E> {
        let mut layers = self.layers.clone();
        layers.iter_mut().filter_map(Layer::parameters_mut).try_for_each(&mut fill)?;
        Ok(Self::new(self.input, layers)?)
    }

    /// The parameters of each layer that has some, input first.
    pub fn parameters(&self) -> impl Iterator<Item = Parameters<'_>> {
        self.layers.iter().filter_map(Layer::parameters)
    }

    /// Shape of the input, `[channels, height, width]`.
    pub fn input(&self) -> [usize; 3] {
        self.input
    }

    /// Shape before the layer at `place`, and of the output at `layers().len()`; flat features are `[n, 1, 1]`.
    ///
    /// # Panics
    /// When `place` is past the output.
    pub fn shape(&self, place: usize) -> [usize; 3] {
        self.shapes[place]
    }

    /// Numbers that it answers to an image.
    pub fn classes(&self) -> usize {
        self.shapes[self.layers.len()].iter().product()
    }
}

fn check_not_empty(shape: [usize; 3], name: impl FnOnce() -> String) -> Result<(), Error> {
    if shape.contains(&0) { Err(Error::Empty { name: name(), shape }) } else { Ok(()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Conv2d, Linear};

    pub(crate) fn conv(name: &str, [inputs, outputs, kernel]: [usize; 3], weight: Vec<f32>) -> Layer {
        let bias = vec![0.0; outputs];
        Layer::Conv2d(Conv2d { name: name.into(), inputs, outputs, kernel, stride: 1, padding: 0, weight, bias })
    }

    pub(crate) fn linear(name: &str, [inputs, outputs]: [usize; 2], weight: Vec<f32>) -> Layer {
        Layer::Linear(Linear { name: name.into(), inputs, outputs, weight, bias: vec![0.0; outputs] })
    }

    #[test]
    fn shapes_follow_kernels_strides_padding_and_floors() {
        let shape = |layer: Layer, input| layer.output(0, input).expect("fits");
        let filter = conv("c", [1, 2, 3], vec![1.0; 18]);
        assert_eq!(shape(filter.clone(), [1, 28, 28]), [2, 26, 26]);
        let Layer::Conv2d(plain) = filter else { panic!("a conv") };
        assert_eq!(shape(Layer::Conv2d(Conv2d { padding: 1, stride: 2, ..plain }), [1, 28, 28]), [2, 14, 14]);
        assert_eq!(shape(Layer::MaxPool2d { size: 2 }, [3, 11, 11]), [3, 5, 5]);
        assert_eq!(shape(Layer::Flatten, [3, 5, 5]), [75, 1, 1]);
    }

    #[test]
    fn a_network_grows_layer_by_layer() {
        let layers = [conv("c", [1, 2, 3], vec![1.0; 18]), Layer::Flatten, linear("f", [8, 3], vec![1.0; 24])];
        let empty = Network::new([1, 4, 4], vec![]).expect("nothing is at odds");
        let grown = layers.iter().cloned().try_fold(empty, Network::then).expect("fits");
        assert_eq!(grown, Network::new([1, 4, 4], layers.to_vec()).expect("fits"));
        let refused = grown.then(linear("g", [4, 1], vec![1.0; 4])).expect_err("does not fit").to_string();
        assert!(refused.starts_with("layer 3 (`g`) takes 4 flat features"), "{refused}");
        let flat = Network::new([3, 1, 1], vec![]).expect("nothing is at odds");
        let refused = flat.then(linear("g", [3, 0], vec![])).expect_err("it gives nothing").to_string();
        assert!(refused.starts_with("layer 0 (`g`) has the shape"), "{refused}");
    }

    #[test]
    fn layers_that_do_not_fit_are_named() {
        let error = |layers| Network::new([1, 4, 4], layers).expect_err("does not fit").to_string();
        assert!(error(vec![conv("conv1", [2, 1, 3], vec![0.0; 18])]).contains("(`conv1`) takes 2 channels"));
        assert!(error(vec![conv("conv1", [1, 1, 5], vec![0.0; 25])]).contains("[1, 4, 4]"));
        assert!(error(vec![linear("fc1", [16, 1], vec![0.0; 16])]).contains("16 flat features"));
        assert!(
            error(vec![Layer::Flatten, linear("fc1", [16, 0], vec![])]).starts_with("layer 1 (`fc1`) has the shape")
        );
        assert!(error(vec![conv("conv1", [1, 1, 0], vec![])]).contains("kernel"));
        assert!(error(vec![Layer::MaxPool2d { size: 0 }]).contains("pooling"));
        let short = error(vec![Layer::Flatten, linear("fc1", [16, 1], vec![0.0; 15])]);
        assert_eq!(short, "`fc1.weight` has 15 values, its shape asks for 16");
    }

    #[test]
    fn sizes_that_32_bits_cannot_count_are_refused() {
        let Layer::Conv2d(one) = conv("c", [1, 1, 1], vec![1.0]) else { panic!("a conv") };
        let error = |input, layer| Network::new(input, vec![layer]).expect_err("too large").to_string();
        // A stride as wide as the padding hides from what comes out how large the padded image is.
        for padding in [1 << 27, usize::MAX / 2, usize::MAX] {
            let said = error([1, 1, 1], Layer::Conv2d(Conv2d { padding, stride: 1 << 28, ..one.clone() }));
            assert!(said.starts_with("the padded input of layer 0 (`c`) has the shape [1, "), "{said}");
            assert!(said.ends_with("expected at most 4294967295 values"), "{said}");
        }
        let wide = Layer::Linear(Linear {
            name: "fc1".into(),
            inputs: 1 << 16,
            outputs: 1 << 16,
            weight: vec![],
            bias: vec![0.0; 1 << 16],
        });
        assert!(error([1 << 16, 1, 1], wide).starts_with("`fc1.weight` has the shape [65536, 65536]"));
        let overflowing = Layer::Conv2d(Conv2d { outputs: usize::MAX, kernel: 2, ..one.clone() });
        assert!(error([1, 2, 2], overflowing).starts_with("`c.weight`"));
        assert!(error([usize::MAX, 2, 1], Layer::Flatten).starts_with("the input has the shape"));
        let many =
            Layer::Conv2d(Conv2d { outputs: 1 << 16, weight: vec![0.0; 1 << 16], bias: vec![0.0; 1 << 16], ..one });
        assert!(error([1, 1 << 8, 1 << 9], many).starts_with("what layer 0 (`c`) gives"));
    }
}
