//! ONNX models that are read again: they answer as the graphs that they were written from.

mod graphs;

use graphs::{Random, graph, images, weights};
use secateur_graph::Op;
use secateur_sparse::export::onnx;
use secateur_sparse::import;

#[test]
fn any_graph_answers_the_same_after_it_was_written_and_read() {
    let mut checked = 0;
    for seed in 0..400 {
        let mut random = Random(seed);
        let graph = graph(&mut random);
        let weights = weights(&graph, &mut random);
        let images = images(&graph, 3, &mut random);
        let notes = [("secateur.scales", "told")];
        let bytes = onnx(&graph, &weights, "some", None, &notes).expect("small");
        let read = import::onnx(&bytes).unwrap_or_else(|error| panic!("seed {seed}: {error}: {graph:#?}"));
        assert_eq!((read.name.as_str(), read.notes["secateur.scales"].as_str()), ("some", "told"));
        if graph.nodes().last().is_some_and(|node| matches!(node.op, Op::Softmax(_))) {
            assert_eq!(read.remarks, ["the softmax at the end is left out: the network answers with logits"]);
            continue;
        }
        assert!(read.remarks.is_empty(), "{:?}", read.remarks);
        for image in images {
            let (expected, found) = (graph.forward(&weights, &image), read.network.forward(&image));
            let scale = expected.iter().fold(1.0f32, |most, own| most.max(own.abs()));
            if !scale.is_finite() {
                continue;
            }
            checked += 1;
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() <= 1e-4 * scale, "seed {seed}: {found} {expected}: {graph:#?}");
            }
        }
    }
    assert!(checked > 1000, "{checked}");
}
