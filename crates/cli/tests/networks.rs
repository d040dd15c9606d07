//! Networks and data of one's own, from a config to a pruned model: residual, depthwise, VGG, and a list of layers in TOML, on
//! colour images; stopped and resumed to the same bytes, pruned by weights and by whole filters.

mod common;

use common::*;
use secateur_sparse::InstructionSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Rows and columns of the images that a model is tried on. VGG halves them five times; the other one four times, and of single
/// pixels batch normalisation makes more of rounding than tests can bear.
fn side(model: &str) -> u32 {
    if [VGG, MOBILE].contains(&model) { 32 } else { 12 }
}

/// A run on small synthetic colour images with this model and these lines in `[prune]`.
fn config(folder: &Path, model: &str, prune: &str) -> PathBuf {
    let side = side(model);
    let text = format!(
        "name = \"net\"\n{model}\n\
         [data]\nsource = \"synthetic\"\nsynthetic_shape = [3, {side}, {side}]\nsynthetic_train = 64\nsynthetic_test = 32\n\
         validation = 32\nnormalisation = {{ kind = \"training\" }}\naugment = {{ crop = 1, flip = true, cutout = 3 }}\n\
         [train]\nbatch_size = 16\nlength = {{ epochs = 1 }}\noptimizer = {{ kind = \"sgd\", lr = 0.05, momentum = 0.9 }}\n\
         [checkpoint]\nevery_steps = 2\nkeep = 100\n\
         [prune]\nschedule = {{ kind = \"linear\", final = 0.6, prunes = 2 }}\nevery = {{ epochs = 1 }}\n{prune}\n"
    );
    let path = folder.join("net.toml");
    fs::write(&path, text).expect("written");
    path
}

const RESNET: &str = "model = { kind = \"resnet\", depth = 8, width = 4 }";
const RESNET_20: &str = "model = { kind = \"resnet\", depth = 20 }";
const WIDE: &str = "model = { kind = \"wide-resnet\", depth = 10, widen = 1 }";
const MOBILE: &str = "model = { kind = \"mobilenet\", width = 4 }";
const VGG: &str = "model = { kind = \"vgg\", depth = 11, width = 4 }";
const LIST: &str = r#"
[model]
kind = "layers"
name = "two-branches"
layers = [
    { op = "conv2d", outputs = 8, kernel = 3, padding = 1, bias = false, name = "stem" },
    { op = "batch-norm" },
    { op = "relu", name = "base" },
    { op = "conv2d", outputs = 8, kernel = 3, padding = 1 },
    { op = "silu" },
    { op = "add", inputs = ["silu1", "base"] },
    { op = "max-pool", size = 3, stride = 2, padding = 1, name = "left" },
    { op = "average-pool", size = 3, stride = 2, padding = 1, inputs = ["base"], name = "right" },
    { op = "concat", inputs = ["left", "right"] },
    { op = "gelu" },
    { op = "global-average-pool" },
    { op = "flatten" },
    { op = "linear" },
]
"#;

/// Nothing in it has a kink at which rounding decides.
const SMOOTH: &str = r#"
[model]
kind = "layers"
name = "smooth"
layers = [
    { op = "conv2d", outputs = 8, kernel = 3, padding = 1, bias = false },
    { op = "batch-norm" },
    { op = "silu", name = "base" },
    { op = "conv2d", outputs = 8, kernel = 3, padding = 1, bias = false },
    { op = "batch-norm" },
    { op = "gelu" },
    { op = "conv2d", outputs = 8, kernel = 3, padding = 1, groups = 8, bias = false },
    { op = "batch-norm" },
    { op = "add", inputs = ["bn3", "base"] },
    { op = "silu" },
    { op = "average-pool", size = 2 },
    { op = "conv2d", outputs = 12, kernel = 3, stride = 2, padding = 1, bias = false },
    { op = "batch-norm" },
    { op = "gelu" },
    { op = "global-average-pool" },
    { op = "flatten" },
    { op = "linear" },
]
"#;

/// Every option of a training at once, and more.
const ALL_OF_TRAIN: [&str; 7] = [
    "train.weight_decay_of=weights",
    "train.optimizer={ kind = \"sgd\", lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 0.05 }",
    "train.label_smoothing=0.1",
    "train.max_gradient_norm=0.5",
    "train.average={ decay = 0.8, every_steps = 2 }",
    "prune.recalibrate=2",
    "train.lr_schedule={ kind = \"one-cycle\" }",
];

/// These as arguments.
fn set(changes: &[&'static str]) -> Vec<&'static str> {
    changes.iter().flat_map(|change| ["--set", change]).collect()
}

fn run(folder: &Path, config: &Path) -> PathBuf {
    let out = folder.join("out");
    succeed(&["run", text(config), "--out", text(&out)]);
    only_run(&out).expect("a run")
}

fn model(run: &Path) -> Vec<u8> {
    fs::read(run.join("model.safetensors")).expect("a model")
}

/// Values of a tensor of the final model, with its shape.
fn tensor(model: &[u8], name: &str) -> (Vec<usize>, Vec<f32>) {
    let file = safetensors::SafeTensors::deserialize(model).expect("a model");
    let own = file.tensor(name).expect(name);
    let values = own.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    (own.shape().to_vec(), values)
}

/// Rows of a tensor that are all zero.
fn dead(model: &[u8], name: &str) -> Vec<bool> {
    let (shape, values) = tensor(model, name);
    values.chunks_exact(values.len() / shape[0]).map(|row| row.iter().all(|value| *value == 0.0)).collect()
}

#[test]
fn runs_that_are_killed_end_with_the_same_bytes() {
    let mut kills = 0;
    for (model, prune, device, options) in [
        (RESNET, "", "cpu", &[][..]),
        (RESNET, "granularity = { kind = \"filter\" }", "cpu", &[]),
        (RESNET, "", "flex", &[]),
        (RESNET_20, "", "cpu", &[]),
        (RESNET_20, "granularity = { kind = \"filter\" }", "cpu", &[]),
        (VGG, "", "cpu", &[]),
        (VGG, "granularity = { kind = \"filter\" }", "cpu", &[]),
        (MOBILE, "", "cpu", &[]),
        (MOBILE, "granularity = { kind = \"filter\" }", "cpu", &[]),
        (LIST, "scope = \"layerwise\"", "cpu", &[]),
        (LIST, "granularity = { kind = \"filter\" }", "cpu", &[]),
        (LIST, "granularity = { kind = \"filter\" }", "flex", &[]),
        (RESNET, "", "cpu", &ALL_OF_TRAIN),
        (LIST, "", "flex", &ALL_OF_TRAIN),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path(), model, prune);
        let begin = |out: &Path| {
            start(&[&["run", text(&config), "--out", text(out), "--device", device], &set(options)[..]].concat())
        };
        let out = folder.path().join("out");
        assert!(begin(&out).wait().expect("a child").success(), "{model} {prune} {device}");
        let whole = only_run(&out).expect("a run");
        let lines = log_lines(&out);
        for part in [1, 2, 3] {
            let torn = folder.path().join(format!("torn{part}"));
            kills += usize::from(killed_at(begin(&torn), &torn, lines * part / 4));
            let own = only_run(&torn).expect("a run");
            succeed(&["resume", text(&own)]);
            assert_same_run(&whole, &own, &format!("{model} {prune} {device}, killed at {part} of 4"));
        }
        // Whatever the kills met: from each part of its way a run goes on to the same bytes.
        let own = only_run(&folder.path().join("torn1")).expect("a run");
        let count = checkpoints(&own).len();
        assert!(count > 6, "{count} checkpoints");
        for index in [count - 2, count / 2, 1] {
            go_back(&own, index);
            succeed(&["resume", text(&own)]);
            assert_same_run(&whole, &own, &format!("{model} {prune} {device}, from checkpoint {index} of {count}"));
        }
    }
    assert!(kills > 0, "no run was killed before its end");
}

/// Losses of every epoch of a run on this device, on the training images and on the validation split.
fn losses(config: &Path, device: &str, changes: &[&str]) -> Vec<[f64; 2]> {
    let out = tempfile::tempdir().expect("a folder");
    let own = ["run", text(config), "--out", text(out.path()), "--device", device, "--set", "measure.enabled=false"];
    succeed(&[&own, changes].concat());
    let loss = |own: &serde_json::Value, split: &str| own[split]["loss"].as_f64().expect("a loss");
    let ended = facts_of(&only_run(out.path()).expect("a run"), "epoch_ended");
    ended.iter().map(|own| ["train", "validation"].map(|split| loss(own, split))).collect()
}

/// The device `cpu`, with each instruction set of the machine, against burn's, epoch by epoch: losses within a bound of each other.
fn agree(config: &Path, changes: &[&str], about: &str, bound: impl Fn(usize) -> f64) {
    let burn = losses(config, "flex", changes);
    for set in InstructionSet::available() {
        let word = format!("instruction_set={}", set.name());
        let own = losses(config, "cpu", &[changes, &["--set", &word]].concat());
        assert_eq!(own.len(), burn.len());
        for (epoch, (own, burn)) in own.iter().zip(&burn).enumerate() {
            for (own, burn) in own.iter().zip(burn) {
                let distance = (own - burn).abs() / burn.abs().max(1.0);
                assert!(distance < bound(epoch), "{about}, {word}, epoch {epoch}: {own} natively, {burn} on burn's");
            }
        }
    }
}

#[test]
fn native_training_agrees_with_burn() {
    for (model, options) in
        [(RESNET, &[][..]), (WIDE, &[]), (MOBILE, &[]), (VGG, &[]), (LIST, &[]), (RESNET, &ALL_OF_TRAIN)]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path(), model, "");
        // A value near a kink falls to its other side by rounding, which a large step makes more of. The first epoch has four
        // steps; later ones part the two for good.
        let slow = "train.optimizer={ kind = \"sgd\", lr = 0.001, momentum = 0.9 }";
        let options = if options.is_empty() { &[slow] } else { options };
        let bound = |epoch| if epoch == 0 { 1e-4 } else { 2e-2 };
        agree(&config, &set(options), model, bound);
    }
}

#[test]
fn over_hundreds_of_steps_nothing_but_rounding_parts_native_training_from_burn() {
    let lengths = ["train.length={ epochs = 30 }", "prune.every={ epochs = 10 }"];
    for options in [&[][..], &ALL_OF_TRAIN, &["train.optimizer={ kind = \"adamw\", lr = 1e-3 }"]] {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path(), SMOOTH, "");
        agree(&config, &set(&[&lengths, options].concat()), &format!("{options:?}"), |_| 1e-5);
    }
}

#[test]
fn a_pruned_network_is_exported_timed_and_asked() {
    let (weights, filters) = ("", "granularity = { kind = \"filter\" }");
    for (model, prune) in [
        (RESNET, filters),
        (RESNET_20, weights),
        (RESNET_20, filters),
        (VGG, weights),
        (VGG, filters),
        (MOBILE, weights),
        (MOBILE, filters),
        (LIST, weights),
        (LIST, filters),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let run = run(folder.path(), &config(folder.path(), model, prune));
        let measured = facts_of(&run, "measured").pop().expect("the last network is measured");
        let delta = measured["compacted"]["max_logit_delta"].as_f64().expect("a number");
        assert!(delta < 1e-3, "{model}: {delta}");
        let file = folder.path().join("small.secateur");
        let said = succeed(&["export", text(&run), "--compact", "--out", text(&file)]);
        assert!(said.contains("largest difference of a logit") && said.contains("32 test images"), "{said}");
        let macs = |path: &Path| {
            let answer = succeed(&["bench", text(path), "--batch", "1,16", "--seconds", "0.01", "--json"]);
            let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
            let row = answer["results"][1].clone();
            for form in ["dense", "sparse", "compacted"] {
                assert!(row[form]["same_answers"].as_f64().expect("a share") > 0.96, "{model} {form}: {row}");
            }
            row["compacted"]["macs"].as_u64().expect("a count")
        };
        assert_eq!(macs(&run), macs(&file), "{model}");
        let said = succeed(&["bench", text(&file), "--batch", "1", "--values", "f16", "--seconds", "0.01"]);
        assert!(said.contains("weights as f16"), "{model}: {said}");
        in_int8(folder.path(), &run, model);
        for format in ["onnx", "safetensors"] {
            let out = folder.path().join(format!("own.{format}"));
            succeed(&["export", text(&file), "--format", format, "--out", text(&out)]);
            assert!(fs::metadata(&out).expect("written").len() > 1000);
        }
        let picture = folder.path().join("picture.png");
        fs::write(&picture, png(side(model), [200, 30, 90])).expect("written");
        let answer = |path: &Path| -> Vec<f64> {
            let said = succeed(&["predict", text(path), text(&picture), "--json"]);
            let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
            said["logits"].as_array().expect("a list").iter().map(|own| own.as_f64().expect("a number")).collect()
        };
        for (own, small) in answer(&run).into_iter().zip(answer(&file)) {
            assert!((own - small).abs() < 1e-3 * own.abs().max(1.0), "{model}: {own} {small}");
        }
        // The run's model alone tells what network it is.
        let alone = folder.path().join("alone.safetensors");
        fs::copy(run.join("model.safetensors"), &alone).expect("copied");
        let [own, onnx] = ["own.safetensors", "own.onnx"].map(|name| folder.path().join(name));
        for path in [&alone, &own, &onnx] {
            for (own, small) in answer(&run).into_iter().zip(answer(path)) {
                assert!((own - small).abs() < 1e-3 * own.abs().max(1.0), "{model}: {own} {small}");
            }
        }
        let page = folder.path().join("page");
        succeed(&["report", text(&run), "--out", text(&page)]);
        let page = fs::read_to_string(page.join("index.html")).expect("a page");
        assert!(!page.contains("is not shown"), "{model}: the model is on the page");
    }
}

/// Exports the run in int8, with the ranges of its values, and asks the file: its answers are nearly those of the run.
fn in_int8(folder: &Path, run: &Path, model: &str) {
    let file = folder.join("int8.secateur");
    let said = succeed(&["export", text(run), "--values", "int8", "--out", text(&file)]);
    assert!(said.contains("the engine computes in int8: the ranges of its"), "{model}: {said}");
    assert!(said.contains("training images of") && said.contains("as int8: "), "{model}: {said}");
    // The file knows its ranges: neither the run nor the data is needed.
    for (path, more, over) in [
        (run, &["--values", "int8"][..], "training images of"),
        (&file, &[][..], "the images that the file was exported with"),
    ] {
        let typed = [&["bench", text(path), "--batch", "1,16", "--seconds", "0.01", "--json"], more].concat();
        let answer: serde_json::Value = serde_json::from_str(&succeed(&typed)).expect("JSON");
        for row in answer["results"].as_array().expect("rows") {
            let found = row["ranges"].as_str().expect("images");
            assert!(row["values"] == "int8" && found.contains(over), "{model}: {row}");
            for form in ["dense", "sparse", "compacted"] {
                let number = |field: &str| row[form][field].as_f64().expect("a number");
                assert!(number("max_logit_delta") > 0.0 && number("same_answers") > 0.7, "{model} {form}: {row}");
            }
        }
    }
    // As f32 it has no use for them.
    let answer = succeed(&["bench", text(&file), "--values", "f32", "--batch", "1", "--seconds", "0.01", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert!(answer["results"][0]["values"] == "f32" && answer["results"][0]["ranges"].is_null(), "{model}: {answer}");
    let picture = folder.join("grey.png");
    fs::write(&picture, png(side(model), [90, 120, 100])).expect("written");
    let logits = |path: &Path| -> Vec<f64> {
        let said: serde_json::Value =
            serde_json::from_str(&succeed(&["predict", text(path), text(&picture), "--json"])).expect("JSON");
        said["logits"].as_array().expect("a list").iter().map(|own| own.as_f64().expect("a number")).collect()
    };
    let (own, int8) = (logits(run), logits(&file));
    let largest = own.iter().fold(0f64, |most, own| most.max(own.abs()));
    let delta = own.iter().zip(&int8).map(|(own, int8)| (own - int8).abs()).fold(0f64, f64::max);
    assert!(delta > 0.0 && delta < 0.2 * largest.max(0.1), "{model}: {own:?} {int8:?}");
    // Without data nobody knows the ranges.
    let alone = folder.join("without-data.safetensors");
    fs::copy(run.join("model.safetensors"), &alone).expect("copied");
    let out = folder.join("without-data.secateur");
    let said = succeed(&["export", text(&alone), "--values", "int8", "--out", text(&out)]);
    assert!(said.contains("the engine computes with f32: for int8 it takes the ranges"), "{model}: {said}");
}

/// A picture of one colour.
fn png(side: u32, color: [u8; 3]) -> Vec<u8> {
    picture(side, side, &color.repeat((side * side) as usize))
}

/// A picture of these pixels in RGB, row by row.
fn picture(wide: u32, high: u32, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, wide, high);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().expect("into memory");
    writer.write_image_data(pixels).expect("as many as were told");
    writer.finish().expect("into memory");
    bytes
}

#[test]
fn running_statistics_are_part_of_a_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = run(folder.path(), &config(folder.path(), WIDE, ""));
    let (shape, means) = tensor(&model(&whole), "layer1.0.bn1.running_mean");
    assert_eq!(shape, [16]);
    assert!(means.iter().all(|mean| *mean != 0.0), "{means:?}");
    let told: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(whole.join("manifest.json")).expect("there")).expect("JSON");
    assert_eq!(told["description"]["shape"], serde_json::json!([3, 12, 12]));
    assert_eq!(told["scales"].as_array().map(Vec::len), Some(3));
}

#[test]
fn options_of_a_training_do_what_they_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path(), RESNET, "");
    let facts = |name: &str, changes: &[&'static str]| {
        let out = folder.path().join(name);
        succeed(&[&["run", text(&config), "--out", text(&out)][..], &set(changes)].concat());
        let run = only_run(&out).expect("a run");
        let loss = |event: &str, place: usize, split: &str| {
            facts_of(&run, event)[place][split]["loss"].as_f64().expect("a loss")
        };
        let first = ["train", "validation"].map(|split| loss("epoch_ended", 0, split));
        (first, loss("tested", 1, "score"))
    };
    let ([train, validation], just_pruned) = facts("plain", &[]);
    // The steps of an epoch are the same, whatever is averaged beside them.
    let ([averaged_train, averaged], _) = facts("average", &["train.average={ decay = 0.5 }"]);
    assert_eq!(train, averaged_train);
    assert_ne!(validation, averaged);
    let (other_first, recalibrated) = facts("recalibrated", &["prune.recalibrate=4"]);
    assert_eq!([train, validation], other_first);
    assert_ne!(just_pruned, recalibrated);
    for (name, change) in [("smoothing", "train.label_smoothing=0.2"), ("cut", "train.max_gradient_norm=0.1")] {
        let (other, _) = facts(name, &[change]);
        assert_ne!(train, other[0], "{change}");
    }
}

#[test]
fn every_way_of_pruning_takes_a_network_with_branches() {
    let half = "prune.schedule={ kind = \"one-shot\", sparsity = 0.5 }";
    for changes in [
        &["prune.criterion=random"][..],
        &["prune.criterion=lamp"],
        &["prune.criterion=snip", "train.length={ steps = 0 }"],
        &["prune.criterion=taylor"],
        &["prune.criterion=grasp"],
        &["prune.criterion=synflow", "prune.rounds=3"],
        &["prune.criterion=wanda"],
        &["prune.criterion=movement", "device=flex"],
        &["prune.granularity={ kind = \"n-of-m\", n = 2, m = 4 }", half],
        &["prune.granularity={ kind = \"block\", outputs = 2, inputs = 2 }"],
        &["prune.granularity={ kind = \"channel\" }"],
        &["prune.regrow={ kind = \"set\", every = { steps = 2 } }"],
        &["prune.regrow={ kind = \"rigl\", every = { steps = 2 } }"],
        &["retrain.kind=rewind-weights", "retrain.rewind_to={ steps = 2 }"],
        &["prune.scope=erk"],
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path(), RESNET, "");
        let out = folder.path().join("out");
        let more = ["--set", "measure.enabled=false"];
        succeed(&[&["run", text(&config), "--out", text(&out)], &more[..], &set(changes)].concat());
        let run = only_run(&out).expect("a run");
        let tested = facts_of(&run, "tested").pop().expect("a test");
        let [pruned, prunable] = ["pruned", "prunable"].map(|key| tested["size"][key].as_f64().expect("a count"));
        let expected = if changes.contains(&half) { 0.5 } else { 0.6 };
        assert!((pruned / prunable - expected).abs() < 0.03, "{changes:?}: {pruned} of {prunable}");
        assert!(tested["score"]["loss"].as_f64().is_some_and(f64::is_finite), "{changes:?}: {tested}");
        if changes.contains(&"prune.criterion=lamp") {
            let out = folder.path().join("sensitivity");
            let ask = ["--sparsities", "0.5", "--images", "16", "--json", "--out", text(&out)];
            let answer = succeed(&[&["sensitivity", text(&run)], &ask[..]].concat());
            let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
            assert_eq!(answer["layers"].as_array().map(Vec::len), Some(10), "nine convolutions and what answers");
        }
    }
}

#[test]
fn filters_of_a_sum_go_together_with_their_normalisation() {
    let folder = tempfile::tempdir().expect("a folder");
    let config =
        config(folder.path(), RESNET, "granularity = { kind = \"filter\" }\nscope = \"layerwise\"\nround_to = 2");
    let plan = succeed(&["plan", text(&config)]);
    assert!(plan.contains("bn1.weight") && plan.contains("stay       fc.weight"), "{plan}");
    let run = run(folder.path(), &config);
    // What each group of filters bears is a section of a config that can be run.
    let out = folder.path().join("sensitivity");
    let ask = ["--checkpoint", "dense", "--within", "60", "--sparsities", "0.25,0.5", "--out", text(&out)];
    let said = succeed(&[&["sensitivity", text(&run)], &ask[..]].concat());
    assert!(said.contains("\nconv1.weight with layer1.0.conv2.weight\n"), "{said}");
    let (_, after) = said.split_once("and a schedule that ends at ").expect("its end");
    let (end, after) = after.split_once(':').expect("a number");
    let layers = after.split_once("layers = ").expect("a list").1.trim_end();
    let schedule = format!("prune.schedule={{ kind = \"one-shot\", sparsity = {end} }}");
    succeed(&["plan", text(&config), "--set", &schedule, "--set", &format!("prune.layers={layers}")]);
    let model = model(&run);
    // The stem and the block of the first stage add up.
    let gone = dead(&model, "conv1.weight");
    let count = gone.iter().filter(|gone| **gone).count();
    assert_eq!(count, 2, "half of four, a multiple of two: {gone:?}");
    assert_eq!(dead(&model, "layer1.0.conv2.weight"), gone);
    for name in ["bn1.weight", "bn1.bias", "layer1.0.bn2.weight", "layer1.0.bn2.bias"] {
        let zero: Vec<bool> = tensor(&model, name).1.iter().map(|value| *value == 0.0).collect();
        assert!(zero.iter().zip(&gone).all(|(zero, gone)| *zero || !gone), "{name}: {zero:?} {gone:?}");
    }
    let (shape, values) = tensor(&model, "layer2.0.conv1.weight");
    for (place, value) in values.iter().enumerate() {
        assert!(!gone[place / 9 % shape[1]] || *value == 0.0, "what reads a channel that is gone");
    }
}

#[test]
fn a_part_of_what_goes_together_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let prune = "granularity = { kind = \"filter\" }\nexclude = [\"conv1.weight\"]";
    let said = fail(&["plan", text(&config(folder.path(), RESNET, prune))]);
    assert!(said.contains("`conv1.weight` go together") && said.contains("expected both or neither"), "{said}");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path(), RESNET, "");
    for (change, wanted) in [
        ("model.depth=9", "`model`: found a depth of 9, expected 6 n + 2"),
        ("data.synthetic_shape=[3, 2, 12]", "`data.synthetic_shape`"),
        ("data.augment={ crop = 13 }", "`data.augment`: crop is 13, expected at most 12"),
        ("data.normalisation={ kind = \"given\", mean = [0.5], std = [0.5] }", "expected 3, one a channel"),
        ("data.size=[8, 8]", "`data.size`"),
        ("prune.round_to=8", "`prune.round_to`: found 8 with granularity element"),
    ] {
        let said = fail(&["plan", text(&config), "--set", change]);
        assert!(said.contains(wanted), "{change}: {said}");
    }
    let list = LIST.replace("inputs = [\"left\", \"right\"]", "inputs = [\"left\", \"rigth\"]");
    let said = fail(&["plan", text(&self::config(folder.path(), &list, ""))]);
    assert!(said.contains("node `concat1` reads `rigth`, which no node before it gives"), "{said}");
}

#[test]
fn pictures_are_asked_about_as_they_were_trained_on() {
    let folder = tempfile::tempdir().expect("a folder");
    // Two classes: pictures that grow lighter to the right or to the left, of two sizes.
    for (part, count) in [("train", 40), ("test", 16)] {
        for class in ["left", "right"] {
            let dir = folder.path().join("pictures").join(part).join(class);
            fs::create_dir_all(&dir).expect("made");
            for index in 0..count {
                let (wide, high) = [(15, 12), (12, 18)][index % 2];
                let pixels = (0..wide * high).flat_map(|place| {
                    let across = place % wide * 12 + index * place % 41;
                    [across, 200 - across, if class == "left" { 200 - across } else { across }].map(|own| own as u8)
                });
                let bytes = picture(wide as u32, high as u32, &pixels.collect::<Vec<u8>>());
                fs::write(dir.join(format!("{index:02}.png")), bytes).expect("written");
            }
        }
    }
    let dir = folder.path().join("pictures");
    for (model, grey) in [("model = { kind = \"mlp\", hidden = [16] }", true), (LIST, false)] {
        let config = config(folder.path(), model, "");
        let data = format!(
            "data={{ source = \"image-folder\", dir = {:?}, size = [12, 12], grey = {grey}, validation = 16 }}",
            text(&dir)
        );
        let out = folder.path().join(format!("grey-{grey}"));
        succeed(&["run", text(&config), "--out", text(&out), "--set", &data, "--set", "measure.enabled=false"]);
        let run = only_run(&out).expect("a run");
        let mut right = 0;
        let mut pictures = vec![];
        for (class, name) in ["left", "right"].into_iter().enumerate() {
            for index in 0..16 {
                let path = dir.join("test").join(name).join(format!("{index:02}.png"));
                let answer = output(&["predict", text(&run), text(&path), "--json"]);
                assert!(answer.stderr.is_empty(), "{}", stderr(&answer));
                let answer: serde_json::Value = serde_json::from_slice(&answer.stdout).expect("JSON");
                right += u64::from(answer["answer"] == class);
                assert_eq!(answer["class"], ["left", "right"][usize::from(answer["answer"] == 1)]);
                pictures.push(path);
            }
        }
        let tested = facts_of(&run, "tested").pop().expect("a test");
        assert_eq!(tested["score"]["correct"], right, "grey = {grey}");
        // The run's own data, named; and data that is not the model's.
        let file = folder.path().join(format!("grey-{grey}.secateur"));
        let said = succeed(&["export", text(&run), "--out", text(&file), "--data", text(&dir)]);
        assert!(said.contains("32 test images of pictures"), "{said}");
        // The file alone takes them in the same way, when pictures of other sizes are to be scaled.
        let paths: Vec<&str> = pictures.iter().map(|own| text(own)).collect();
        let of_run = succeed(&[&["predict", text(&run)], &paths[..]].concat());
        let of_file = output(&[&["predict", text(&file), "--resize"], &paths[..]].concat());
        assert!(of_file.stderr.is_empty(), "{}", stderr(&of_file));
        assert_eq!(String::from_utf8_lossy(&of_file.stdout), of_run);
        assert!(of_run.lines().all(|line| line.contains(": left (") || line.contains(": right (")), "{of_run}");
        // The page calls classes by their names, too, and so do other files.
        let report = folder.path().join(format!("report-{grey}"));
        succeed(&["report", text(&run), "--out", text(&report)]);
        let page = fs::read_to_string(report.join("index.html")).expect("a page");
        assert!(page.contains("<th scope=\"row\">0 left</th>") && page.contains("<th scope=\"row\">1 right</th>"));
        for (format, end) in [("safetensors", "safetensors"), ("onnx", "onnx")] {
            let other = folder.path().join(format!("grey-{grey}.{end}"));
            succeed(&["export", text(&file), "--format", format, "--out", text(&other)]);
            let bytes = fs::read(&other).expect("written");
            let told = String::from_utf8_lossy(&bytes).replace('\\', "");
            assert!(told.contains("secateur.classes") && told.contains("[\"left\",\"right\"]"), "{format}");
        }
        let other = folder.path().join(format!("grey-{grey}.safetensors"));
        let of_other = succeed(&[&["predict", text(&other), "--resize"], &paths[..1]].concat());
        assert_eq!(of_other.trim_end(), of_run.lines().next().expect("a line"));
        let said = fail(&["bench", text(&file), "--data", "datasets/mnist", "--seconds", "0.01"]);
        assert!(said.contains("expected") && said.contains("as the model takes"), "{said}");
    }
}

#[test]
fn images_of_another_kind_are_described_by_their_files() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, count) in [
        ("data_batch_1", 5),
        ("data_batch_2", 4),
        ("data_batch_3", 4),
        ("data_batch_4", 4),
        ("data_batch_5", 4),
        ("test_batch", 6),
    ] {
        let records = (0..count).flat_map(|record| {
            std::iter::once(record as u8).chain((0..3072).map(move |pixel| (pixel * (record + 3) % 251) as u8))
        });
        fs::write(folder.path().join(format!("{name}.bin")), records.collect::<Vec<u8>>()).expect("written");
    }
    let dir = folder.path().to_owned();
    let config = config(folder.path(), "model = { kind = \"mlp\", hidden = [16] }", "");
    let data = format!("data={{ source = \"cifar10\", dir = {:?}, validation = 3 }}", text(&dir));
    let plan = succeed(&["plan", text(&config), "--set", &data]);
    assert!(plan.contains("18 train, 3 validation, 6 test"), "{plan}");
    let out = folder.path().join("out");
    // Chains of layers are trained, measured, exported and asked natively.
    let changes = ["--set", &data, "--set", "device=cpu", "--set", "measure.enabled=true"];
    succeed(&[&["run", text(&config), "--out", text(&out)], &changes[..]].concat());
    let own = only_run(&out).expect("a run");
    succeed(&["test", text(&own)]);
    let file = folder.path().join("own.secateur");
    succeed(&["export", text(&own), "--out", text(&file)]);
    let picture = folder.path().join("picture.png");
    fs::write(&picture, png(32, [100; 3])).expect("written");
    let (of_run, of_file) =
        (succeed(&["predict", text(&own), text(&picture)]), succeed(&["predict", text(&file), text(&picture)]));
    assert_eq!(of_run, of_file);
}
