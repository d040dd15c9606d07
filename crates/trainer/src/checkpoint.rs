//! A run's state on the disk, complete or absent: one folder a checkpoint, written beside, fsynced, renamed, checksummed.
//!
//! ```text
//! checkpoints/stage-000004-step-0000001290/
//!   state.safetensors  parameter/<name>, mask/<name> (one bit a weight), optimizer/<name>/<field>, remembered/, best/, average/
//!   cursor.json        where in the plan the run is, the counters that go with it, and the log's length and checksum
//!   SHA256SUMS         checksums of the two; check with `sha256sum -c`
//! ```
//!
//! A tensor has its parameter's shape, unless the parameter's mask prunes something: then it is the kept values alone,
//! in order, and its shape is their number.

mod older;

use crate::Error;
use crate::budget::Search;
use crate::evaluate::Tally;
use crate::files::{self, digest, sha256, stream_synced, sync_folder, write_synced};
use crate::scoring::full;
use crate::state::{Moment, State, Weights, carry};
use crate::tensor_file::{TensorFile, TensorReader};
use secateur_pruner::{Mask, MaskSet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Version of the layout that is written.
const VERSION: u32 = 4;
/// The oldest version that is read: its cursor has no checksum of the log, and like version 3 it has matrices as burn's layers
/// have them.
const OLDEST: u32 = 2;
const STATE: &str = "state.safetensors";
const CURSOR: &str = "cursor.json";
const SUMS: &str = "SHA256SUMS";

/// Everything that a run needs to go on as if it had never stopped.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checkpoint {
    /// Where the run is.
    pub cursor: Cursor,
    /// The model and the optimizer's memory.
    pub state: State,
    /// The masks; empty for a run that never prunes.
    pub masks: MaskSet,
    /// Weights to rewind to, once they were remembered.
    pub remembered: Option<Vec<Weights>>,
    /// Weights of the best epoch of the training stage that is going on.
    pub best: Option<Vec<Weights>>,
    /// Average of the weights over the steps of that stage.
    pub average: Option<Vec<Weights>>,
}

/// A [`Checkpoint`] that is to be saved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot<'a> {
    /// Where the run is.
    pub cursor: &'a Cursor,
    /// The model and the optimizer's memory.
    pub state: &'a State,
    /// The masks.
    pub masks: &'a MaskSet,
    /// Weights to rewind to.
    pub remembered: Option<&'a [Weights]>,
    /// Weights of the best epoch.
    pub best: Option<&'a [Weights]>,
    /// Average of the weights.
    pub average: Option<&'a [Weights]>,
}

/// Where a run is in its plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cursor {
    /// Version of the checkpoint's layout.
    pub v: u32,
    /// The stage to do next, or that is going on.
    pub stage: usize,
    /// Steps of that stage that are done.
    pub stage_step: u64,
    /// Training steps since the run's start.
    pub step: u64,
    /// Score over the training images of the epoch that is going on.
    pub tally: Tally,
    /// Score of the stage's best epoch on validation.
    pub best: Option<Best>,
    /// Epochs since then.
    pub stale_epochs: u64,
    /// Length of the log that belongs to this state, in bytes.
    pub log_bytes: u64,
    /// SHA-256 of so much of the log; checkpoints of version 2 lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_sha256: Option<String>,
    /// Time spent so far, in milliseconds.
    pub elapsed_ms: u64,
    /// Counters of the optimizer, as (parameter, field, value).
    pub counters: Vec<(String, String, u64)>,
    /// Whether pruned weights have shadows: then parameters and moments are whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadows: bool,
    /// What the search of an accuracy budget knows so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
}

/// A score to beat.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    /// Right answers.
    pub correct: u64,
    /// Mean loss. JSON has no word for one that is not finite: it is written as text.
    #[serde(with = "any_number")]
    pub loss: f64,
}

/// Numbers that need not be finite.
mod any_number {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, out: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() { out.serialize_f64(*value) } else { out.serialize_str(&value.to_string()) }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Text(String),
            /// What earlier versions wrote.
            Null,
        }
        Ok(match Written::deserialize(from)? {
            Written::Number(value) => value,
            Written::Text(word) => word.parse().map_err(serde::de::Error::custom)?,
            Written::Null => f64::NAN,
        })
    }
}

impl Snapshot<'_> {
    /// Writes a folder into `checkpoints` and removes the oldest ones past `keep`. Returns its name.
    ///
    /// # Errors
    /// When it cannot be written; then nothing has changed.
    pub(crate) fn save(&self, checkpoints: &Path, keep: usize) -> Result<String, Error> {
        let name = format!("stage-{:06}-step-{:010}", self.cursor.stage, self.cursor.step);
        let (path, beside) = (checkpoints.join(&name), checkpoints.join(format!(".{name}.tmp")));
        if path.exists() {
            // The same place in the same run: the same state.
            return Ok(name);
        }
        let written = self.write(&beside).and_then(|()| {
            fs::rename(&beside, &path).map_err(Error::io(&path, "rename"))?;
            sync_folder(checkpoints)
        });
        if written.is_err() {
            // The first error is the one to tell.
            let _ = fs::remove_dir_all(&beside);
        }
        written?;
        for old in list(checkpoints)?.iter().rev().skip(keep) {
            // Renamed first: a crash while removing must not leave half a checkpoint under its name.
            let (old, going) = (checkpoints.join(old), checkpoints.join(format!(".{old}.tmp")));
            fs::rename(&old, &going).map_err(Error::io(&old, "remove"))?;
            fs::remove_dir_all(&going).map_err(Error::io(&going, "remove"))?;
        }
        Ok(name)
    }

    fn write(&self, beside: &Path) -> Result<(), Error> {
        if beside.exists() {
            fs::remove_dir_all(beside).map_err(Error::io(beside, "remove"))?;
        }
        // Never its parents: a run's folder that was removed stays so.
        fs::create_dir(beside).map_err(Error::io(beside, "create"))?;
        let cursor = serde_json::to_string_pretty(&self.cursor).expect("a cursor is plain data") + "\n";
        let state = stream_synced(&beside.join(STATE), |out| self.tensors().write(&BTreeMap::new(), out))?;
        let cursor = write_synced(&beside.join(CURSOR), cursor.as_bytes())?;
        let sums = format!("{}  {STATE}\n{}  {CURSOR}\n", state.sha256, cursor.sha256);
        write_synced(&beside.join(SUMS), sums.as_bytes())?;
        sync_folder(beside)
    }

    fn tensors(&self) -> TensorFile<'_> {
        let mut file = TensorFile::default();
        let mut shapes = BTreeMap::new();
        for own in &self.state.parameters {
            let mask = self.masks.get(&own.name).filter(|_| !self.state.shadows);
            shapes.insert(own.name.as_str(), stored_shape(&own.shape, mask));
        }
        let groups = [
            ("parameter", Some(self.state.parameters.as_slice())),
            ("remembered", self.remembered),
            ("best", self.best),
            ("average", self.average),
        ];
        for (group, parameters) in groups {
            for own in parameters.into_iter().flatten() {
                file.add_f32(format!("{group}/{}", own.name), &shapes[own.name.as_str()], &own.kept);
            }
        }
        for (name, mask) in self.masks.iter() {
            file.add_bytes(format!("mask/{name}"), mask.to_bytes());
        }
        for Moment { parameter, field, kept } in &self.state.moments {
            file.add_f32(format!("optimizer/{parameter}/{field}"), &shapes[parameter.as_str()], kept);
        }
        file
    }
}

/// The shape under which the values that a mask keeps of a parameter stand in the file.
fn stored_shape(shape: &[usize], mask: Option<&Mask>) -> Vec<usize> {
    match mask {
        Some(mask) if mask.kept() < mask.total() => vec![mask.kept()],
        _ => shape.to_vec(),
    }
}

impl Checkpoint {
    /// Checks the files of a checkpoint's folder against their checksums.
    ///
    /// # Errors
    /// When one is missing, damaged or cannot be read.
    fn verify(path: &Path) -> Result<(), Error> {
        let sums = files::read(&path.join(SUMS))?;
        let sums = String::from_utf8_lossy(&sums);
        for file in [STATE, CURSOR] {
            let found = sha256(&path.join(file))?;
            let expected =
                sums.lines().find_map(|line| line.strip_suffix(file)).map(str::trim).unwrap_or("no checksum");
            if found != expected {
                let why = format!("damaged: its SHA-256 is {found}, {SUMS} says {expected}");
                return Err(Error::Run { path: path.join(file), why });
            }
        }
        Ok(())
    }

    /// Reads a checkpoint's folder and checks it. `shapes` names the model's parameters, in its order, with their shapes.
    ///
    /// # Errors
    /// When a file is missing or damaged, or does not belong to this model.
    pub(crate) fn load(path: &Path, shapes: &[(String, Vec<usize>)]) -> Result<Self, Error> {
        Self::verify(path)?;
        Self::read(path, shapes)
    }

    fn read(path: &Path, shapes: &[(String, Vec<usize>)]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let refuse = |file: &str, why: String| Error::Run { path: path.join(file), why };
        let text = files::read(&path.join(CURSOR))?;
        let no_cursor = |error: serde_json::Error| refuse(CURSOR, format!("no cursor: {error}"));
        // Another version may have other fields.
        let Version { v } = serde_json::from_slice(&text).map_err(no_cursor)?;
        if !(OLDEST..=VERSION).contains(&v) {
            return Err(Error::CheckpointVersion { path: path.join(CURSOR), found: v, wanted: VERSION });
        }
        let cursor = Cursor { v: VERSION, ..serde_json::from_slice(&text).map_err(no_cursor)? };
        let old_shapes = (v < older::FIRST_LIKE_PYTORCH).then(|| older::shapes(shapes));
        let shapes = old_shapes.as_deref().unwrap_or(shapes);
        let file = TensorReader::open(&path.join(STATE))?;
        let mut masks = Vec::new();
        for (name, shape) in shapes {
            if let Some(bits) = file.bytes(&format!("mask/{name}"))? {
                let mask = Mask::from_bytes(name, shape, &bits).map_err(|error| refuse(STATE, error.to_string()))?;
                masks.push((name.clone(), mask));
            }
        }
        let masks = MaskSet::new(masks);
        let none = MaskSet::default();
        let held = if cursor.shadows { &none } else { &masks };
        let group = |name: &str| group(&file, name, shapes, held);
        let begun = |name: &str| file.names().any(|own| own.split_once('/').is_some_and(|(first, _)| first == name));
        let if_begun = |name: &str| begun(name).then(|| group(name)).transpose();
        let mut state = State { parameters: group("parameter")?, shadows: cursor.shadows, ..State::default() };
        let [remembered, best, average] = [if_begun("remembered")?, if_begun("best")?, if_begun("average")?];
        for name in file.names() {
            let Some((parameter, field)) = name.strip_prefix("optimizer/").and_then(|rest| rest.split_once('/')) else {
                continue;
            };
            let of = shapes.iter().find(|(own, _)| own == parameter);
            let (_, shape) = of.ok_or_else(|| refuse(STATE, format!("`{name}` belongs to no parameter")))?;
            let kept = file.f32(name, &stored_shape(shape, held.get(parameter)))?;
            let kept = kept.ok_or_else(|| refuse(STATE, format!("`{name}` holds no f32")))?;
            state.moments.push(Moment { parameter: parameter.to_owned(), field: field.to_owned(), kept });
        }
        state.moments.sort_by(|a, b| (&a.parameter, &a.field).cmp(&(&b.parameter, &b.field)));
        for (parameter, field, counter) in &cursor.counters {
            state.counters.insert((parameter.clone(), field.clone()), *counter);
        }
        let found = Self { cursor, state, masks, remembered, best, average };
        Ok(if old_shapes.is_some() { older::like_pytorch(found) } else { found })
    }

    /// The parameters as far as the masks keep them.
    pub(crate) fn living(self) -> (Vec<Weights>, MaskSet) {
        let Self { mut state, masks, .. } = self;
        if state.shadows {
            carry(&mut state.parameters, &full(&masks), &masks);
        }
        (state.parameters, masks)
    }
}

impl Cursor {
    /// The start of a run.
    pub(crate) fn start() -> Self {
        Self { v: VERSION, ..Self::default() }
    }

    /// Notes of a state what goes with the cursor.
    pub(crate) fn count(&mut self, state: &State) {
        self.shadows = state.shadows;
        let counters = state.counters.iter();
        self.counters = counters.map(|((own, field), count)| (own.clone(), field.clone(), *count)).collect();
    }
}

/// The tensors `<group>/<name>` of all parameters.
fn group(
    file: &TensorReader,
    group: &str,
    shapes: &[(String, Vec<usize>)],
    masks: &MaskSet,
) -> Result<Vec<Weights>, Error> {
    let stored = |name: &str| format!("{group}/{name}");
    let names = shapes.iter().map(|(name, _)| stored(name));
    let lost: Vec<String> = names.filter(|name| file.shape(name).is_none()).collect();
    if !lost.is_empty() {
        return Err(file.refuse(format!("has no f32 tensor for {}", lost.join(", "))));
    }
    let mut found = Vec::new();
    for (name, shape) in shapes {
        let kept = file.f32(&stored(name), &stored_shape(shape, masks.get(name)))?.unwrap_or_default();
        found.push(Weights { name: name.clone(), shape: shape.clone(), kept });
    }
    Ok(found)
}

/// Names of the checkpoints in a folder, oldest first, none where there is no folder; half-written and damaged ones are not listed.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn list(checkpoints: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(checkpoints) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(source) => return Err(Error::Io { path: checkpoints.to_owned(), doing: "read", source }),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::io(checkpoints, "read"))?.file_name().to_string_lossy().into_owned();
        if name.starts_with("stage-") && !name.ends_with(DAMAGED) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The length of the log, and its SHA-256, that the newest checkpoint with a whole cursor names; `None` where there is none, or one
/// of an earlier version that names no checksum.
pub(crate) fn log_bound(checkpoints: &Path) -> Option<(u64, String)> {
    let whole = |name: &String| {
        let path = checkpoints.join(name);
        let (sums, cursor) = (files::read_text(&path.join(SUMS)).ok()?, files::read(&path.join(CURSOR)).ok()?);
        sums.lines().any(|line| line == format!("{}  {CURSOR}", digest(&cursor))).then_some(cursor)
    };
    // One that goes while it is read has newer ones beside it.
    let cursor = list(checkpoints).ok()?.iter().rev().find_map(whole)?;
    let cursor: Cursor = serde_json::from_slice(&cursor).ok()?;
    Some((cursor.log_bytes, cursor.log_sha256?))
}

/// The stage that a checkpoint of this name goes on with.
pub(crate) fn stage(name: &str) -> Option<usize> {
    name.strip_prefix("stage-")?.split('-').next()?.parse().ok()
}

/// What is appended to the name of a damaged checkpoint.
pub(crate) const DAMAGED: &str = ".damaged";

/// The newest checkpoint whose files are whole; those that are newer are damaged, and set aside as `<name>.damaged`, with a
/// warning. `None` when there is none. Only a checkpoint's own content decides that it is damaged.
///
/// # Errors
/// When the folder or a file cannot be read, the checkpoint is of another version or another experiment, or there are
/// checkpoints and all of them are damaged.
pub(crate) fn newest(
    checkpoints: &Path,
    shapes: &[(String, Vec<usize>)],
) -> Result<Option<(String, Checkpoint)>, Error> {
    let names = list(checkpoints)?;
    for name in names.iter().rev() {
        let path = checkpoints.join(name);
        match Checkpoint::verify(&path) {
            // Its bytes are those that were written: what is wrong with it beyond that has to be mended, not stepped over.
            Ok(()) => return Ok(Some((name.clone(), Checkpoint::read(&path, shapes)?))),
            Err(Error::Io { path, doing, source }) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Io { path, doing, source });
            }
            Err(error) => {
                tracing::warn!("checkpoint {name} is not used: {error}; trying the one before");
                let aside = PathBuf::from(format!("{}{DAMAGED}", path.display()));
                let _ = fs::remove_dir_all(&aside);
                fs::rename(&path, &aside).map_err(Error::io(&path, "set aside"))?;
            }
        }
    }
    if names.is_empty() {
        return Ok(None);
    }
    let why =
        "all checkpoints are damaged; they are set aside as .damaged. `secateur resume RUN --restart` starts over"
            .into();
    Err(Error::Run { path: checkpoints.to_owned(), why })
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
