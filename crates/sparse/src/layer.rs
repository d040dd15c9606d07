//! The layers of a network as data, and what each makes of a shape.

use crate::network::Error;

/// Most weights of a layer, and most values before or after one, with the zeros around a padded image: the kernels count
/// them in 32 bits.
pub(crate) const LARGEST: usize = u32::MAX as usize;

/// One layer of a [`Network`](crate::Network).
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// A convolution with its bias.
    Conv2d(Conv2d),
    /// A fully connected layer with its bias.
    Linear(Linear),
    /// `scale x + shift`, channel by channel: what batch normalisation is once training is over.
    Affine(Affine),
    /// `max(x, 0)`.
    Relu,
    /// The maximum of each `size` x `size` window, windows side by side; what does not fill a window is not read.
    MaxPool2d {
        /// Side of the window, and the stride.
        size: usize,
    },
    /// The mean of each `size` x `size` window, windows side by side; what does not fill a window is not read.
    AvgPool2d {
        /// Side of the window, and the stride.
        size: usize,
    },
    /// The first rows and columns of each channel; what lies right of them and below is dropped.
    Crop {
        /// Rows kept.
        height: usize,
        /// Columns kept.
        width: usize,
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

/// A factor and an addend for each channel: `y = scale x + shift`.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// Name, such as `bn1`.
    pub name: String,
    /// `[channels]`.
    pub scale: Vec<f32>,
    /// `[channels]`.
    pub shift: Vec<f32>,
}

/// The weights and the bias of a convolution or a fully connected layer.
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

/// The weights and the bias of a convolution or a fully connected layer, to be filled.
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

    /// Its own name, or that of its kind.
    pub fn name(&self) -> &str {
        match self {
            Self::Conv2d(Conv2d { name, .. })
            | Self::Linear(Linear { name, .. })
            | Self::Affine(Affine { name, .. }) => name,
            Self::Relu => "relu",
            Self::MaxPool2d { .. } => "max-pool",
            Self::AvgPool2d { .. } => "average pooling",
            Self::Crop { .. } => "crop",
            Self::Flatten => "flatten",
        }
    }

    /// The weights and the bias; `None` for a layer that has none.
    pub fn parameters(&self) -> Option<Parameters<'_>> {
        match self {
            Self::Conv2d(Conv2d { name, weight, bias, .. }) | Self::Linear(Linear { name, weight, bias, .. }) => {
                Some(Parameters { name, shape: self.weight_shape(), weight, bias })
            }
            Self::Affine(_)
            | Self::Relu
            | Self::MaxPool2d { .. }
            | Self::AvgPool2d { .. }
            | Self::Crop { .. }
            | Self::Flatten => None,
        }
    }

    /// The weights and the bias, to be filled; `None` for a layer that has none.
    /// [`Network::new`](crate::Network::new) checks their lengths.
    pub fn parameters_mut(&mut self) -> Option<ParametersMut<'_>> {
        let shape = self.weight_shape();
        match self {
            Self::Conv2d(Conv2d { name, weight, bias, .. }) | Self::Linear(Linear { name, weight, bias, .. }) => {
                Some(ParametersMut { name, shape, weight, bias })
            }
            Self::Affine(_)
            | Self::Relu
            | Self::MaxPool2d { .. }
            | Self::AvgPool2d { .. }
            | Self::Crop { .. }
            | Self::Flatten => None,
        }
    }

    fn weight_shape(&self) -> Vec<usize> {
        match self {
            Self::Conv2d(conv) => vec![conv.outputs, conv.inputs, conv.kernel, conv.kernel],
            Self::Linear(linear) => vec![linear.outputs, linear.inputs],
            Self::Affine(_)
            | Self::Relu
            | Self::MaxPool2d { .. }
            | Self::AvgPool2d { .. }
            | Self::Crop { .. }
            | Self::Flatten => vec![],
        }
    }

    /// The shape that this layer makes of `input`.
    pub(crate) fn output(&self, place: usize, input: [usize; 3]) -> Result<[usize; 3], Error> {
        let [channels, height, width] = input;
        let refuse =
            |name: &str, wanted: String| Error::Input { layer: place, name: name.into(), wanted, found: input };
        match self {
            Self::Conv2d(conv) => {
                let values = check_size(format!("`{}.weight`", conv.name), &self.weight_shape())?;
                check_values(&conv.name, ["weight", "bias"], [&conv.weight, &conv.bias], [values, conv.outputs])?;
                let [_, rows, columns] = conv.padded(input);
                check_size(format!("the padded input of layer {place} (`{}`)", conv.name), &[channels, rows, columns])?;
                let side =
                    |padded: usize| padded.checked_sub(conv.kernel).map(|length| length / conv.stride.max(1) + 1);
                match (side(rows), side(columns)) {
                    (Some(rows), Some(columns)) if channels == conv.inputs && conv.stride > 0 && conv.kernel > 0 => {
                        let output = [conv.outputs, rows, columns];
                        check_size(format!("what layer {place} (`{}`) gives", conv.name), &output)?;
                        Ok(output)
                    }
                    _ => {
                        let wanted = format!(
                            "{} channels of at least {} pixels a side at stride 1 or more, under a kernel of 1 or more",
                            conv.inputs,
                            conv.kernel.saturating_sub(conv.padding.saturating_mul(2))
                        );
                        Err(refuse(&conv.name, wanted))
                    }
                }
            }
            Self::Linear(linear) => {
                let values = check_size(format!("`{}.weight`", linear.name), &self.weight_shape())?;
                let wanted = [values, linear.outputs];
                check_values(&linear.name, ["weight", "bias"], [&linear.weight, &linear.bias], wanted)?;
                if input == [linear.inputs, 1, 1] {
                    Ok([linear.outputs, 1, 1])
                } else {
                    Err(refuse(&linear.name, format!("{} flat features", linear.inputs)))
                }
            }
            Self::Affine(affine) => {
                check_values(
                    &affine.name,
                    ["scale", "shift"],
                    [&affine.scale, &affine.shift],
                    [affine.scale.len(); 2],
                )?;
                if affine.scale.len() == channels {
                    Ok(input)
                } else {
                    Err(refuse(&affine.name, format!("{} channels", affine.scale.len())))
                }
            }
            Self::Relu => Ok(input),
            Self::Crop { height: rows, width: columns } => {
                if (1..=height).contains(rows) && (1..=width).contains(columns) {
                    Ok([channels, *rows, *columns])
                } else {
                    Err(refuse("crop", format!("at least {rows} rows and {columns} columns, neither of them 0")))
                }
            }
            Self::MaxPool2d { size } | Self::AvgPool2d { size } => {
                match (height.checked_div(*size), width.checked_div(*size)) {
                    (Some(rows), Some(columns)) if rows > 0 && columns > 0 => Ok([channels, rows, columns]),
                    _ => Err(refuse("pooling", format!("at least {size} pixels a side, and a window of 1 or more"))),
                }
            }
            Self::Flatten => Ok([channels * height * width, 1, 1]),
        }
    }
}

impl Conv2d {
    /// The input with the zeros around it, `[channels, height, width]`; a side that no `usize` holds is the largest one.
    pub fn padded(&self, input: [usize; 3]) -> [usize; 3] {
        let side = |length: usize| length.saturating_add(self.padding.saturating_mul(2));
        [input[0], side(input[1]), side(input[2])]
    }
}

/// The product of a shape's sides.
pub(crate) fn check_size(what: String, shape: &[usize]) -> Result<usize, Error> {
    let values = shape.iter().try_fold(1usize, |product, side| product.checked_mul(*side));
    values.filter(|values| *values <= LARGEST).ok_or(Error::Large { what, shape: shape.to_vec() })
}

fn check_values(name: &str, fields: [&str; 2], found: [&[f32]; 2], wanted: [usize; 2]) -> Result<(), Error> {
    for place in 0..2 {
        let (found, wanted) = (found[place].len(), wanted[place]);
        if found != wanted {
            return Err(Error::Values { name: format!("{name}.{}", fields[place]), found, wanted });
        }
    }
    Ok(())
}
