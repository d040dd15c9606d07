//! Configurations that make no sense are refused by name; names of runs follow what defines them.

use super::*;

const TEXT: &str = r#"
    name = "small"
    model = { kind = "lenet", width = 1 }
    train = { length = { epochs = 2 } }
    [prune]
    schedule = { kind = "one-shot", sparsity = 0.9 }
    every = { steps = 10 }
"#;

fn experiment(changes: &[&str]) -> Result<Experiment, Error> {
    let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
    Experiment::on_data(ExperimentConfig::parse("small", TEXT, &changes)?, data::MNIST)
}

#[test]
fn faults_are_named_with_found_and_wanted() {
    for (change, wanted) in [
        ("name=\"a/b\"", "`name`: found \"a/b\""),
        ("name=\".hidden\"", "no dot first"),
        ("device=tpu", "device is `tpu`, did you mean `cpu`?; expected one of cpu, flex"),
        ("model.width=0", "`model`: node `conv1` (conv2d, 0 filters of 3x3): expected at least one filter"),
        ("threads=1025", "`threads`: expected at most 1024, 0 for every core, found 1025"),
        ("start_zeros=pruned", "`start_zeros`: found `pruned`, wanted a `start`"),
        ("train.batch_size=0", "`train.batch_size`: found 0"),
        ("train.optimizer={kind=\"adam\", lr=0.0}", "`train.optimizer`: lr is 0.0"),
        ("train.optimizer={kind=\"adam\", lr=1e300}", "`train.optimizer`: lr is 1e300, expected above 0"),
        (
            "model.width=300",
            "`model`: node `fc1`: the network up to here has 4397818800 parameters, expected at most 536870912",
        ),
        ("prune.until={ within = 0.3, control = 0.992 }", "`prune.until`: control is 0.992"),
        (
            "prune.regrow={ kind = \"set\", every = { steps = 10 } }",
            "`prune.regrow`: masks never move: `every` is 10 steps",
        ),
        ("prune.calibration=1000000000", "`prune.calibration`: found 1000000000, expected at most the 55000"),
        (
            "train.lr_schedule={kind=\"cosine\", warmup={steps=100000000}}",
            "`train.lr_schedule`: a warm-up of 100000000 steps",
        ),
        ("data.split_seed=9223372036854775808", "data.split_seed"),
        ("data.validation=60000", "`data.validation`: found 60000, expected fewer than the 60000 training images"),
        ("prune.include=[\"fc9.*\"]", "pattern `fc9.*` matches no parameter"),
        ("prune.schedule={kind=\"list\", sparsities=[0.9, 0.5]}", "goes down"),
        ("prune.schedule={kind=\"cubic\", final=0.9, prunes=0}", "no prune"),
        ("retrain.kind=rewind-lr", "`retrain.rewind_to`"),
        ("retrain.rewind_to={steps=1}", "fine-tune does not rewind"),
        ("retrain={kind=\"rewind-weights\", rewind_to={epochs=3}}", "found 3 epochs, wanted a point within"),
        ("retrain.lr=-1.0", "`retrain.lr`: lr is -1.0"),
        ("train.early_stop={patience=0}", "`train.early_stop.patience`"),
        ("train.label_smoothing=1.0", "`train.label_smoothing`: found 1, expected at least 0 and below 1"),
        ("train.label_smoothing=-0.1", "`train.label_smoothing`: found -0.1"),
        ("train.max_gradient_norm=0.0", "`train.max_gradient_norm`: found 0, expected a finite number above 0"),
        ("train.max_gradient_norm=inf", "`train.max_gradient_norm`: found inf"),
        ("train.weight_decay_of=weights", "`train.weight_decay_of`: found `weights`, expected an optimizer with"),
        ("train.average={ decay = 1.0 }", "`train.average.decay`: found 1, expected above 0 and below 1"),
        ("train.average={ decay = 0.9, every_steps = 0 }", "`train.average.every_steps`: found 0"),
        ("prune.recalibrate=10", "`prune.recalibrate`: the model has no batch normalisation"),
        ("checkpoint.keep=1", "`checkpoint.keep`: found 1, wanted at least 2"),
        ("checkpoint.every_steps=0", "`checkpoint.every_steps`"),
        ("test.every_cycles=0", "`test.every_cycles`"),
        ("train.length={steps=9000000000000000000}", "wanted at most"),
        ("train.lr_schedule={kind=\"step\", every={steps=0}, factor=0.1}", "every is 0"),
    ] {
        let found = experiment(&[change]).expect_err(change).to_string();
        assert!(found.contains(wanted), "{change}: {found}");
    }
}

#[test]
fn an_average_and_masks_that_move_do_not_go_together() {
    let average = "train.average={ decay = 0.9 }";
    let moving = "prune.regrow={ kind = \"set\", every = { steps = 2 } }";
    let found = experiment(&[average, moving]).expect_err("both").to_string();
    assert!(found.contains("`train.average`: masks that move"), "{found}");
    for alone in [&[average][..], &[moving], &[average, moving, "prune.enabled=false"]] {
        experiment(alone).expect("valid");
    }
}

#[test]
fn a_run_is_named_by_what_its_result_depends_on() {
    let name = |changes: &[&str]| experiment(changes).expect("valid").run_name();
    let plain = name(&[]);
    assert!(
        plain.starts_with("small-") && plain.ends_with("-s1") && plain.len() == "small-01234567-s1".len(),
        "{plain}"
    );
    assert_eq!(name(&["data.dir=/elsewhere/mnist"]), plain, "only the folder's own name counts");
    for change in ["model.width=2", "data.dir=datasets/fashion-mnist", "device=wgpu"] {
        assert_ne!(name(&[change]), plain, "{change}");
    }
    assert_eq!(name(&["seed=2"]).strip_suffix("-s2"), plain.strip_suffix("-s1"));
}

#[test]
fn the_first_event_counts_the_model() {
    let started = experiment(&[]).expect("valid").started("mnist", crate::InputHashes::default());
    assert_eq!((started.parameters, started.prunable), (60_074, 59_838), "236 biases are not pruned");
    assert_eq!(started.images, event::Images { train: 55_000, validation: 5_000, test: 10_000 });
    assert_eq!(started.planned_steps, 2 * 430 + 10);
    assert_eq!(started.layers.len(), 5);
    let all = experiment(&["prune.include=[\"*\"]"]).expect("valid").started("mnist", crate::InputHashes::default());
    assert_eq!(all.prunable, all.parameters);
}

#[test]
fn a_path_that_toml_cannot_hold_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let torn = || std::path::PathBuf::from(std::ffi::OsStr::from_bytes(b"/data/\xff"));
    let mut data = ExperimentConfig::parse("small", TEXT, &[]).expect("valid");
    let mut start = data.clone();
    data.data.dir = torn();
    start.start = Some(torn());
    for (config, key) in [(data, "`data.dir`"), (start, "`start`")] {
        let found = Experiment::on_data(config, data::MNIST).expect_err(key).to_string();
        assert!(found.contains(key) && found.contains(r#"in UTF-8"#) && found.contains(r#""/data/\xFF""#), "{found}");
    }
}

#[test]
fn what_is_hardly_meant_is_told() {
    let warnings = |changes: &[&str]| experiment(changes).expect("valid").warnings();
    assert_eq!(warnings(&[]), [] as [String; 0]);
    let cosine = "train.lr_schedule={kind=\"cosine\"}";
    let rewind = "retrain={kind=\"rewind-weights\", rewind_to={steps=100}, final={epochs=2}}";
    let found = warnings(&[cosine, rewind]);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("100 steps of retraining have a learning rate of 3.3e-9: "), "{found:?}");
    // The same training has something to do under a floor, and where one schedule spans the run.
    assert!(warnings(&["train.lr_schedule={kind=\"cosine\", floor=0.01}", rewind]).is_empty());
    assert!(warnings(&["train.lr_schedule={kind=\"cosine\", restart=\"never\"}", rewind]).is_empty());
    let found = warnings(&["train.lr_schedule={kind=\"cosine\", warmup={steps=10}}"]);
    assert!(found[0].contains("is as long as 1 of the 2 trainings"), "{found:?}");
    let found = warnings(&["data.validation=59999"]);
    assert!(found[0].starts_with("fewer training images (1) than `train.batch_size` = 128"), "{found:?}");
}

#[test]
fn the_seed_does_not_divide_the_images() {
    let split = |changes: &[&str]| experiment(changes).expect("valid").config().data.split_seed;
    assert_eq!((split(&[]), split(&["seed=2"]), split(&["data.split_seed=5"])), (1, 1, 5));
}

/// A list of layers with a value that is a table of rows and columns, which only the device `cpu` trains.
const TABLE: &str = "model={ kind = \"layers\", layers = [{ op = \"conv2d\", outputs = 4, kernel = 3, stride = 4 }, \
                     { op = \"reshape\", shape = [4, 49] }, { op = \"relu\" }, { op = \"flatten\" }, { op = \"linear\" }] }";

#[test]
fn what_a_device_or_a_criterion_cannot_compute_is_refused_by_its_node() {
    experiment(&[TABLE]).expect("Secateur's own kernels train it");
    experiment(&[TABLE, "prune.criterion=snip"]).expect("and give its gradients");
    let node = "node `reshape1` gives [4, 49], expected an image or features on burn's devices";
    let refused = |changes: &[&str]| experiment(changes).expect_err("burn does not").to_string();
    assert_eq!(refused(&[TABLE, "device=flex"]), node);
    for criterion in ["wanda", "synflow", "grasp"] {
        let found = refused(&[TABLE, &format!("prune.criterion={criterion}")]);
        let expected = format!("`prune.criterion`: `{criterion}` is worked out by burn's operations, and {node}");
        assert!(found.contains(&expected), "{found}");
    }
    let found = refused(&[TABLE, "prune.layers=[{ pattern = \"fc1.*\", criterion = \"wanda\" }]"]);
    assert!(found.contains("`wanda`"), "{found}");
    experiment(&[TABLE, "prune.criterion=wanda", "prune.enabled=false"]).expect("nothing is scored");
}
