//! What a prune was asked for, in a form that can be compared between runs. Pure.

use crate::event::Method;
use crate::number::short_percent;

/// A target as a key: two that differ by rounding only are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u64);

impl Key {
    pub(crate) fn of(target: f64) -> Self {
        Self((1e9 * target.clamp(0.0, 1.0)).round() as u64)
    }
}

/// What a target is a share of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unit {
    /// The prunable parameters.
    Prunable,
    /// All parameters, as a ratio or a count of those that stay.
    Parameters,
    /// The multiply-accumulates.
    Macs,
}

impl Unit {
    /// The unit of a method's schedule, told by its words.
    pub(crate) fn of(method: Option<&Method>) -> Self {
        let schedule = method.map_or("", |method| &method.schedule);
        match schedule {
            words if words.contains("of the MACs") => Self::Macs,
            words if words.contains("compression ") || words.contains("parameters kept") => Self::Parameters,
            _ => Self::Prunable,
        }
    }

    /// `90 %`, or `90 % of the MACs`.
    pub(crate) fn words(self, target: f64) -> String {
        let share = short_percent(target);
        match self {
            Self::Prunable => format!("{share} %"),
            Self::Parameters => format!("{share} % of all parameters"),
            Self::Macs => format!("{share} % of the MACs"),
        }
    }

    /// The unit in a word, for tables that programs read.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prunable => "prunable",
            Self::Parameters => "parameters",
            Self::Macs => "macs",
        }
    }
}

/// A schedule without the numbers that say how far it goes: `cubic to 0.98 in 5 prunes` is `cubic to # in 5 prunes`. The
/// number of prunes and the power of a polynomial stay, since other numbers of them are another method.
pub(crate) fn shape(schedule: &str) -> String {
    let words: Vec<&str> = schedule.split(' ').collect();
    let is_number = |word: &str| word.trim_end_matches(',').parse::<f64>().is_ok();
    let shaped = words.iter().enumerate().map(|(place, &word)| {
        let next = words.get(place + 1).copied().unwrap_or("");
        let stays = next.starts_with("prune") || (place > 0 && words[place - 1] == "power");
        if is_number(word) && !stays { "#" } else { word }
    });
    shaped.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_has_no_target() {
        for (schedule, expected) in [
            ("one-shot to 0.9", "one-shot to #"),
            ("cubic to 0.98 in 5 prunes", "cubic to # in 5 prunes"),
            ("cubic to 0.03 of the MACs in 8 prunes", "cubic to # of the MACs in 8 prunes"),
            ("linear to compression 32 in 1 prunes", "linear to compression # in 1 prunes"),
            ("polynomial of power 3 to 0.9 in 5 prunes", "polynomial of power 3 to # in 5 prunes"),
            ("0.2 of what remains, 5 times", "# of what remains, # times"),
            ("50, 75, 90 %", "# # # %"),
            ("dense-sparse-dense by 0.5", "dense-sparse-dense by #"),
            ("", ""),
        ] {
            assert_eq!(shape(schedule), expected);
        }
    }

    #[test]
    fn a_unit_is_told_by_the_schedule() {
        let unit = |schedule: &str| {
            let [criterion, granularity, scope, retrain] = ["l1", "element", "global", "fine-tune"].map(str::to_owned);
            Unit::of(Some(&Method { criterion, granularity, scope, retrain, schedule: schedule.into() }))
        };
        assert_eq!(unit("cubic to 0.03 of the MACs in 8 prunes"), Unit::Macs);
        assert_eq!(unit("one-shot to compression 8"), Unit::Parameters);
        assert_eq!(unit("one-shot to 5000 parameters kept"), Unit::Parameters);
        assert_eq!((unit("one-shot to 0.9"), Unit::of(None)), (Unit::Prunable, Unit::Prunable));
        assert_eq!((Unit::Prunable.words(0.995), Unit::Macs.words(0.97)), ("99.5 %".into(), "97 % of the MACs".into()));
    }

    #[test]
    fn rounding_does_not_part_targets() {
        assert_eq!(Key::of(0.1 + 0.2), Key::of(0.3));
        assert!(Key::of(0.999_999) < Key::of(0.999_999_1));
    }
}
