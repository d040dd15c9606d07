//! What a network answers on the test split, in the inference engine.

use crate::Error;
use crate::data::Split;
use crate::inference::answer;
use secateur_report::views::{Answers, Confusion, Mistake, Picture};
use secateur_sparse::infer::{Engine, Options};
use secateur_sparse::{InstructionSet, Trained};

/// Images a call.
const BATCH: usize = 512;
/// Wrong answers that are shown, at most.
const MISTAKES: usize = 12;
/// Two logits that differ by less, of the larger one or of 1, are called close: sums of f32 in another order differ by less.
const CLOSE: f32 = 1e-5;

/// All answers of a network whose classes have these names, or none.
///
/// # Errors
/// When the engine has no room for the network.
pub(super) fn answers(network: &Trained, split: &Split, names: &[String]) -> Result<Answers, Error> {
    Ok(Answers { names: names.to_vec(), ..answers_of(engine(network, InstructionSet::best())?, split) })
}

fn answers_of(mut engine: Engine, split: &Split) -> Answers {
    let classes = engine.classes();
    let (mut confusion, mut close, mut mistakes) = (Confusion::new(classes), 0, vec![]);
    let order: Vec<u32> = (0..split.len() as u32).collect();
    for indices in order.chunks(BATCH) {
        let batch = split.gather(indices);
        let logits = engine.logits(&batch.pixels);
        for ((index, label), logits) in indices.iter().zip(&batch.labels).zip(logits.chunks_exact(classes)) {
            let (truth, given) = (usize::from(*label), answer(logits));
            confusion.add(truth, given);
            close += u64::from(is_close(logits, given));
            if truth != given {
                mistakes.push((*index as usize, truth, given, confidence(logits, given)));
            }
        }
    }
    // A network that left the numbers is sure of nothing.
    mistakes.retain(|(.., confidence)| confidence.is_finite());
    mistakes.sort_by(|a, b| b.3.total_cmp(&a.3).then(a.0.cmp(&b.0)));
    let shown = mistakes.into_iter().take(MISTAKES);
    let shown = shown.filter_map(|(image, truth, given, confidence)| {
        let picture = picture(split, image)?;
        Some(Mistake { image: image as u64, truth, given, confidence, picture })
    });
    Answers { confusion, names: vec![], close, mistakes: shown.collect() }
}

/// Forms chosen by what is left of each layer, not by a clock: the same model gives the same page.
fn engine(network: &Trained, instruction_set: InstructionSet) -> Result<Engine, Error> {
    let options = Options { instruction_set, ..Options::new(BATCH) };
    Ok(Engine::of(network, &options)?)
}

/// An image: three channels as red, green and blue, of others their mean as greys.
fn picture(split: &Split, image: usize) -> Option<Picture> {
    let [channels, rows, columns] = split.shape();
    let (bytes, area) = (split.picture(image), rows * columns);
    let sum = |pixel: usize| -> usize { (0..channels).map(|channel| usize::from(bytes[channel * area + pixel])).sum() };
    let pixel = |pixel: usize| match channels {
        3 => [0, area, 2 * area].map(|first| bytes[first + pixel]),
        _ => [(sum(pixel) / channels) as u8; 3],
    };
    Picture::new(columns as u32, (0..area).map(|own| Some(pixel(own))).collect())
}

/// The softmax of a class, in f64.
fn confidence(logits: &[f32], class: usize) -> f64 {
    let top = f64::from(logits[class]);
    1.0 / logits.iter().map(|logit| (f64::from(*logit) - top).exp()).sum::<f64>()
}

/// Whether another class is so close to the one given that rounding may decide.
fn is_close(logits: &[f32], given: usize) -> bool {
    let top = logits[given];
    let mut others = logits.iter().enumerate().filter(|(class, _)| *class != given);
    others.any(|(_, other)| (top - other).abs() <= CLOSE * top.abs().max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DataConfig, Source};
    use crate::data;
    use crate::models::{ModelConfig, testing};

    fn split(test: usize) -> Split {
        let config = DataConfig { source: Source::Synthetic, synthetic_test: test, ..DataConfig::default() };
        data::load(&config, 3).expect("drawn").test_split().clone()
    }

    #[test]
    fn every_image_is_counted_and_the_surest_mistakes_come_first() {
        // More images than a call takes, and no whole number of calls or blocks.
        let split = split(BATCH + 77);
        for model in [ModelConfig::Lenet { width: 1 }, ModelConfig::Lenet300 {}, ModelConfig::Lenet5 {}] {
            let network = testing::network(&model, 5);
            // The reference implementation, image by image.
            let right = |index: usize| {
                let pixels = split.gather(&[index as u32]).pixels;
                answer(&network.forward(&pixels)) == usize::from(split.label(index))
            };
            let right = (0..split.len()).filter(|index| right(*index)).count() as u64;
            let own = answers(&network, &split, &[]).expect("it fits");
            assert_eq!(own, answers(&network, &split, &[]).expect("it fits"), "no clock takes part");
            for set in InstructionSet::available() {
                let own = answers_of(engine(&network, set).expect("it fits"), &split);
                assert_eq!(own.confusion.total(), split.len() as u64);
                for class in 0..10 {
                    let of_class = (0..split.len()).filter(|index| usize::from(split.label(*index)) == class).count();
                    assert_eq!(own.confusion.of_class(class), of_class as u64, "{model}");
                }
                assert!(right.abs_diff(own.confusion.correct()) <= own.close, "{model}: {right}");
                assert_eq!(own.mistakes.len(), MISTAKES, "an untrained network is wrong often");
                assert!(own.mistakes.windows(2).all(|pair| pair[0].confidence >= pair[1].confidence), "{model}");
                for mistake in &own.mistakes {
                    let pixels = split.gather(&[mistake.image as u32]).pixels;
                    let logits = network.forward(&pixels);
                    assert_eq!(
                        (answer(&logits), usize::from(split.label(mistake.image as usize))),
                        (mistake.given, mistake.truth)
                    );
                    assert!((confidence(&logits, mistake.given) - mistake.confidence).abs() < 1e-4, "{model}");
                    assert!(mistake.confidence > 0.1, "the largest of ten shares");
                    let byte = split.picture(mistake.image as usize)[5];
                    assert_eq!(mistake.picture.pixels()[5], Some([byte; 3]));
                }
            }
        }
    }

    #[test]
    fn confidence_is_softmax_and_close_is_a_matter_of_size() {
        assert!((confidence(&[0.0, 2f32.ln()], 1) - 2.0 / 3.0).abs() < 1e-7);
        assert!(confidence(&[f32::NAN, 1.0], 1).is_nan());
        for (logits, close) in [
            ([1.0, 0.999_999, -3.0], true),
            ([1.0, 0.9999, -3.0], false),
            ([1000.0, 999.995, 0.0], true),
            ([0.0, 0.0, 0.0], true),
            ([f32::NAN, 0.0, 0.0], false),
        ] {
            assert_eq!(is_close(&logits, answer(&logits)), close, "{logits:?}");
        }
    }

    #[test]
    fn a_network_that_left_the_numbers_is_counted_and_sure_of_nothing() {
        let split = split(20);
        let mut network = testing::network(ModelConfig::Lenet { width: 1 }, 5);
        for layer in ["conv1", "conv2", "fc1", "fc2", "fc3"] {
            network.weights.get_mut(&format!("{layer}.bias")).expect("it has one").fill(f32::NAN);
        }
        let own = answers(&network, &split, &[]).expect("it fits");
        assert_eq!((own.confusion.total(), own.mistakes.len()), (20, 0));
    }
}
