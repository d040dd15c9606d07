//! Weights before training, drawn on the host: the same on every device.

use crate::seed;
use secateur_graph::{Graph, Role, Weights};

/// PyTorch's default for `nn.Conv2d` and `nn.Linear`: weights and biases uniform in `±1 / sqrt(fan in)`
/// (`kaiming_uniform_` with `a = sqrt(5)`); batch normalisation starts as the identity. Each layer has a stream of its own.
pub(crate) fn initial(graph: &Graph, seed: u64) -> Weights {
    let mut weights = Weights::neutral(graph);
    let mut layers = 0;
    let mut drawn = None;
    for own in graph.parameters() {
        let (numbers, bound) = match own.role {
            Role::Weight => {
                let fan_in: usize = own.shape[1..].iter().product();
                layers += 1;
                drawn.insert((seed::stream(seed, "init", layers - 1), 1.0 / (fan_in as f32).sqrt()))
            }
            // A layer's bias comes right behind its weight.
            Role::Bias => drawn.as_mut().expect("a bias has a weight before it"),
            // As in PyTorch a variance of 1.
            Role::Table => {
                layers += 1;
                drawn.insert((seed::stream(seed, "init", layers - 1), 3f32.sqrt()))
            }
            Role::Scale | Role::Shift | Role::Mean | Role::Variance => continue,
        };
        for value in weights.get_mut(&own.name).expect("neutral weights are all there") {
            *value = (2.0 * numbers.unit_f32() - 1.0) * *bound;
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use crate::models::{ModelConfig, testing};

    #[test]
    fn weights_fill_the_range_of_their_fan_in() {
        let (_, weights) = testing::model(ModelConfig::Lenet { width: 1 }, 1);
        let (weight, bias) = (weights.get("fc1.weight"), weights.get("fc1.bias"));
        let bound = 1.0 / 400f32.sqrt();
        let (low, high) = weight.iter().fold((0f32, 0f32), |(low, high), &w| (low.min(w), high.max(w)));
        assert!(-bound <= low && low < -0.99 * bound && 0.99 * bound < high && high <= bound, "{low} {high}");
        let mean = weight.iter().sum::<f32>() / weight.len() as f32;
        let square = weight.iter().map(|w| w * w).sum::<f32>() / weight.len() as f32;
        assert!(mean.abs() < 0.01 * bound && (square / (bound * bound / 3.0) - 1.0).abs() < 0.02, "{mean} {square}");
        assert!(bias.iter().any(|b| *b != 0.0) && bias.iter().all(|b| b.abs() <= bound));
    }

    #[test]
    fn the_seed_names_the_weights() {
        let model = ModelConfig::Lenet { width: 1 };
        let drawn = |seed| testing::model(model.clone(), seed);
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
