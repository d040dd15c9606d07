//! The burn module of the reference models.
//!
//! All three are one shape, convolution blocks and then fully connected ones, so one module serves them; its fields are
//! the layers' names, since burn makes parameter paths such as `conv1.weight` of them.

use super::compute::{conv_block, linear_block, pool};
use crate::data::SIDE;
use crate::{Error, Lowering};
use burn::module::{Module, Param, ParamId};
use burn::nn::{Linear, PaddingConfig2d, conv::Conv2d};
use burn::tensor::{Device, Tensor, TensorData};
use secateur_pruner::Activations;
use secateur_sparse::{Layer, Network};

/// A reference model that can be trained.
#[derive(Module, Debug)]
pub struct Net {
    conv1: Option<Conv2d>,
    conv2: Option<Conv2d>,
    fc1: Option<Linear>,
    fc2: Option<Linear>,
    fc3: Option<Linear>,
    /// Whether convolutions are followed by relu.
    #[module(skip)]
    rectified: bool,
}

impl Net {
    /// The module with the network's weights. `device` decides where it computes and whether gradients are kept.
    ///
    /// # Errors
    /// When the network has a layer that no reference model has.
    pub fn raise(network: &Network, device: &Device) -> Result<Self, Error> {
        let rectified = matches!(network.layers(), [Layer::Conv2d(_), Layer::Relu, ..]);
        let mut net = Self { conv1: None, conv2: None, fc1: None, fc2: None, fc3: None, rectified };
        for layer in network.layers() {
            match layer {
                Layer::Conv2d(conv) => {
                    let place = match conv.name.as_str() {
                        "conv1" => &mut net.conv1,
                        "conv2" => &mut net.conv2,
                        _ => return Err(Error::ForeignLayer { name: conv.name.clone() }),
                    };
                    let shape = [conv.outputs, conv.inputs, conv.kernel, conv.kernel];
                    *place = Some(Conv2d {
                        weight: param(&conv.name, "weight", conv.weight.clone(), shape, device),
                        bias: Some(param(&conv.name, "bias", conv.bias.clone(), [conv.outputs], device)),
                        stride: [conv.stride; 2],
                        kernel_size: [conv.kernel; 2],
                        dilation: [1, 1],
                        groups: 1,
                        padding: PaddingConfig2d::Valid,
                    });
                }
                Layer::Linear(linear) => {
                    let place = match linear.name.as_str() {
                        "fc1" => &mut net.fc1,
                        "fc2" => &mut net.fc2,
                        "fc3" => &mut net.fc3,
                        _ => return Err(Error::ForeignLayer { name: linear.name.clone() }),
                    };
                    let (rows, columns) = (linear.outputs, linear.inputs);
                    let weight = transpose(&linear.weight, rows, columns);
                    *place = Some(Linear {
                        weight: param(&linear.name, "weight", weight, [columns, rows], device),
                        bias: Some(param(&linear.name, "bias", linear.bias.clone(), [rows], device)),
                    });
                }
                Layer::Relu | Layer::MaxPool2d { .. } | Layer::Flatten => {}
                Layer::Affine(_) | Layer::AvgPool2d { .. } | Layer::Crop { .. } => {
                    return Err(Error::ForeignLayer { name: layer.name().to_owned() });
                }
            }
        }
        Ok(net)
    }

    /// The network with the module's effective weights, masks folded in: the inverse of [`raise`](Self::raise).
    ///
    /// # Errors
    /// When a layer was changed to one that no plain network has.
    pub fn lower(&self) -> Result<Network, Error> {
        let mut own = Lowering::new([1, SIDE, SIDE]);
        for (name, layer) in [("conv1", &self.conv1), ("conv2", &self.conv2)] {
            let Some(layer) = layer else { continue };
            own = own.conv2d(name, layer)?;
            own = if self.rectified { own.relu() } else { own }.max_pool2d(&pool())?;
        }
        own = own.flatten();
        let layers = [("fc1", &self.fc1), ("fc2", &self.fc2), ("fc3", &self.fc3)];
        let mut layers = layers.into_iter().filter_map(|(name, layer)| Some((name, layer.as_ref()?))).peekable();
        while let Some((name, layer)) = layers.next() {
            own = own.linear(name, layer)?;
            own = if layers.peek().is_some() { own.relu() } else { own };
        }
        Ok(own.finish())
    }

    /// Adds what each layer is given for images `[batch, 1, 28, 28]` to `seen`.
    ///
    /// # Errors
    /// When an input is not finite.
    pub(crate) fn watch(&self, images: Tensor<4>, seen: &mut Activations) -> Result<(), Error> {
        let mut images = images;
        for (name, layer) in [("conv1", &self.conv1), ("conv2", &self.conv2)] {
            let Some(layer) = layer else { continue };
            seen.channels(&format!("{name}.weight"), &images)?;
            images = conv_block(layer, images, self.rectified);
        }
        let mut features = images.flatten(1, 3);
        for (name, layer) in [("fc1", &self.fc1), ("fc2", &self.fc2), ("fc3", &self.fc3)] {
            let Some(layer) = layer else { continue };
            seen.features(&format!("{name}.weight"), &features)?;
            // What comes after the last layer is nobody's input.
            features = linear_block(layer, features, true);
        }
        Ok(())
    }

    /// Logits `[batch, 10]` of images `[batch, 1, 28, 28]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let convolved = [&self.conv1, &self.conv2]
            .into_iter()
            .flatten()
            .fold(images, |images, layer| conv_block(layer, images, self.rectified));
        let mut features = convolved.flatten(1, 3);
        let mut layers = [&self.fc1, &self.fc2, &self.fc3].into_iter().flatten().peekable();
        while let Some(layer) = layers.next() {
            features = linear_block(layer, features, layers.peek().is_some());
        }
        features
    }
}

fn param<const D: usize>(
    layer: &str,
    field: &str,
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Param<Tensor<D>> {
    let value = Tensor::from_data(TensorData::new(values, shape), device);
    Param::initialized(id(layer, field), if device.is_autodiff() { value.require_grad() } else { value })
}

/// The parameter's id, a function of its name (64-bit FNV-1a): the same in every process.
fn id(layer: &str, field: &str) -> ParamId {
    let hash = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let name = layer.bytes().chain(*b".").chain(field.bytes());
    ParamId::from(name.fold(0xcbf2_9ce4_8422_2325, hash))
}

/// `[rows, columns]` to `[columns, rows]`, both row-major: PyTorch keeps linear weights `[out, in]`, burn `[in, out]`.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    assert_eq!(values.len(), rows * columns, "a matrix has as many values as its shape asks for");
    let mut turned = Vec::with_capacity(values.len());
    for column in 0..columns {
        turned.extend((0..rows).map(|row| values[row * columns + column]));
    }
    turned
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::export;
    use crate::models::ModelConfig;
    use crate::state::Weights;
    use secateur_pruner::{MaskSet, parameters};

    const MODELS: [ModelConfig; 3] =
        [ModelConfig::Lenet { width: 1 }, ModelConfig::Lenet300 {}, ModelConfig::Lenet5 {}];

    #[test]
    fn a_raised_network_has_its_parameters() {
        for model in MODELS {
            let network = model.initial(1);
            let net = Net::raise(&network, &Device::flex()).expect("a reference model");
            let found = parameters(&net).into_iter().map(|own| Weights::of(own, &MaskSet::default()));
            assert_eq!(found.collect::<Vec<_>>(), export::parameters(&network), "{model}");
            assert_eq!(net.num_params(), network.cost().parameters, "{model}");
        }
    }

    #[test]
    fn every_model_gives_ten_logits_an_image() {
        for model in MODELS {
            let net = Net::raise(&model.initial(1), &Device::flex()).expect("a reference model");
            assert_eq!(net.forward(Tensor::ones([3, 1, 28, 28], &Device::flex())).dims(), [3, 10], "{model}");
        }
    }

    #[test]
    fn a_hand_made_network_answers_as_computed_by_hand() {
        // fc1 copies pixel 0 and its negative, fc2 takes their difference after relu: |pixel| for logit 3.
        let mut network = ModelConfig::Lenet300 {}.network();
        let set = |layer: &mut Layer| {
            let Layer::Linear(linear) = layer else { return };
            match linear.name.as_str() {
                "fc1" => (linear.weight[0], linear.weight[784]) = (1.0, -1.0),
                "fc2" => (linear.weight[0], linear.weight[1]) = (1.0, 1.0),
                _ => (linear.weight[3 * 100], linear.bias[5]) = (2.0, 0.25),
            }
        };
        let mut layers = network.layers().to_vec();
        layers.iter_mut().for_each(set);
        network = Network::new(network.input(), layers).expect("only values changed");
        let net = Net::raise(&network, &Device::flex()).expect("a reference model");
        let images = Tensor::from_data(TensorData::new(vec![-0.5f32; 784], [1, 1, 28, 28]), &Device::flex());
        let logits: Vec<f32> = net.forward(images).into_data().iter::<f32>().collect();
        assert_eq!(logits, [0.0, 0.0, 0.0, 1.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0]);
    }
}
