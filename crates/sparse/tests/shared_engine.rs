//! One compiled network and many callers: copies of an engine share its weights, and answer at the same time as it does.

mod graphs;
mod networks;

use graphs::{graph, images, weights};
use networks::{lenet, pruned};
use secateur_sparse::infer::{Engine, Error, Options, Predictor, Threads};
use secateur_sparse::{InstructionSet, Ranges, Trained};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;

/// A chain and graphs, each with a few images one after the other.
fn trained() -> Vec<(Trained, Vec<f32>)> {
    let mut random = networks::Random(3);
    let pixels =
        |count: usize, random: &mut networks::Random| (0..count).map(|_| random.share() as f32 - 0.5).collect();
    let chain = pruned(&lenet(), &[0.9, 0.5, 0.05], &mut random);
    let mut found: Vec<(Trained, Vec<f32>)> = vec![(chain, pixels(40 * 784, &mut random))];
    for seed in 0..7 {
        let mut random = graphs::Random(seed);
        let graph = graph(&mut random);
        let weights = weights(&graph, &mut random);
        let images = images(&graph, 40, &mut random).concat();
        found.push((Trained { graph, weights }, images));
    }
    found
}

/// Bits, so that what is no number is the same as itself.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn copies_answer_at_the_same_time_with_the_same_bits_and_share_their_weights() {
    for (network, images) in trained() {
        for (set, batch, threads) in InstructionSet::available().into_iter().flat_map(|set| [(set, 1, 1), (set, 40, 2)])
        {
            let options = Options { instruction_set: set, threads, ..Options::new(batch) };
            let mut engine = Engine::of(&network, &options).expect("small");
            let expected = bits(&engine.logits(&images));
            let pixels = network.input().iter().product::<usize>();
            let (callers, classes) = (4, network.classes());
            let together = Barrier::new(callers);
            std::thread::scope(|scope| {
                for caller in 0..callers {
                    let (mut own, images, expected, together) = (engine.clone(), &images, &expected, &together);
                    scope.spawn(move || {
                        together.wait();
                        for first in [caller, 7 * caller] {
                            let found = own.logits(&images[first * pixels..][..16 * pixels]);
                            assert_eq!(bits(&found), expected[first * classes..][..16 * classes]);
                        }
                    });
                }
            });
            let other = engine.clone();
            assert_eq!((other.weight_bytes(), other.classes()), (engine.weight_bytes(), classes));
        }
    }
}

#[test]
fn an_engine_moves_to_other_threads_within_its_memory() {
    let three = Threads::new(3).expect("threads");
    assert_eq!(three.count(), 3);
    for (network, images) in trained() {
        for (instruction_set, batch) in InstructionSet::available().into_iter().flat_map(|set| [(set, 1), (set, 40)]) {
            let options = Options { threads: 1, instruction_set, ..Options::new(batch) };
            let mut one = Engine::of(&network, &options).expect("small");
            let expected = bits(&one.logits(&images));
            let mut many = one.on(&three).expect("small");
            assert_eq!(bits(&many.logits(&images)), expected);
            let mut back = many.on(&Threads::new(1).expect("the caller's own")).expect("small");
            assert_eq!(bits(&back.logits(&images)), expected);
            // What is as much as one thread takes is not enough for three.
            let refused = |error: Error| match error {
                Error::Memory { found, most } => [found, most],
                error => panic!("another error: {error}"),
            };
            let none = Options { buffer_bytes: 0, ..options };
            let [least, _] = refused(Engine::of(&network, &none).expect_err("nothing fits"));
            let own = Engine::of(&network, &Options { buffer_bytes: least, ..options }).expect("one fits");
            let [found, most] = refused(own.on(&three).expect_err("three do not"));
            assert!(most == least && (least + 1..=3 * least).contains(&found), "{found} of {least} for one");
        }
    }
}

#[test]
fn an_engine_goes_on_after_a_caught_panic() {
    for (network, images) in trained() {
        for (instruction_set, threads) in InstructionSet::available().into_iter().flat_map(|set| [(set, 1), (set, 2)]) {
            let options = Options { threads, instruction_set, ..Options::new(40) };
            let mut engine = Engine::of(&network, &options).expect("small");
            let expected = bits(&engine.logits(&images));
            catch_unwind(AssertUnwindSafe(|| engine.logits(&images[1..]))).expect_err("no whole images");
            catch_unwind(AssertUnwindSafe(|| engine.logits_into(&images, &mut [0.0]))).expect_err("no room");
            assert_eq!(bits(&engine.logits(&images)), expected);
        }
    }
}

/// One model that many threads ask at once, images one by one and many together: the answers are those of an engine of one's own.
#[test]
fn a_predictor_is_asked_by_many_at_once() {
    for (network, images) in trained() {
        let [pixels, classes] = [network.input().iter().product::<usize>(), network.classes()];
        let own = |batch: usize| {
            let options = Options { threads: 2, ..Options::new(batch) };
            bits(&Engine::of(&network, &options).expect("small").logits(&images))
        };
        let (single, many) = (own(1), own(128));
        let predictor = Predictor::new(network, Ranges::default(), 2);
        std::thread::scope(|scope| {
            for caller in 0..4 {
                let (predictor, images, single, many) = (&predictor, &images, &single, &many);
                scope.spawn(move || {
                    for image in [caller, 2 * caller, 39 - caller] {
                        let found = predictor.logits(&images[image * pixels..][..pixels]).expect("small");
                        assert_eq!(bits(&found), single[image * classes..][..classes]);
                    }
                    assert_eq!(bits(&predictor.logits(images).expect("small")), *many);
                });
            }
        });
    }
}
