//! What a prune was asked for, in a form that can be compared between runs. Pure.

pub(crate) use crate::event::Unit;
use crate::event::{Pruned, RunStarted};
use crate::number::short_percent;

/// A target as a key: two that differ by rounding only are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u64);

impl Key {
    pub(crate) fn of(target: f64) -> Self {
        Self((1e9 * target.clamp(0.0, 1.0)).round() as u64)
    }
}

impl Unit {
    /// `90 %`, or `90 % of the MACs`.
    pub(crate) fn words(self, target: f64) -> String {
        let share = short_percent(target);
        match self {
            Self::Prunable => format!("{share} %"),
            Self::Parameters => format!("{share} % of all parameters"),
            Self::Macs => format!("{share} % of the MACs"),
            Self::Unknown => format!("{share} % of what its log does not say"),
        }
    }

    /// The unit in a word, for tables that programs read.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prunable => "prunable",
            Self::Parameters => "parameters",
            Self::Macs => "macs",
            Self::Unknown => "unknown",
        }
    }
}

/// The target of a prune in the unit of its run's schedule: logs tell that of parameters as a fraction of those that are
/// prunable.
pub(crate) fn target(started: &RunStarted, pruned: &Pruned) -> f64 {
    match unit(started) {
        Unit::Parameters if started.parameters > 0 => {
            pruned.target * started.prunable as f64 / started.parameters as f64
        }
        _ => pruned.target,
    }
}

/// What the targets of a run's schedule are a fraction of.
pub(crate) fn unit(started: &RunStarted) -> Unit {
    started.method.as_ref().map_or(Unit::Prunable, |method| method.target_of.unwrap_or(Unit::Unknown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::fixture;

    #[test]
    fn a_target_is_told_in_the_unit_of_its_schedule() {
        let events = fixture::l1_events(1);
        let Event::RunStarted(mut started) = events[0].clone() else { panic!("the first event") };
        let pruned = events.iter().find_map(|event| match event {
            Event::Pruned(pruned) => Some(pruned),
            _ => None,
        });
        let pruned = pruned.expect("it prunes");
        assert_eq!((unit(&started), target(&started, pruned)), (Unit::Prunable, 0.5));
        let set = |started: &mut RunStarted, of| started.method.as_mut().expect("a method").target_of = of;
        set(&mut started, Some(Unit::Parameters));
        // 29,472 of all 60,074 parameters go where half of 58,944 prunable ones do.
        assert_eq!(Key::of(target(&started, pruned)), Key::of(29_472.0 / 60_074.0));
        set(&mut started, None);
        assert_eq!(unit(&started), Unit::Unknown);
        assert_eq!((Unit::Prunable.words(0.995), Unit::Macs.words(0.97)), ("99.5 %".into(), "97 % of the MACs".into()));
    }

    #[test]
    fn rounding_does_not_part_targets() {
        assert_eq!(Key::of(0.1 + 0.2), Key::of(0.3));
        assert!(Key::of(0.999_999) < Key::of(0.999_999_1));
    }
}
