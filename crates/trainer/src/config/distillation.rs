//! Learning from the answers of another network.

use crate::models::{Source, sha256_fault};
use crate::{Error, config::words};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Whose answers training learns from beside the labels, and how much they count: the loss is `(1 - weight)` times that of the labels,
/// and `weight temperature^2` times the cross-entropy between the softmax of teacher and network, whose logits are divided by the
/// temperature (Hinton, Vinyals and Dean, 2015).
///
/// In a config: `distillation = { teacher = "dense" }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistillationConfig {
    /// The network that teaches.
    pub teacher: Teacher,
    /// The file of the teacher `file`, or a run's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// SHA-256 of its content; left out, it is filled in when the run begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What logits are divided by, above 0.
    #[serde(default = "temperature", skip_serializing_if = "is_temperature")]
    pub temperature: f32,
    /// The teacher's part in the loss, above 0 and at most 1.
    #[serde(default = "weight", skip_serializing_if = "is_weight")]
    pub weight: f32,
}

/// A network that teaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Teacher {
    /// What the run starts from.
    Start,
    /// The run's own network before its first prune; until then training learns from the labels alone.
    Dense,
    /// That of a file.
    File,
}

fn temperature() -> f32 {
    4.0
}

fn is_temperature(own: &f32) -> bool {
    *own == temperature()
}

fn weight() -> f32 {
    0.9
}

fn is_weight(own: &f32) -> bool {
    *own == weight()
}

impl DistillationConfig {
    /// What is wrong with it by itself, with the key, if anything.
    pub(crate) fn fault(&self) -> Option<(&'static str, String)> {
        if !(self.temperature >= 1e-3 && self.temperature <= 1e3) {
            let why = format!("found {}, expected from 0.001 to 1000", self.temperature);
            return Some(("train.distillation.temperature", why));
        }
        if !(self.weight > 0.0 && self.weight <= 1.0) {
            let why = format!("found {}, expected above 0 and at most 1", self.weight);
            return Some(("train.distillation.weight", why));
        }
        match (self.teacher, &self.path) {
            (Teacher::File, None) => {
                let why = "expected the file whose network teaches, since the teacher is `file`, found none";
                return Some(("train.distillation.path", why.into()));
            }
            (Teacher::File, Some(path)) if path.to_str().is_none() => {
                return Some(("train.distillation.path", format!("expected a path in UTF-8, found {path:?}")));
            }
            (Teacher::Start | Teacher::Dense, Some(path)) => {
                let found = words::short(&path.display().to_string());
                let why = format!("found {found:?}, expected none, since the teacher is not `file`");
                return Some(("train.distillation.path", why));
            }
            (Teacher::File, Some(_)) | (Teacher::Start | Teacher::Dense, None) => {}
        }
        if let Some(why) = self.sha256.as_deref().and_then(sha256_fault) {
            return Some(("train.distillation.sha256", why));
        }
        (self.sha256.is_some() && self.path.is_none())
            .then(|| ("train.distillation.sha256", "found one, expected a `path` beside it".into()))
    }

    /// The teacher's file, if it is one.
    ///
    /// # Errors
    /// When it cannot be read, or is another one than its SHA-256 says.
    pub(crate) fn source(&self) -> Result<Option<Source>, Error> {
        let open = |path: &PathBuf| Source::open(path, self.sha256.as_deref());
        self.path.as_ref().map(open).transpose()
    }
}
