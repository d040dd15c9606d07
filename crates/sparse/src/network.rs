//! A network as data: a list of layers whose shapes have been checked against each other.

/// A sequential network.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    input: [usize; 3],
    layers: Vec<Layer>,
    /// Shape before each layer and after the last, as `[channels, height, width]`; flat features are `[n, 1, 1]`.
    shapes: Vec<[usize; 3]>,
}

/// One layer of a [`Network`].
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// A convolution with its bias.
    Conv2d(Conv2d),
    /// A fully connected layer with its bias.
    Linear(Linear),
    /// `max(x, 0)`.
    Relu,
    /// The maximum of each `size` x `size` window, windows side by side; what does not fill a window is not read.
    MaxPool2d {
        /// Side of the window, and the stride.
        size: usize,
    },
    /// `[channels, height, width]` to `[channels * height * width]`, row-major.
    Flatten,
}

/// A two-dimensional convolution (cross-correlation), no groups, no dilation.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// Name, such as `conv1`.
    pub name: String,
    /// Input channels.
    pub inputs: usize,
    /// Filters.
    pub outputs: usize,
    /// Side of the square kernel.
    pub kernel: usize,
    /// Step between positions.
    pub stride: usize,
    /// Zeros added on each side.
    pub padding: usize,
    /// `[outputs, inputs, kernel, kernel]`, row-major.
    pub weight: Vec<f32>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
}

/// A fully connected layer: `y = weight x + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Name, such as `fc1`.
    pub name: String,
    /// Input features.
    pub inputs: usize,
    /// Neurons.
    pub outputs: usize,
    /// `[outputs, inputs]`, row-major.
    pub weight: Vec<f32>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
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
    /// When a layer cannot take what the one before gives, or has weights of another length than its shape.
    pub fn new(input: [usize; 3], layers: Vec<Layer>) -> Result<Self, Error> {
        let mut shapes = vec![input];
        for (place, layer) in layers.iter().enumerate() {
            shapes.push(layer.output(place, shapes[place])?);
        }
        Ok(Self { input, layers, shapes })
    }

    /// The layers, input first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
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
}

/// The parameters of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters<'a> {
    /// Name of the layer.
    pub name: &'a str,
    /// Shape of the weight: `[outputs, inputs, kernel, kernel]` or `[outputs, inputs]`.
    pub shape: Vec<usize>,
    /// The weight, row-major.
    pub weight: &'a [f32],
    /// The bias, `[outputs]`.
    pub bias: &'a [f32],
}

/// The parameters of a layer, to be filled.
#[derive(Debug)]
pub struct ParametersMut<'a> {
    /// Name of the layer.
    pub name: &'a str,
    /// Shape of the weight: `[outputs, inputs, kernel, kernel]` or `[outputs, inputs]`.
    pub shape: Vec<usize>,
    /// The weight, row-major.
    pub weight: &'a mut Vec<f32>,
    /// The bias, `[outputs]`.
    pub bias: &'a mut Vec<f32>,
}

impl Layer {
    /// A convolution with stride 1, no padding, and all weights zero.
    pub fn conv(name: &str, inputs: usize, outputs: usize, kernel: usize) -> Self {
        let (weight, bias) = (vec![0.0; outputs * inputs * kernel * kernel], vec![0.0; outputs]);
        Self::Conv2d(Conv2d { name: name.into(), inputs, outputs, kernel, stride: 1, padding: 0, weight, bias })
    }

    /// A fully connected layer with all weights zero.
    pub fn linear(name: &str, inputs: usize, outputs: usize) -> Self {
        let (weight, bias) = (vec![0.0; outputs * inputs], vec![0.0; outputs]);
        Self::Linear(Linear { name: name.into(), inputs, outputs, weight, bias })
    }

    /// The layer's parameters; `None` for a layer that has none.
    pub fn parameters(&self) -> Option<Parameters<'_>> {
        match self {
            Self::Conv2d(Conv2d { name, weight, bias, .. }) | Self::Linear(Linear { name, weight, bias, .. }) => {
                Some(Parameters { name, shape: self.weight_shape(), weight, bias })
            }
            Self::Relu | Self::MaxPool2d { .. } | Self::Flatten => None,
        }
    }

    /// The layer's parameters, to be filled; `None` for a layer that has none. [`Network::new`] checks their lengths.
    pub fn parameters_mut(&mut self) -> Option<ParametersMut<'_>> {
        let shape = self.weight_shape();
        match self {
            Self::Conv2d(Conv2d { name, weight, bias, .. }) | Self::Linear(Linear { name, weight, bias, .. }) => {
                Some(ParametersMut { name, shape, weight, bias })
            }
            Self::Relu | Self::MaxPool2d { .. } | Self::Flatten => None,
        }
    }

    fn weight_shape(&self) -> Vec<usize> {
        match self {
            Self::Conv2d(conv) => vec![conv.outputs, conv.inputs, conv.kernel, conv.kernel],
            Self::Linear(linear) => vec![linear.outputs, linear.inputs],
            Self::Relu | Self::MaxPool2d { .. } | Self::Flatten => vec![],
        }
    }

    /// The shape that this layer makes of `input`.
    fn output(&self, place: usize, input: [usize; 3]) -> Result<[usize; 3], Error> {
        let [channels, height, width] = input;
        let refuse =
            |name: &str, wanted: String| Error::Input { layer: place, name: name.into(), wanted, found: input };
        match self {
            Self::Conv2d(conv) => {
                let (values, biases) = (conv.outputs * conv.inputs * conv.kernel * conv.kernel, conv.outputs);
                check_values(&conv.name, &conv.weight, values, &conv.bias, biases)?;
                let side = |length: usize| {
                    (length + 2 * conv.padding).checked_sub(conv.kernel).map(|room| room / conv.stride.max(1) + 1)
                };
                match (side(height), side(width)) {
                    (Some(rows), Some(columns)) if channels == conv.inputs && conv.stride > 0 => {
                        Ok([conv.outputs, rows, columns])
                    }
                    _ => {
                        let wanted = format!(
                            "{} channels of at least {} pixels a side at stride 1 or more",
                            conv.inputs,
                            conv.kernel.saturating_sub(2 * conv.padding)
                        );
                        Err(refuse(&conv.name, wanted))
                    }
                }
            }
            Self::Linear(linear) => {
                check_values(
                    &linear.name,
                    &linear.weight,
                    linear.outputs * linear.inputs,
                    &linear.bias,
                    linear.outputs,
                )?;
                if input == [linear.inputs, 1, 1] {
                    Ok([linear.outputs, 1, 1])
                } else {
                    Err(refuse(&linear.name, format!("{} flat features", linear.inputs)))
                }
            }
            Self::Relu => Ok(input),
            Self::MaxPool2d { size } => match (height.checked_div(*size), width.checked_div(*size)) {
                (Some(rows), Some(columns)) if rows > 0 && columns > 0 => Ok([channels, rows, columns]),
                _ => Err(refuse("max-pool", format!("at least {size} pixels a side, and a window of 1 or more"))),
            },
            Self::Flatten => Ok([channels * height * width, 1, 1]),
        }
    }
}

fn check_values(name: &str, weight: &[f32], weights: usize, bias: &[f32], biases: usize) -> Result<(), Error> {
    for (field, found, wanted) in [("weight", weight.len(), weights), ("bias", bias.len(), biases)] {
        if found != wanted {
            return Err(Error::Values { name: format!("{name}.{field}"), found, wanted });
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

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
    fn layers_that_do_not_fit_are_named() {
        let error = |layers| Network::new([1, 4, 4], layers).expect_err("does not fit").to_string();
        assert!(error(vec![conv("conv1", [2, 1, 3], vec![0.0; 18])]).contains("(`conv1`) takes 2 channels"));
        assert!(error(vec![conv("conv1", [1, 1, 5], vec![0.0; 25])]).contains("[1, 4, 4]"));
        assert!(error(vec![linear("fc1", [16, 1], vec![0.0; 16])]).contains("16 flat features"));
        assert!(error(vec![Layer::MaxPool2d { size: 0 }]).contains("max-pool"));
        let short = error(vec![Layer::Flatten, linear("fc1", [16, 1], vec![0.0; 15])]);
        assert_eq!(short, "`fc1.weight` has 15 values, its shape asks for 16");
    }
}
