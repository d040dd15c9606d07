//! Targets that can be checked by hand, and schedules that make no sense.

use super::*;

const SIZES: Sizes = Sizes { prunable: 900, parameters: 1_000, prunable_macs: 4_000, macs: 4_000 };

fn s(share: f64) -> Target {
    Sparsity::new(share).expect("in range").into()
}

fn check(schedule: Schedule, expected: &[f64]) {
    let found = schedule.targets(SIZES).expect("a valid schedule").shares;
    assert_eq!(found.len(), expected.len(), "{schedule}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found.get() - expected).abs() < 1e-12, "{schedule}: {found:?}, wanted {expected}");
    }
}

/// A ramp of each kind.
fn ramps(initial: Target, last: Target, prunes: u32) -> [Schedule; 6] {
    [
        Schedule::Linear { initial, last, prunes },
        Schedule::Cubic { initial, last, prunes },
        Schedule::Polynomial { initial, last, power: 1.5, prunes },
        Schedule::Exponential { initial, last, prunes },
        Schedule::Cosine { initial, last, prunes },
        Schedule::OneCycle { initial, last, prunes, a: 14.0, b: 6.0 },
    ]
}

#[test]
fn targets_can_be_checked_by_hand() {
    let (initial, last) = (s(0.0), s(0.8));
    check(Schedule::OneShot { sparsity: s(0.9) }, &[0.9]);
    check(Schedule::Linear { initial, last, prunes: 4 }, &[0.2, 0.4, 0.6, 0.8]);
    check(Schedule::Cubic { initial, last, prunes: 2 }, &[0.7, 0.8]);
    check(Schedule::Cubic { initial: s(0.5), last: s(0.9), prunes: 2 }, &[0.85, 0.9]);
    check(Schedule::Polynomial { initial, last, power: 2.0, prunes: 2 }, &[0.6, 0.8]);
    // A density of 0.25 in two equal factors.
    check(Schedule::Exponential { initial, last: s(0.75), prunes: 2 }, &[0.5, 0.75]);
    check(Schedule::Cosine { initial, last, prunes: 3 }, &[0.2, 0.6, 0.8]);
    // (1 + e^-8) / (1 + e^-1) at the middle.
    let middle = 0.8 * (1.0 + (-8f64).exp()) / (1.0 + (-1f64).exp());
    check(Schedule::OneCycle { initial, last, prunes: 2, a: 14.0, b: 6.0 }, &[middle, 0.8]);
    check(Schedule::Geometric { share: Sparsity::new(0.2).expect("in range"), prunes: 3 }, &[0.2, 0.36, 0.488]);
    check(Schedule::List { sparsities: vec![s(0.5), s(0.5), s(0.9)], falling: false }, &[0.5, 0.5, 0.9]);
    check(Schedule::List { sparsities: vec![s(0.5), s(0.2)], falling: true }, &[0.5, 0.2]);
    check(Schedule::DenseSparseDense { sparsity: s(0.3) }, &[0.3, 0.0]);
}

#[test]
fn the_last_target_is_exact_and_none_falls() {
    for prunes in [1, 3, 7, 49] {
        for schedule in ramps(s(0.1), s(0.99), prunes) {
            let targets = schedule.targets(SIZES).expect("valid").shares;
            assert_eq!(targets.last().map(|last| last.get()), Some(0.99), "{schedule}");
            assert!(targets[0].get() > 0.1, "{schedule}: the first prune is past the start");
        }
    }
}

#[test]
fn other_measures_become_shares() {
    // 250 of 1,000 are left, so 750 of 900 go.
    check(Schedule::OneShot { sparsity: Target::compression(4.0) }, &[750.0 / 900.0]);
    check(Schedule::Linear { initial: s(0.0), last: Target::kept(550), prunes: 2 }, &[0.25, 0.5]);
    let macs = Schedule::Linear { initial: s(0.0), last: Target::macs(0.2), prunes: 2 };
    assert_eq!(macs.targets(SIZES).expect("valid").measure, Measure::Macs);
    check(macs, &[0.4, 0.8]);
    let mixed = Schedule::List { sparsities: vec![s(0.5), Target::macs(0.2)], falling: false };
    assert!(mixed.targets(SIZES).expect_err("mixed").to_string().contains("0.5 and of 0.2 of the MACs"));
}

#[test]
fn schedules_without_a_prune_or_with_a_fall_are_refused() {
    let share = Sparsity::new(0.2).expect("in range");
    let mut faulty = vec![
        Schedule::List { sparsities: vec![], falling: false },
        Schedule::List { sparsities: vec![s(0.5), s(0.4)], falling: false },
        Schedule::Geometric { share, prunes: u32::MAX },
        Schedule::Polynomial { initial: s(0.0), last: s(0.5), power: 0.0, prunes: 2 },
        Schedule::Polynomial { initial: s(0.0), last: s(0.5), power: f64::NAN, prunes: 2 },
        Schedule::OneCycle { initial: s(0.0), last: s(0.5), prunes: 2, a: 0.0, b: 6.0 },
        Schedule::OneCycle { initial: s(0.0), last: s(0.5), prunes: 2, a: 1e9, b: f64::INFINITY },
    ];
    faulty.extend(ramps(s(0.9), s(0.5), 2));
    faulty.extend(ramps(s(0.0), s(0.5), 0));
    for schedule in faulty {
        assert!(schedule.targets(SIZES).is_err(), "{schedule}");
    }
    assert!(Targets::by(3, |done| 1.0 - done).is_err(), "a closure may not fall either");
    assert!(Targets::by(3, |done| 2.0 * done).is_err(), "nor leave the range");
}
