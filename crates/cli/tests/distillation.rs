//! Learning from another network: the run's own dense one, what it starts from, or that of a file, which may also give labels to
//! inputs that have none; and models that are files.

mod common;

use common::*;
use secateur_graph::{Builder, Embedding, Graph, Linear, Op, Pool, PoolKind, Weights, Window};
use secateur_sparse::file::{Info, Precision, Scale};
use secateur_sparse::{InstructionSet, Ranges, Trained};
use std::fs;
use std::path::{Path, PathBuf};

/// A run on small synthetic images with these lines in `[train]`, and in the config.
fn config(folder: &Path, train: &str, more: &str) -> PathBuf {
    let text = format!(
        "name = \"taught\"\n{more}\n\
         [data]\nsource = \"synthetic\"\nsynthetic_shape = [1, 8, 8]\nsynthetic_train = 64\nsynthetic_test = 32\nvalidation = 32\n\
         [train]\nbatch_size = 16\nlength = {{ epochs = 2 }}\noptimizer = {{ kind = \"sgd\", lr = 0.05, momentum = 0.9 }}\n{train}\n\
         [checkpoint]\nevery_steps = 2\nkeep = 100\n\
         [measure]\nenabled = false\n\
         [prune]\nschedule = {{ kind = \"linear\", final = 0.6, prunes = 2 }}\nevery = {{ epochs = 1 }}\n"
    );
    let path = folder.join("taught.toml");
    fs::write(&path, text).expect("written");
    path
}

/// A chain, and a network of another kind.
const MODELS: [&str; 2] =
    ["model = { kind = \"mlp\", hidden = [24, 12] }", "model = { kind = \"resnet\", depth = 8, width = 4 }"];

fn run(folder: &Path, config: &Path, changes: &[&str]) -> PathBuf {
    let out = folder.join(format!("out{}", fs::read_dir(folder).expect("readable").count()));
    succeed(&[&["run", text(config), "--out", text(&out)], changes].concat());
    only_run(&out).expect("a run")
}

/// Losses of every epoch on the training images.
fn losses(run: &Path) -> Vec<f64> {
    facts_of(run, "epoch_ended").iter().map(|own| own["train"]["loss"].as_f64().expect("a loss")).collect()
}

#[test]
fn a_run_that_learns_from_its_dense_network_ends_with_the_same_bytes_from_wherever_it_goes_on() {
    for (model, device, change) in [
        (MODELS[0], "device=cpu", "threads=1"),
        (MODELS[1], "device=cpu", "data.augment={ shift = 1 }"),
        (MODELS[1], "device=flex", "threads=0"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path(), "distillation = { teacher = \"dense\" }", model);
        let changes = ["--set", device, "--set", change];
        let whole = run(folder.path(), &config, &changes);
        let own = run(folder.path(), &config, &changes);
        let count = checkpoints(&own).len();
        for index in [count - 2, count / 2, 1] {
            go_back(&own, index);
            succeed(&["resume", text(&own)]);
            assert_same_run(&whole, &own, &format!("{model} {device} {change}, from checkpoint {index} of {count}"));
        }
        // The dense training knows nothing of it; what follows a prune learns something else.
        let plain = run(folder.path(), &config, &[&changes[..], &["--set", "train.distillation.weight=1e-6"]].concat());
        let (taught, plain) = (losses(&whole), losses(&plain));
        assert_eq!(taught[..2], plain[..2], "{model}");
        assert!(taught[2..].iter().zip(&plain[2..]).all(|(a, b)| (a - b).abs() > 1e-6), "{taught:?} {plain:?}");
    }
}

#[test]
fn native_training_and_burn_learn_the_same_from_a_teacher() {
    for model in MODELS {
        let folder = tempfile::tempdir().expect("a folder");
        let teacher = run(folder.path(), &config(folder.path(), "", MODELS[0]), &[]);
        let lines = format!(
            "distillation = {{ teacher = \"file\", path = {:?}, temperature = 3.0, weight = 0.7 }}",
            text(&teacher)
        );
        let own = config(folder.path(), &lines, model);
        let first = run(folder.path(), &own, &["--device", "flex"]);
        let told = facts_of(&first, "run_started")[0].to_string();
        assert!(told.contains("sha256") && !told.contains(text(&teacher)), "a teacher is told by its content: {told}");
        let burn = losses(&first);
        for set in InstructionSet::available() {
            let native = losses(&run(folder.path(), &own, &["--set", &format!("instruction_set={}", set.name())]));
            for (epoch, (native, burn)) in native.iter().zip(&burn).enumerate() {
                // Later epochs make more of rounding near kinks.
                let bound = if epoch < 2 { 1e-4 } else { 2e-2 };
                assert!((native - burn).abs() < bound * burn.abs().max(1.0), "{model}, {epoch}: {native}, {burn}");
            }
        }
    }
}

/// With all weight on the teacher, whoever gives the labels: nothing that is trained depends on them.
#[test]
fn images_that_are_varied_are_answered_as_they_are_varied() {
    for change in ["data.augment={ shift = 2 }", "threads=1"] {
        let folder = tempfile::tempdir().expect("a folder");
        let teacher = run(folder.path(), &config(folder.path(), "", MODELS[0]), &[]);
        let lines = format!(
            "distillation = {{ teacher = \"file\", path = {:?}, weight = 1.0 }}\nkeep = \"last\"",
            text(&teacher)
        );
        let own = config(folder.path(), &lines, MODELS[0]);
        let models = ["files", "teacher"].map(|labels| {
            let run = run(folder.path(), &own, &["--set", change, "--set", &format!("data.labels={labels}")]);
            fs::read(run.join("model.safetensors")).expect("a model")
        });
        assert!(models[0] == models[1], "{change}");
    }
}

#[test]
fn a_network_of_features_is_trained_on_bytes_natively_and_by_burn() {
    let folder = tempfile::tempdir().expect("a folder");
    let norm = Op::LayerNorm(secateur_graph::LayerNorm { axes: vec![0], epsilon: 1e-5 });
    let ops = [("norm", norm), ("fc", Op::Linear(Linear::new(3)))];
    let (graph, mut random) = (Graph::sequential(&[12], ops).expect("fits"), numbers(3));
    let mut weights = Weights::neutral(&graph);
    weights.get_mut("fc.weight").expect("there").iter_mut().for_each(|own| *own = 2.0 * random() - 1.0);
    let scales = vec![Scale { divisor: 255.0, shift: -0.5 }];
    let info = Info { name: "features".into(), scales, classes: vec![], ranges: Ranges::default() };
    let file = folder.path().join("features.secateur");
    fs::write(&file, Trained { graph, weights }.encode(&info, Precision::F32).expect("small")).expect("written");
    let mut rows = |count: usize| -> Vec<u8> { (0..count * 12).map(|_| (random() * 256.0) as u8).collect() };
    let inputs = folder.path().join("inputs.npz");
    npz(&inputs, &[("x_train", "|u1", "90, 12", rows(90)), ("x_test", "|u1", "20, 12", rows(20))]);
    let own = of_file(folder.path(), &file, &inputs, FROM_START);
    let [native, burn] = ["cpu", "flex"].map(|device| {
        let run =
            run(folder.path(), &own, &["--device", device, "--set", "data.normalisation={ kind = \"training\" }"]);
        assert_eq!(accuracies(&run)[0], 100.0, "it agrees with itself on {device}");
        losses(&run)
    });
    assert!(native.iter().zip(&burn).all(|(a, b)| (a - b).abs() < 1e-3), "{native:?} {burn:?}");
}

/// An npz file with these arrays, each with its type, its shape, and its values.
fn npz(path: &Path, arrays: &[(&str, &str, &str, Vec<u8>)]) {
    let mut writer = zip::ZipWriter::new(fs::File::create(path).expect("created"));
    for (name, dtype, shape, values) in arrays {
        let text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let head = [b"\x93NUMPY\x01\0".as_slice(), &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat();
        writer.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).expect("begun");
        std::io::Write::write_all(&mut writer, &[&head, values.as_slice()].concat()).expect("written");
    }
    writer.finish().expect("written");
}

/// A run on inputs without labels, of a model that is a file.
fn of_file(folder: &Path, model: &Path, inputs: &Path, train: &str) -> PathBuf {
    let text = format!(
        "name = \"pruned\"\nmodel = {{ kind = \"file\", path = {:?} }}\n\
         [data]\nsource = \"npz\"\ndir = {:?}\nlabels = \"teacher\"\nvalidation = 20\nnormalisation = {{ kind = \"none\" }}\n\
         [train]\nbatch_size = 16\nlength = {{ epochs = 0 }}\noptimizer = {{ kind = \"adam\", lr = 1e-2 }}\n{train}\n\
         [measure]\nenabled = false\n\
         [prune]\nschedule = {{ kind = \"list\", sparsities = [0.5, 0.8] }}\nevery = {{ epochs = 6 }}\n",
        text(model),
        text(inputs)
    );
    let path = folder.join("pruned.toml");
    fs::write(&path, text).expect("written");
    path
}

const FROM_START: &str = "distillation = { teacher = \"start\", temperature = 1.0, weight = 1.0 }";

/// Accuracies of the tests of a run, in percent.
fn accuracies(run: &Path) -> Vec<f64> {
    let number = |own: &serde_json::Value, key: &str| own["score"][key].as_f64().expect("a number");
    facts_of(run, "tested").iter().map(|own| 100.0 * number(own, "correct") / number(own, "total")).collect()
}

/// A network that reads eleven numbers from 0 to 12, each as a row of a table.
fn reader() -> Graph {
    let mut net = Builder::new(&[11]).expect("a shape");
    let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
    let row = |length| Window { size: [1, length], ..Window::square(1) };
    let conv = secateur_graph::Conv2d { window: row(3), ..secateur_graph::Conv2d::new(16, 1) };
    add("letters", Op::Embedding(Embedding { rows: 13, columns: 6 }), &["input"]);
    add("turned", Op::Permute(vec![1, 0]), &["letters"]);
    add("image", Op::Reshape(vec![6, 1, 11]), &["turned"]);
    add("conv", Op::Conv2d(conv), &["image"]);
    add("relu", Op::Activation(secateur_graph::Activation::Relu), &["conv"]);
    add("largest", Op::Pool(Pool { kind: PoolKind::Max, window: row(9) }), &["relu"]);
    add("flat", Op::Flatten, &["largest"]);
    add("fc", Op::Linear(Linear::new(4)), &["flat"]);
    net.finish()
}

/// Numbers that are the same on every machine.
fn numbers(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32
    }
}

#[test]
fn a_network_that_reads_numbers_is_pruned_on_inputs_without_labels() {
    let folder = tempfile::tempdir().expect("a folder");
    let (graph, mut random) = (reader(), numbers(7));
    let mut weights = Weights::neutral(&graph);
    for own in graph.parameters() {
        weights.get_mut(&own.name).expect("there").iter_mut().for_each(|own| *own = 2.0 * random() - 1.0);
    }
    let scales = vec![Scale { divisor: 1.0, shift: 0.0 }];
    let info = Info { name: "reader".into(), scales, classes: vec![], ranges: Ranges::default() };
    let bytes = Trained { graph, weights }.encode(&info, Precision::F32).expect("small");
    let file = folder.path().join("reader.secateur");
    fs::write(&file, bytes).expect("written");
    let mut rows =
        |count: usize| -> Vec<u8> { (0..count * 11).flat_map(|_| ((random() * 13.0) as i16).to_le_bytes()).collect() };
    let inputs = folder.path().join("inputs.npz");
    npz(&inputs, &[("x_train", "<i2", "180, 11", rows(180)), ("x_test", "<i2", "64, 11", rows(64))]);
    let config = of_file(folder.path(), &file, &inputs, FROM_START);
    let own = run(folder.path(), &config, &[]);
    let found = accuracies(&own);
    // Dense, then just pruned and retrained, twice.
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(found[0] == 100.0, "it agrees with itself: {found:?}");
    assert!(found[4] > found[3] && found[4] >= 60.0, "it learns: {found:?}");
    // The run needs the file no more, nor does what is made of it.
    fs::remove_file(&file).expect("removed");
    fs::remove_file(own.join("model.safetensors")).expect("removed");
    succeed(&["resume", text(&own)]);
    assert!(succeed(&["test", text(&own)]).contains(&format!("{:.2}", found[4])));
    let small = folder.path().join("small.onnx");
    succeed(&["export", text(&own), "--out", text(&small)]);
    assert_eq!(
        succeed(&["predict", text(&own), text(&inputs), "--index", "3"]),
        succeed(&["predict", text(&small), text(&inputs), "--index", "3"])
    );
    // A run is a model file, too: what was pruned goes on being pruned.
    let next = of_file(folder.path(), &own, &inputs, FROM_START);
    let again =
        run(folder.path(), &next, &["--set", "start_zeros=pruned", "--set", "prune.schedule.sparsities=[0.85]"]);
    assert_eq!(accuracies(&again)[0], 100.0, "it is its own teacher");
}

#[test]
fn faults_are_found_before_anything_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = config(folder.path(), "", MODELS[0]);
    let teacher = run(folder.path(), &base, &[]);
    let large = run(folder.path(), &base, &["--set", "data.synthetic_shape=[1, 9, 9]"]);
    let file =
        |path: &Path, more: &str| format!("train.distillation={{ teacher = \"file\", path = {:?}{more} }}", text(path));
    let model = |path: &Path| format!("model={{ kind = \"file\", path = {:?} }}", text(path));
    let missing = folder.path().join("none.onnx");
    for (changes, expected) in [
        (
            vec!["train.distillation={ teacher = \"start\" }".to_owned()],
            "found `start`, expected a `start`, or a model of kind `file`",
        ),
        (
            vec!["train.distillation={ teacher = \"file\" }".into()],
            "`train.distillation.path`: expected the file whose network teaches",
        ),
        (vec!["train.distillation={ teacher = \"dense\", path = \"x\" }".into()], "found \"x\", expected none"),
        (
            vec!["train.distillation={ teacher = \"dense\", temperature = 0.0 }".into()],
            "found 0, expected from 0.001 to 1000",
        ),
        (
            vec!["train.distillation={ teacher = \"dense\", weight = 1.5 }".into()],
            "found 1.5, expected above 0 and at most 1",
        ),
        (
            vec!["train.distillation={ teacher = \"dense\" }".into(), "prune.enabled=false".into()],
            "expected a [prune] section",
        ),
        (vec!["data.labels=teacher".into()], "expected a train.distillation whose teacher is `start` or `file`"),
        (vec![file(&missing, "")], "none.onnx: cannot read"),
        (vec![file(&teacher, ", sha256 = \"00\"")], "expected 64 hexadecimal digits"),
        (vec![file(&large, "")], "`train.distillation`: found a model that takes [1, 9, 9]"),
        (vec![model(&missing)], "none.onnx: cannot read"),
        (vec![model(&large)], "found a model that takes [1, 9, 9], expected one for the data's images of [1, 8, 8]"),
        (
            vec![format!("model={{ kind = \"file\", path = {:?}, sha256 = \"00\" }}", text(&teacher))],
            "expected 64 hexadecimal digits",
        ),
        (
            vec![format!("model={{ kind = \"file\", path = {:?}, sha256 = \"{}\" }}", text(&teacher), "0".repeat(64))],
            "found another model, of SHA-256",
        ),
    ] {
        let set: Vec<&str> = changes.iter().flat_map(|change| ["--set", change]).collect();
        let out = folder.path().join("refused");
        let said = fail(&[&["run", text(&base), "--out", text(&out)], &set[..]].concat());
        assert!(said.contains(expected), "{changes:?}: {said}");
        assert!(!out.exists(), "{changes:?} left something");
    }
    // Numbers of rows are not scaled, and a teacher answers the model's classes.
    let inputs = folder.path().join("inputs.npz");
    npz(
        &inputs,
        &[("x_train", "<i4", "30, 8, 8", vec![0; 30 * 64 * 4]), ("x_test", "<i4", "4, 8, 8", vec![0; 4 * 64 * 4])],
    );
    let own = of_file(folder.path(), &teacher, &inputs, FROM_START);
    let said = fail(&["run", text(&own), "--set", "data.normalisation={ kind = \"centred\" }"]);
    assert!(said.contains("found whole numbers, which the network takes as they are"), "{said}");
    let said = fail(&["run", text(&own), "--set", "data.labels=files"]);
    assert!(said.contains("y_train: cannot be read"), "{said}");
}
