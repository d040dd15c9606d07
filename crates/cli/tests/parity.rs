//! Every device against flex, burn's CPU backend, our own kernels on each instruction set of the machine: the same losses within rounding, and nearly the same masks.
//!
//! Rounding differs from device to device, so weights drift apart step by step; a prune early in training must still
//! choose nearly the same weights.
#![cfg(feature = "flex")]

mod common;

use common::*;
use safetensors::SafeTensors;
use secateur_sparse::InstructionSet;
use std::path::{Path, PathBuf};

/// A short run with small batches: one size of batch, since some devices compile anew for each.
fn run(out: &Path, device: &str, changes: &[&str]) -> PathBuf {
    let sizes = ["data.synthetic_train=320", "data.synthetic_test=64", "data.validation=64", "train.batch_size=32"];
    let mut args = vec!["run", "configs/smoke.toml", "--device", device, "--out", text(out)];
    let schedule = ["prune.schedule={ kind = \"list\", sparsities = [0.5, 0.9] }"];
    for change in sizes.iter().chain(&schedule).chain(changes) {
        args.extend(["--set", change]);
    }
    succeed(&args);
    only_run(out).expect("a run")
}

fn losses(run: &Path) -> Vec<f64> {
    facts_of(run, "epoch_ended").iter().map(|epoch| epoch["train"]["loss"].as_f64().expect("a number")).collect()
}

/// Kept bits of all masks of the newest checkpoint.
fn kept(run: &Path) -> Vec<u8> {
    let (_, state) = newest_state(run);
    let tensors = SafeTensors::deserialize(&state).expect("a state");
    let mut names: Vec<String> =
        tensors.names().into_iter().filter(|name| name.starts_with("mask/")).map(String::from).collect();
    names.sort();
    names.iter().flat_map(|name| tensors.tensor(name).expect("a mask").data().to_vec()).collect()
}

/// A device, and what is set on it alone.
type Device = (&'static str, Vec<String>);

/// Our own kernels, on each instruction set of the machine.
fn own() -> Vec<Device> {
    let set = |set: InstructionSet| ("cpu", vec![format!("instruction_set={}", set.name())]);
    InstructionSet::available().into_iter().map(set).collect()
}

fn run_on(out: &Path, (device, own): &Device, changes: &[&str]) -> PathBuf {
    run(out, device, &own.iter().map(String::as_str).chain(changes.iter().copied()).collect::<Vec<_>>())
}

fn check(devices: &[Device], changes: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let flex = run(folder.path(), "flex", changes);
    for device in devices {
        let folder = tempfile::tempdir().expect("a folder");
        compare(&flex, &run_on(folder.path(), device, changes), &format!("{device:?}"));
    }
}

fn compare(flex: &Path, other: &Path, device: &str) {
    for (epoch, (flex, other)) in losses(flex).iter().zip(losses(other)).enumerate() {
        println!("{device}: epoch {epoch}: loss {other}, flex {flex}");
        assert!((flex - other).abs() <= 1e-2 * flex, "{device}: epoch {epoch}: loss {other}, flex {flex}");
    }
    let (flex, other) = (kept(flex), kept(other));
    assert_eq!(flex.len(), other.len());
    let ones = |bytes: &mut dyn Iterator<Item = u8>| bytes.map(|byte| u64::from(byte.count_ones())).sum::<u64>();
    let both = ones(&mut flex.iter().zip(&other).map(|(a, b)| a & b));
    let either = ones(&mut flex.iter().zip(&other).map(|(a, b)| a | b));
    println!("{device}: masks share {both} of {either} kept weights");
    assert!(both as f64 >= 0.98 * either as f64, "{device}: masks share {both} of {either} kept weights");
}

/// Of the same weights the masks are the same, to the bit: the network is pruned as it was drawn.
fn same_masks(devices: &[Device]) {
    let fresh = [
        "train.length={ steps = 0 }",
        "prune.every={ steps = 1 }",
        "prune.schedule={ kind = \"one-shot\", sparsity = 0.5 }",
    ];
    for more in [
        &["prune.criterion=lamp"][..],
        &["prune.criterion=random", "prune.scope=layerwise"],
        &["prune.granularity={ kind = \"n-of-m\", n = 2, m = 4 }"],
        &["prune.granularity={ kind = \"filter\" }", "prune.exclude=[\"fc3.*\"]", "prune.scope=mac-aware"],
    ] {
        let masks = |device: &Device| {
            let out = tempfile::tempdir().expect("a folder");
            kept(&run_on(out.path(), device, &[&fresh[..], more].concat()))
        };
        let flex = masks(&("flex", vec![]));
        for device in devices {
            assert!(flex == masks(device), "{device:?}: {more:?} chose other masks than on flex");
        }
    }
}

#[test]
fn our_own_kernels_agree_with_flex() {
    check(&own(), &[]);
    same_masks(&own());
}

#[test]
fn our_own_kernels_agree_with_flex_on_other_models_and_optimizers() {
    let adamw = "train.optimizer={ kind = \"adamw\", lr = 1e-3, weight_decay = 0.1 }";
    check(&own(), &["model={ kind = \"lenet-5\" }", adamw]);
    let sgd = "train.optimizer={ kind = \"sgd\", lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 1e-3 }";
    check(&own(), &["model={ kind = \"lenet-300-100\" }", sgd, "prune.include=[\"*\"]"]);
    check(&own(), &["train.optimizer={ kind = \"sgd\", lr = 0.05 }", "train.paths=sparse", "prune.scope=global"]);
    let options = ["train.weight_decay_of=weights", "train.label_smoothing=0.1", "train.max_gradient_norm=0.5"];
    let average = ["train.average={ decay = 0.9 }", sgd];
    check(&own(), &[&["model={ kind = \"lenet-5\" }"], &options[..], &average].concat());
}

#[cfg(feature = "wgpu")]
#[test]
fn wgpu_agrees_with_flex() {
    check(&[("wgpu", vec![])], &[]);
    same_masks(&[("wgpu", vec![])]);
}

#[cfg(feature = "ndarray")]
#[test]
fn ndarray_agrees_with_flex() {
    check(&[("ndarray", vec![])], &[]);
    same_masks(&[("ndarray", vec![])]);
}
