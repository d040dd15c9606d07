//! Which parameters may be pruned: globs on their paths, such as `*.weight` or `fc?.*`.

use crate::Error;
use glob::Pattern;
use serde::{Deserialize, Serialize};

/// Inclusions and exclusions; a parameter is selected when an inclusion matches its path and no exclusion does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Globs, at least one of which has to match.
    pub include: Vec<String>,
    /// Globs, none of which may match.
    #[serde(default)]
    pub exclude: Vec<String>,
}

impl Default for Selection {
    /// Every weight, no bias.
    fn default() -> Self {
        Self { include: vec!["*.weight".into()], exclude: vec![] }
    }
}

impl Selection {
    /// The selected ones of `names`, in their order.
    ///
    /// # Errors
    /// When a pattern is no glob, matches nothing (a typing error would go unseen), or nothing is left.
    pub fn choose<'a>(&self, names: &[&'a str]) -> Result<Vec<&'a str>, Error> {
        let known = || names.iter().map(|name| (*name).to_owned()).collect();
        let compile = |pattern: &String| {
            let glob = Pattern::new(pattern)
                .map_err(|error| Error::Pattern { pattern: pattern.clone(), why: error.msg.into() })?;
            if names.iter().any(|name| glob.matches(name)) {
                Ok(glob)
            } else {
                Err(Error::NoMatch { pattern: pattern.clone(), known: known() })
            }
        };
        let include = self.include.iter().map(compile).collect::<Result<Vec<_>, _>>()?;
        let exclude = self.exclude.iter().map(compile).collect::<Result<Vec<_>, _>>()?;
        let any = |globs: &[Pattern], name: &str| globs.iter().any(|glob| glob.matches(name));
        let chosen: Vec<&str> =
            names.iter().copied().filter(|name| any(&include, name) && !any(&exclude, name)).collect();
        if chosen.is_empty() { Err(Error::NothingSelected { known: known() }) } else { Ok(chosen) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["conv1.weight", "conv1.bias", "fc1.weight", "fc1.bias"];

    fn choose(include: &[&str], exclude: &[&str]) -> Result<Vec<&'static str>, Error> {
        let own = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
        Selection { include: own(include), exclude: own(exclude) }.choose(&NAMES)
    }

    #[test]
    fn globs_select() {
        assert_eq!(Selection::default().choose(&NAMES).expect("weights"), ["conv1.weight", "fc1.weight"]);
        assert_eq!(choose(&["*"], &[]).expect("all"), NAMES);
        assert_eq!(choose(&["fc1.*", "*.weight"], &["conv*"]).expect("fc1"), ["fc1.weight", "fc1.bias"]);
    }

    #[test]
    fn patterns_that_do_nothing_are_refused() {
        let error = choose(&["fc9.*"], &[]).expect_err("no fc9");
        assert!(error.to_string().contains("`fc9.*`") && error.to_string().contains("`fc1.weight`"), "{error}");
        assert!(matches!(choose(&["[", "*"], &[]), Err(Error::Pattern { .. })));
        assert!(matches!(choose(&["*"], &["*"]), Err(Error::NothingSelected { .. })));
    }
}
