//! A network that is not ours, pruned in a loop that is not ours: the example, and the page that explains it.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

#[path = "../examples/prune_your_module.rs"]
#[expect(dead_code, unreachable_pub, reason = "the example's `main` is not run; it is public to its own crate")]
mod example;

use burn::tensor::Device;
use secateur_pruner::{masks, parameters};

#[test]
fn a_residual_network_is_pruned_exactly_and_learns_on() {
    let device = Device::flex().autodiff();
    let pruned = example::train_and_prune(&device).unwrap();
    let [dense, last] = pruned.losses;
    assert!(dense < 1.0 && last < 1.0, "chance is 1.39: {dense} {last}");
    // Four convolutions of 8 x 8 x 3 x 3, and the head; the stem is excluded, normalisation has no `weight`.
    let names: Vec<&str> = pruned.masks.iter().map(|(name, _)| name).collect();
    let blocks = [0, 1].map(|block| [1, 2].map(|conv| format!("blocks.{block}.conv{conv}.weight")));
    assert_eq!(names[..4], blocks.concat());
    assert_eq!(names[4..], ["head.weight"]);
    assert_eq!(pruned.masks.total(), 4 * 576 + 32);
    assert_eq!(pruned.masks.pruned(), (0.9f64 * 2336.0).round() as usize);

    assert_eq!(masks(&pruned.net).total(), 0, "folded");
    for own in parameters(&pruned.net) {
        let Some(mask) = pruned.masks.get(&own.name) else { continue };
        let zeros = own.values.iter().filter(|value| value.to_bits() == 0).count();
        assert_eq!(zeros, mask.total() - mask.kept(), "{}", own.name);
        assert!(own.values.iter().enumerate().all(|(i, value)| mask.keeps(i) || value.to_bits() == 0), "{}", own.name);
    }
    // What is folded computes and trains like any network.
    let (pictures, _) = example::batch(7, &device);
    assert_eq!(pruned.net.forward(pictures).dims(), [32, 4]);
    let (_, loss) = example::train(pruned.net, &mut burn::optim::AdamConfig::new().init(), 0..1, &device);
    assert!(loss.is_finite());
}

#[test]
fn the_page_shows_the_code_that_runs() {
    let code = include_str!("../examples/prune_your_module.rs");
    let page = include_str!("../../../docs/prune-your-module.md");
    let blocks: Vec<&str> = page.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 2, "the page shows the imports and the loop");
    let bare = |text: &str| text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    let (code, tests) = (bare(code), bare(include_str!("saliency.rs")));
    for block in blocks {
        let block = bare(block);
        assert!(code.contains(&block) || tests.contains(&block), "the page shows other code:\n{block}");
    }
}
