//! Weights before training, drawn on the host: the same on every device.

use crate::seed;
use secateur_sparse::{Error, Network};

/// PyTorch's default for `nn.Conv2d` and `nn.Linear`: weights and biases uniform in `±1 / sqrt(fan in)`
/// (`kaiming_uniform_` with `a = sqrt(5)`).
pub(super) fn uniform(network: &Network, seed: u64) -> Network {
    let mut place = 0;
    let drawn = network.filled(|layer| {
        let fan_in: usize = layer.shape[1..].iter().product();
        let bound = 1.0 / (fan_in as f32).sqrt();
        let mut numbers = seed::stream(seed, "init", place);
        for value in layer.weight.iter_mut().chain(layer.bias.iter_mut()) {
            *value = (2.0 * numbers.unit_f32() - 1.0) * bound;
        }
        place += 1;
        Ok::<(), Error>(())
    });
    drawn.expect("only values changed")
}

#[cfg(test)]
mod tests {
    use crate::models::ModelConfig;
    use secateur_sparse::Layer;

    #[test]
    fn weights_fill_the_range_of_their_fan_in() {
        let network = ModelConfig::Lenet { width: 1 }.initial(1);
        let Some(Layer::Linear(fc1)) = network.layers().get(7) else { panic!("fc1 stands after the flatten") };
        let bound = 1.0 / 400f32.sqrt();
        let (low, high) = fc1.weight.iter().fold((0f32, 0f32), |(low, high), &w| (low.min(w), high.max(w)));
        assert!(-bound <= low && low < -0.99 * bound && 0.99 * bound < high && high <= bound, "{low} {high}");
        let mean = fc1.weight.iter().sum::<f32>() / fc1.weight.len() as f32;
        let square = fc1.weight.iter().map(|w| w * w).sum::<f32>() / fc1.weight.len() as f32;
        assert!(mean.abs() < 0.01 * bound && (square / (bound * bound / 3.0) - 1.0).abs() < 0.02, "{mean} {square}");
        assert!(fc1.bias.iter().any(|b| *b != 0.0) && fc1.bias.iter().all(|b| b.abs() <= bound));
    }

    #[test]
    fn the_seed_names_the_weights() {
        let model = ModelConfig::Lenet { width: 1 };
        assert_eq!(model.initial(1), model.initial(1));
        assert_ne!(model.initial(1), model.initial(2));
    }
}
