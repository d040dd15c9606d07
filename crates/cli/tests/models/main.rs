//! The verbs on trained models, as a user meets them: what `export` writes, what `bench` says, what `predict` sees, and
//! what each of them refuses.

#[path = "../common/mod.rs"]
mod common;

mod bench;
mod export;
mod measured;
mod predict;
mod prune;

use common::*;
use secateur_graph::{Conv2d, Graph, Op, Weights};
use secateur_sparse::file::{Info, Precision, Scale, encode, seal};
use secateur_sparse::{Ranges, Trained};
use secateur_trainer::Model;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
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

/// The model that the run left.
fn model() -> Model {
    Model::open(run(), None).expect("a finished run")
}

/// Its network.
fn network() -> Trained {
    model().network
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
    let mut graph = safetensors.clone();
    let pool = graph.windows(10).position(|own| own == b"max-pool2d").expect("a kind of node");
    graph[pool + 8] = b'3';
    vec![
        (folder.join("none.secateur"), "none.secateur"),
        (root().join("configs"), "no run here"),
        (root().join("README.md"), "expected a run's folder, or a .secateur, .safetensors or .onnx file"),
        (written(folder, "text.onnx", b"weights"), "no ONNX model: "),
        (written(folder, "empty.onnx", b""), "no ONNX model: it has no graph"),
        (written(folder, "cut.secateur", &good[..middle]), "but says that it has"),
        (written(folder, "bit.secateur", &change(middle, 1)), "the file is damaged: its checksum is"),
        (written(folder, "new.secateur", &change(8, 8)), "version"),
        (written(folder, "text.secateur", b"weights"), "not a model file"),
        (written(folder, "empty.secateur", b""), "not a model file"),
        (written(folder, "padded.secateur", &padded(1 << 27, 1 << 28)), "node `c`: the network up to here has"),
        (
            written(folder, "wide.secateur", &padded(8191, 16_384)),
            "a layer takes or gives 268402689 numbers for an image",
        ),
        (written(folder, "cut.safetensors", &safetensors[..100]), "no safetensors file"),
        (written(folder, "other.safetensors", &other), "conv9"),
        (
            written(folder, "graph.safetensors", &graph),
            "`graph` of the header: no graph as JSON: unknown variant `max-pool3d`",
        ),
        (written(folder, "huge.safetensors", &huge()), "no reference model"),
    ]
}

/// A sealed file of some 140 bytes with an image of one pixel and a convolution of one weight, which puts so many zeros
/// around the image, and by its stride gives few numbers.
fn padded(padding: u32, stride: u32) -> Vec<u8> {
    let conv = Op::Conv2d(Conv2d::new(1, 1).stride(2).padding(1));
    let graph = Graph::sequential(&[1, 1, 1], [("c", conv)]).expect("fits");
    let info = Info {
        name: "padded".into(),
        scales: vec![Scale { divisor: 255.0, shift: -0.5 }],
        classes: vec![],
        ranges: Ranges::default(),
    };
    let mut bytes = encode(&graph, &Weights::neutral(&graph), &info, Precision::F32).expect("finite");
    let sides = |stride: u32, padding: u32| [1, 1, stride, stride, padding, padding].map(u32::to_le_bytes).concat();
    let place = bytes.windows(24).position(|own| own == sides(2, 1)).expect("the layer's window");
    bytes[place..place + 24].copy_from_slice(&sides(stride, padding));
    seal(&mut bytes);
    bytes
}

/// Where memory is short, files that ask for much of it are refused all the same.
#[test]
fn small_files_that_ask_for_much_memory_are_refused_within_little() {
    let folder = folder();
    let image = written(folder.path(), "image.png", b"");
    let out = folder.path().join("out.onnx");
    for (name, padding, stride, wanted) in [
        ("padded.secateur", 1 << 27, 1 << 28, "node `c`: the network up to here has"),
        ("wide.secateur", 8191, 16_384, "numbers for an image, expected at most "),
    ] {
        let model = written(folder.path(), name, &padded(padding, stride));
        for args in [&["predict", text(&model), text(&image)][..], &["export", text(&model), "--out", text(&out)]] {
            // In KiB, of addresses: half of what the padded image alone would take.
            let script = "ulimit -v 524288 && exec \"$0\" \"$@\"";
            let mut shell = Command::new("sh");
            shell.args(["-c", script, env!("CARGO_BIN_EXE_secateur")]).args(args).current_dir(root());
            let output = shell.output().expect("a shell");
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
            assert!(said.contains(name) && said.contains(wanted), "{args:?}: {said}");
        }
    }
    assert!(!out.exists());
}

/// A small file that has the first layer of the widest reference model, and nothing of the 4.8 billion weights after it.
fn huge() -> Vec<u8> {
    let header = br#"{"conv1.weight":{"dtype":"F32","shape":[1800,1,3,3],"data_offsets":[0,64800]}}"#;
    [&(header.len() as u64).to_le_bytes()[..], header, &[0; 64_800]].concat()
}
