//! The verbs on trained models, as a user meets them: what `export` writes, what `bench` says, what `predict` sees, and
//! what each of them refuses.

#[path = "../common/mod.rs"]
mod common;

mod bench;
mod export;
mod measured;
mod predict;

use common::*;
use secateur_trainer::Model;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A finished run on synthetic images, which the tests only read.
fn run() -> &'static Path {
    static RUN: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, run) = RUN.get_or_init(|| {
        let out = folder();
        succeed(&["run", "configs/smoke.toml", "--out", text(out.path())]);
        let run = only_run(out.path()).expect("a run");
        (out, run)
    });
    run
}

/// The network that the run left.
fn model() -> Model {
    Model::open(run(), None).expect("a finished run")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The run's model as a file of its own.
fn exported(folder: &Path) -> PathBuf {
    let out = folder.join("own.secateur");
    succeed(&["export", text(run()), "--out", text(&out)]);
    out
}

/// Writes a file of these bytes.
fn written(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("written");
    path
}

/// Files that are no models, each with what is said of it, whatever verb is asked.
fn no_models(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let good = fs::read(exported(folder)).expect("read");
    let change = |place: usize, own: u8| {
        let mut bytes = good.clone();
        bytes[place] ^= own;
        bytes
    };
    let middle = good.len() / 2;
    let safetensors = fs::read(run().join("model.safetensors")).expect("a model");
    let mut other = safetensors.clone();
    let conv = other.windows(5).position(|own| own == b"conv2").expect("a layer's name");
    other[conv + 4] = b'9';
    vec![
        (folder.join("none.secateur"), "none.secateur"),
        (root().join("configs"), "no run here"),
        (root().join("README.md"), "wanted a run's folder, a .secateur file, or a .safetensors file"),
        (written(folder, "cut.secateur", &good[..middle]), "but says that it has"),
        (written(folder, "bit.secateur", &change(middle, 1)), "the file is damaged: its checksum is"),
        (written(folder, "new.secateur", &change(8, 2)), "version"),
        (written(folder, "text.secateur", b"weights"), "not a model file"),
        (written(folder, "empty.secateur", b""), "not a model file"),
        (written(folder, "cut.safetensors", &safetensors[..100]), "no safetensors file"),
        (written(folder, "other.safetensors", &other), "conv9"),
        (written(folder, "huge.safetensors", &huge()), "no reference model"),
    ]
}

/// A small file that has the first layer of the widest reference model, and nothing of the 4.8 billion weights after it.
fn huge() -> Vec<u8> {
    let header = br#"{"conv1.weight":{"dtype":"F32","shape":[1800,1,3,3],"data_offsets":[0,64800]}}"#;
    [&(header.len() as u64).to_le_bytes()[..], header, &[0; 64_800]].concat()
}
