use super::*;

fn layer(name: &str, values: &[f32]) -> Parameter {
    Parameter { name: name.into(), shape: vec![values.len()], values: values.to_vec() }
}

#[test]
fn numbers_are_mapped_in_their_order_onto_those_without_a_sign() {
    let rising = [f32::MIN, -1e30, -2.0, -1.0, -1e-40, 0.0, 1e-40, 0.5, 1.0, 2.0, 1e30, f32::MAX];
    let mapped = rising.map(ordered);
    assert!(mapped.windows(2).all(|pair| pair[0] < pair[1]), "{mapped:?}");
    assert_eq!((mapped[0], mapped[11]), (0.0, f32::MAX));
    assert_eq!(ordered(-0.0), ordered(0.0));
}

#[test]
fn signed_scores_keep_their_order_over_all_layers_and_others_their_values() {
    let masks = MaskSet::new(vec![("a".into(), Mask::full(&[2])), ("b".into(), Mask::from_fn(&[3], |i| i != 1))]);
    let saliency = Saliency::new(vec![layer("b", &[3.0, -9.0, -0.0]), layer("a", &[0.5, 2.0])]).expect("finite");
    // The negative one is pruned, so nothing is mapped.
    let kept = saliency.kept(&masks).expect("all there");
    assert_eq!(kept, [vec![0.5, 2.0], vec![3.0, 0.0]]);
    assert_eq!(kept[1][1].to_bits(), 0, "a negative zero ties with a positive one");
    let signed = Saliency::new(vec![layer("b", &[3.0, 0.0, -1.0]), layer("a", &[0.5, 2.0])]).expect("finite");
    let kept = signed.kept(&masks).expect("all there");
    assert_eq!(kept, [vec![ordered(0.5), ordered(2.0)], vec![ordered(3.0), ordered(-1.0)]]);
    assert_eq!(signed.magnitudes().kept(&masks).expect("all there"), [vec![0.5, 2.0], vec![3.0, 1.0]]);
}

#[test]
fn lamp_by_hand() {
    // Squares 16, 9 and 0: 16/16, 9/(16+9), 0.
    assert_eq!(lamp(&[3.0, 0.0, -4.0]), [0.36, 0.0, 1.0]);
    // Among equals the first is the largest: 4/4, 4/8.
    assert_eq!(lamp(&[2.0, 2.0]), [1.0, 0.5]);
    assert_eq!(lamp(&[0.0, 0.0]), [0.0, 0.0]);
    assert_eq!(lamp(&[]), [0.0; 0]);
    // It is the criterion's own, of any magnitudes.
    let of_weights = crate::score(crate::Criterion::Lamp, "w", &[3.0, 0.0, -4.0, 0.5], &Mask::full(&[4]), 0, 1);
    assert_eq!(lamp(&[3.0, 0.0, -4.0, 0.5]), of_weights.expect("finite"));
    // Scale is what LAMP takes away.
    assert_eq!(lamp(&[3.0, -4.0]), lamp(&[1.5, -2.0]));
}

#[test]
fn lamp_sees_only_what_lives() {
    let masks = MaskSet::new(vec![("a".into(), Mask::from_fn(&[3], |i| i < 2))]);
    let saliency = Saliency::new(vec![layer("a", &[3.0, 4.0, 100.0])]).expect("finite");
    assert_eq!(saliency.lamp(&masks).expect("there").get("a").expect("a").values, [0.36, 1.0, 0.0]);
}

#[test]
fn batches_are_added_and_what_does_not_fit_is_refused_by_name() {
    let mut sum = Saliency::new(vec![layer("a", &[1.0, 2.0])]).expect("finite");
    sum.add(&sum.clone()).expect("the same parameters");
    assert_eq!(sum.get("a").expect("a").values, [2.0, 4.0]);
    let mut refuse = |other: Vec<Parameter>, says: &str| {
        let error = sum.add(&Saliency::new(other).expect("finite")).expect_err("does not fit").to_string();
        assert!(error.contains(says), "{error}");
    };
    refuse(vec![layer("b", &[1.0])], "no score of `b`; there is one of `a`");
    refuse(vec![], "no score of `a`; there is one of none");
    refuse(vec![layer("a", &[1.0])], "`a`: found shape [1] with 1 values, wanted shape [2]");

    let error = Saliency::new(vec![layer("a", &[1.0, f32::NAN])]).expect_err("not finite").to_string();
    assert_eq!(error, "score of `a` at flat index 1 is NaN; only finite numbers can be ranked");
    let short = Parameter { name: "a".into(), shape: vec![3], values: vec![1.0] };
    assert!(matches!(Saliency::new(vec![short]), Err(Error::State { .. })));
    let masks = MaskSet::new(vec![("b".into(), Mask::full(&[2]))]);
    assert!(matches!(sum.kept(&masks), Err(Error::Missing { .. })));
    assert!(matches!(sum.lamp(&MaskSet::new(vec![("a".into(), Mask::full(&[3]))])), Err(Error::State { .. })));
}

#[test]
fn a_closure_scores_what_it_likes() {
    let weights = [layer("a", &[1.0, -2.0])];
    let squares = Saliency::of(&weights, |own| own.values.iter().map(|value| value * value).collect());
    assert_eq!(squares.expect("finite").get("a").expect("a").values, [1.0, 4.0]);
    assert!(matches!(Saliency::of(&weights, |_| vec![1.0]), Err(Error::State { .. })));
}

#[test]
fn some_layers_can_have_another_criterion() {
    let scores = |a, b| Saliency::new(vec![layer("a.weight", &[a]), layer("b.weight", &[b])]).expect("finite");
    let chosen = |glob: &str| Selection { include: vec![glob.into()], exclude: vec![] };
    let mixed = scores(1.0, 2.0).replaced_by(&scores(3.0, 4.0), &chosen("b.*")).expect("both there");
    assert_eq!(mixed, scores(1.0, 4.0));
    let few = Saliency::new(vec![layer("a.weight", &[5.0])]).expect("finite");
    assert!(matches!(scores(1.0, 2.0).replaced_by(&few, &chosen("b.*")), Err(Error::Missing { .. })));
    assert!(matches!(scores(1.0, 2.0).replaced_by(&few, &chosen("c.*")), Err(Error::NoMatch { .. })));
}
