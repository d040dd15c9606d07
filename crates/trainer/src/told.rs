//! What a run tells of itself in the first line of its log: its config as data. Whatever a config gains lands there by itself,
//! so that runs that differ in it are never taken for repetitions of each other.

use crate::Experiment;
use crate::config::ExperimentConfig;
use crate::folder::{self, experiment_text, read_experiment};
use secateur_pruner::Measure;
use secateur_report::event::{Choice, LayerFacts, Method, RunStarted, Settings, Unit};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// SHA-256 of the files that a run reads besides its data, in hexadecimal.
#[derive(Clone, Copy, Debug, Default)]
pub struct InputHashes<'a> {
    /// Of the file that it starts from.
    pub start: Option<&'a str>,
    /// Of the file of scores that it prunes by.
    pub scores: Option<&'a str>,
}

/// Keys that no result depends on, or that the event tells by themselves.
const TOLD: [&str; 10] =
    ["name", "seed", "device", "threads", "instruction_set", "start", "model", "checkpoint", "measure", "retrain"];
const TOLD_OF_TRAIN: [&str; 3] = ["batch_size", "optimizer", "lr_schedule"];
const TOLD_OF_DATA: [&str; 5] = ["dir", "validation", "split_seed", "synthetic_train", "synthetic_test"];
const TOLD_OF_PRUNE: [&str; 8] =
    ["enabled", "criterion", "scores", "granularity", "scope", "schedule", "regrow", "until"];

impl Experiment {
    /// The first event of the run's log.
    pub fn started(&self, dataset: &str, files: InputHashes<'_>) -> RunStarted {
        let (config, graph) = (self.config(), self.graph());
        let layers = graph.layer_sizes().into_iter().map(|layer| LayerFacts {
            name: layer.name,
            parameters: layer.parameters as u64,
            macs: layer.macs as u64,
        });
        RunStarted {
            name: config.name.clone(),
            seed: config.seed,
            model: config.model.to_string(),
            dataset: dataset.to_owned(),
            classes: self.data().classes as u64,
            images: self.images(),
            split_seed: (!config.data.source.is_drawn()).then_some(config.data.split_seed),
            start_sha256: files.start.map(str::to_owned),
            batch_size: config.train.batch_size as u64,
            optimizer: choice(&config.train.optimizer),
            lr_schedule: Some(choice(&config.train.lr_schedule)),
            settings: Some(settings(config, self.prunes())),
            method: self.method(files.scores),
            planned_steps: self.plan().steps(),
            planned_prunes: self.plan().prunes() as u64,
            parameters: graph.parameter_count() as u64,
            prunable: self.prunable_elements() as u64,
            macs: graph.macs() as u64,
            layers: layers.collect(),
            device: config.device.clone(),
        }
    }

    fn method(&self, scores: Option<&str>) -> Option<Method> {
        let (prune, pruning) = (self.config().prune.as_ref()?, self.pruning()?);
        let target_of = match pruning.targets().measure {
            Measure::Macs => Unit::Macs,
            Measure::Weights if prune.schedule.counts_parameters() => Unit::Parameters,
            Measure::Weights => Unit::Prunable,
        };
        prune.enabled.then(|| Method {
            criterion: prune.criterion.to_string(),
            granularity: choice(&prune.granularity),
            scope: prune.scope().to_string(),
            schedule: choice(&prune.schedule),
            target_of: Some(target_of),
            regrow: prune.regrow.as_ref().map(choice),
            until: prune.until.as_ref().map(table),
            retrain: choice(&self.config().retrain),
            scores_sha256: scores.map(str::to_owned),
            others: Some(without(table(prune), &TOLD_OF_PRUNE)),
        })
    }
}

/// What else of the config a result depends on. What a dense control would prune by changes nothing but its plan.
fn settings(config: &ExperimentConfig, prunes: bool) -> Settings {
    let mut all = table(config);
    let section = |all: &mut Settings, name: &str, told: &[&str]| {
        if let Some(Value::Object(map)) = all.get_mut(name) {
            told.iter().for_each(|key| {
                map.remove(*key);
            });
        }
    };
    section(&mut all, "train", &TOLD_OF_TRAIN);
    section(&mut all, "data", &TOLD_OF_DATA);
    // A teacher's file is told by its content.
    if let Some(Value::Object(own)) = all.get_mut("train").and_then(|train| train.get_mut("distillation")) {
        own.remove("path");
    }
    let every = config.prune.as_ref().filter(|_| !prunes).map(|prune| table(&prune.every));
    let retrain = (!prunes).then(|| all.remove("retrain")).flatten();
    all = without(all, &TOLD);
    all.remove("prune");
    all.extend(every.map(|every| ("prune".to_owned(), serde_json::json!({ "every": every }))));
    all.extend(retrain.map(|retrain| ("retrain".to_owned(), retrain)));
    all
}

/// A config's value as JSON. By way of text, in which a single-precision number has the digits that were typed.
fn json<T: for<'de> serde::Deserialize<'de>>(value: &impl Serialize) -> T {
    let text = serde_json::to_string(value).expect("a config is plain data with string keys");
    serde_json::from_str(&text).expect("a section of a config is a table")
}

fn choice(value: &impl Serialize) -> Choice {
    json(value)
}

fn table(value: &impl Serialize) -> Settings {
    json(value)
}

fn without(mut all: Settings, keys: &[&str]) -> Settings {
    keys.iter().for_each(|key| {
        all.remove(*key);
    });
    all
}

/// What the log of an earlier version would tell today, from the config and the manifest beside it; `None` where these cannot be
/// read, or say something else than the log does.
pub fn told(run: &Path, logged: &RunStarted) -> Option<RunStarted> {
    let (experiment, manifest) = (read_experiment(run).ok()?, folder::read_manifest(run).ok()?);
    let [start, scores] =
        [&manifest.start, &manifest.scores].map(|file| file.as_ref().map(|file| file.sha256.as_str()));
    let mut told = experiment.started(&logged.dataset, InputHashes { start, scores });
    // Before the split had a seed of its own, the run's seed drew the validation images.
    if !experiment_text(run).ok()?.1.contains("split_seed") {
        told.split_seed = None;
    }
    told.device.clone_from(&logged.device);
    let of = |started: &RunStarted| {
        let RunStarted { name, seed, model, images, batch_size, parameters, .. } = started.clone();
        let RunStarted { planned_steps, planned_prunes, prunable, macs, layers, .. } = started.clone();
        let method = started
            .method
            .as_ref()
            .map(|method| (method.criterion.clone(), method.scope.clone(), method.retrain.kind().to_owned()));
        (
            (name, seed, model, images, batch_size, parameters),
            (planned_steps, planned_prunes, prunable, macs, layers),
            method,
        )
    };
    (of(&told) == of(logged)).then_some(told)
}

#[cfg(test)]
#[path = "told_tests.rs"]
mod tests;
