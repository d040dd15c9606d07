//! Lowers a burn module to a plain network: what it answers once training is over, with its masks folded in.
//!
//! burn says more than a plain network can, such as groups, dilation or padding on one side. What cannot be said is
//! refused by the layer's name.

use crate::Error;
use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{AvgPool2d, MaxPool2d};
use burn::nn::{BatchNorm, Linear, PaddingConfig2d};
use burn::tensor::Tensor;
use secateur_sparse::{Affine, Layer, Network};

/// The layers of a sequential burn module so far, in the order in which it calls them.
///
/// ```
/// # use burn::nn::{LinearConfig, conv::Conv2dConfig, pool::MaxPool2dConfig};
/// # let device = burn::tensor::Device::flex();
/// let conv = Conv2dConfig::new([1, 4], [3, 3]).init(&device);
/// let pool = MaxPool2dConfig::new([2, 2]).init();
/// let fc = LinearConfig::new(4 * 13 * 13, 10).init(&device);
/// let lowering = secateur_trainer::Lowering::new([1, 28, 28]);
/// let network = lowering.conv2d("conv", &conv)?.relu().max_pool2d(&pool)?.flatten().linear("fc", &fc)?.finish();
/// assert_eq!(network.shape(5), [10, 1, 1]);
/// # Ok::<(), secateur_trainer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lowering {
    network: Network,
}

impl Lowering {
    /// No layers yet; images are `[channels, height, width]`.
    pub fn new(input: [usize; 3]) -> Self {
        Self { network: Network::new(input, vec![]).expect("without layers nothing is at odds") }
    }

    /// A convolution, with its mask folded in.
    ///
    /// # Errors
    /// When it has groups, dilation, or a kernel, stride or padding that is not the same on all sides, or does not fit.
    pub fn conv2d(self, name: &str, conv: &Conv2d) -> Result<Self, Error> {
        let refuse = |found: String, wanted| Err(Error::Unsayable { name: name.to_owned(), found, wanted });
        let [outputs, inputs, ..] = conv.weight.val().dims();
        if conv.groups != 1 {
            return refuse(format!("{} groups", conv.groups), "1");
        }
        if conv.dilation != [1, 1] {
            return refuse(format!("a dilation of {:?}", conv.dilation), "[1, 1]");
        }
        let kernel = even("kernel", name, conv.kernel_size)?;
        let stride = even("stride", name, conv.stride)?;
        let padding = self.padding(name, &conv.padding, kernel, stride)?;
        let (weight, bias) = (values(&conv.weight), bias(conv.bias.as_ref(), outputs));
        let name = name.to_owned();
        let own = secateur_sparse::Conv2d { name, inputs, outputs, kernel, stride, padding, weight, bias };
        self.push(Layer::Conv2d(own))
    }

    /// A fully connected layer, with its mask folded in.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn linear(self, name: &str, linear: &Linear) -> Result<Self, Error> {
        let [inputs, outputs] = linear.weight.val().dims();
        let weight = transpose(&values(&linear.weight), inputs, outputs);
        let (name, bias) = (name.to_owned(), bias(linear.bias.as_ref(), outputs));
        self.push(Layer::Linear(secateur_sparse::Linear { name, inputs, outputs, weight, bias }))
    }

    /// Batch normalisation over channels or flat features, by its running statistics:
    /// `scale = gamma / sqrt(variance + epsilon)`, `shift = beta - mean * scale`.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn batch_norm(self, name: &str, norm: &BatchNorm) -> Result<Self, Error> {
        let running = |tensor: Tensor<1>| tensor.into_data().iter::<f64>().collect::<Vec<_>>();
        let (mean, variance) = (running(norm.running_mean.value()), running(norm.running_var.value()));
        let factor = |(gamma, variance): (f32, &f64)| f64::from(gamma) / (variance + norm.epsilon).sqrt();
        let scale: Vec<f64> = values(&norm.gamma).into_iter().zip(&variance).map(factor).collect();
        let each = values(&norm.beta).into_iter().zip(mean.iter().zip(&scale));
        let shift = each.map(|(beta, (mean, scale))| (f64::from(beta) - mean * scale) as f32).collect();
        let scale = scale.into_iter().map(|scale| scale as f32).collect();
        self.push(Layer::Affine(Affine { name: name.to_owned(), scale, shift }))
    }

    /// A max-pool.
    ///
    /// # Errors
    /// When its windows are not squares side by side, or it pads, dilates or counts part of a window, or does not fit.
    pub fn max_pool2d(self, pool: &MaxPool2d) -> Result<Self, Error> {
        if pool.dilation != [1, 1] {
            let found = format!("a dilation of {:?}", pool.dilation);
            return Err(Error::Unsayable { name: "max-pool".into(), found, wanted: "[1, 1]" });
        }
        let size = self.window("max-pool", pool.kernel_size, pool.stride, &pool.padding, pool.ceil_mode)?;
        self.push(Layer::MaxPool2d { size })
    }

    /// An average pooling.
    ///
    /// # Errors
    /// When its windows are not squares side by side, or it pads or counts part of a window, or does not fit.
    pub fn avg_pool2d(self, pool: &AvgPool2d) -> Result<Self, Error> {
        let size = self.window("average pooling", pool.kernel_size, pool.stride, &pool.padding, pool.ceil_mode)?;
        self.push(Layer::AvgPool2d { size })
    }

    /// `max(x, 0)`.
    pub fn relu(self) -> Self {
        self.push(Layer::Relu).expect("relu takes any shape")
    }

    /// `[channels, height, width]` to flat features.
    pub fn flatten(self) -> Self {
        self.push(Layer::Flatten).expect("flatten takes any shape")
    }

    /// The network.
    pub fn finish(self) -> Network {
        self.network
    }

    fn push(self, layer: Layer) -> Result<Self, Error> {
        Ok(Self { network: self.network.then(layer)? })
    }

    /// Rows and columns that the next layer gets.
    fn sides(&self) -> [usize; 2] {
        let [_, height, width] = self.network.shape(self.network.layers().len());
        [height, width]
    }

    /// Zeros on each side.
    fn padding(&self, name: &str, padding: &PaddingConfig2d, kernel: usize, stride: usize) -> Result<usize, Error> {
        // Top, left, bottom, right.
        let sides = match *padding {
            PaddingConfig2d::Valid => [0; 4],
            PaddingConfig2d::Explicit(top, left, bottom, right) => [top, left, bottom, right],
            PaddingConfig2d::Same => {
                // As many zeros as make ceil(side / stride) outputs; an odd one goes to the bottom and the right.
                let zeros = self.sides().map(|side| {
                    (side.div_ceil(stride.max(1)).saturating_sub(1) * stride + kernel).saturating_sub(side)
                });
                let [rows, columns] = zeros;
                [rows / 2, columns / 2, rows.div_ceil(2), columns.div_ceil(2)]
            }
        };
        if sides == [sides[0]; 4] {
            return Ok(sides[0]);
        }
        let found = format!("a padding of {sides:?} (top, left, bottom, right)");
        Err(Error::Unsayable { name: name.to_owned(), found, wanted: "the same on all sides" })
    }

    /// Side of a pooling window.
    fn window(
        &self,
        name: &str,
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: &PaddingConfig2d,
        ceil: bool,
    ) -> Result<usize, Error> {
        let refuse = |found: String, wanted| Err(Error::Unsayable { name: name.to_owned(), found, wanted });
        let size = even("window", name, kernel)?;
        if stride != kernel {
            return refuse(format!("windows of {kernel:?} at a stride of {stride:?}"), "windows side by side");
        }
        let padding = self.padding(name, padding, size, size)?;
        if padding != 0 {
            return refuse(format!("a padding of {padding}"), "0");
        }
        if ceil && self.sides().iter().any(|side| side % size.max(1) != 0) {
            return refuse("windows that are only partly filled".to_owned(), "whole ones");
        }
        Ok(size)
    }
}

/// The side of a square.
fn even(what: &str, name: &str, [height, width]: [usize; 2]) -> Result<usize, Error> {
    if height == width {
        return Ok(height);
    }
    let found = format!("a {what} of {:?}", [height, width]);
    Err(Error::Unsayable { name: name.to_owned(), found, wanted: "the same in both directions" })
}

/// `[rows, columns]` to `[columns, rows]`, both row-major: burn's layers keep linear weights `[in, out]`.
fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

/// The effective values, row-major.
fn values<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f32> {
    param.val().into_data().iter::<f32>().collect()
}

fn bias(bias: Option<&Param<Tensor<1>>>, outputs: usize) -> Vec<f32> {
    bias.map_or_else(|| vec![0.0; outputs], values)
}

#[cfg(all(test, feature = "flex"))]
#[path = "lower_tests.rs"]
mod tests;
