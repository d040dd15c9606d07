//! Whole runs, small and synthetic, and what their final models show.

use super::*;
use crate::{ExperimentConfig, Facts, Silent, run};
use secateur_report::read_log;
use secateur_report::views::Moment;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// Three prunes to 90 %, with checkpoints that come and go.
const CONFIG: &str = "name = \"x\"\nmodel = { kind = \"lenet\", width = 1 }\ndevice = \"cpu\"\nthreads = 1\n\
     data = { source = \"synthetic\", validation = 50, synthetic_train = 640, synthetic_test = 300 }\n\
     train = { batch_size = 64, length = { epochs = 2 } }\nmeasure = { enabled = false }\n\
     checkpoint = { every_steps = 5 }\n\
     [prune]\nscope = \"global\"\nschedule = { kind = \"list\", sparsities = [0.5, 0.8, 0.9] }\nevery = { epochs = 1 }";

/// A run that is done.
struct Done {
    label: String,
    folder: PathBuf,
    record: RunRecord,
}

impl Done {
    fn run(out: &Path, text: &str, changes: &[&str]) -> Self {
        let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
        let experiment = Experiment::new(ExperimentConfig::parse("x", text, &changes).expect("valid")).expect("meant");
        let facts = Facts { typed: text, commit: None, command: &[] };
        let (folder, _) = run(&experiment, out, facts, &mut Silent, &AtomicBool::new(false)).expect("the run ends");
        let label = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let record = read_log(folder.join("log.jsonl")).expect("a log");
        Self { label, folder, record }
    }

    fn borrowed(&self) -> Run<'_> {
        Run { label: &self.label, folder: &self.folder, record: &self.record }
    }
}

fn look(runs: &[&Done], data: Option<&Path>) -> Views {
    let runs: Vec<_> = runs.iter().map(|own| own.borrowed()).collect();
    views(&runs, Choice { data, ..Choice::default() })
}

#[test]
fn a_final_model_says_what_its_log_says() {
    let out = tempfile::tempdir().expect("a folder");
    let done = Done::run(out.path(), CONFIG, &[]);
    let views = look(&[&done], None);
    assert_eq!((views.notes.as_slice(), views.overlaps.as_slice()), (&[][..], &[][..]));
    let [view] = &views.models[..] else { panic!("one model: {views:?}") };
    let last = &done.record.tests.last().expect("a test").tested;
    assert_eq!((view.run.as_str(), view.seed, &view.warnings[..]), (done.label.as_str(), 1, &[][..]));
    assert_eq!((view.size, view.logged), (last.size, Some(last.score)));
    let answers = view.answers.as_ref().expect("the data is at hand");
    assert_eq!(answers.confusion.total(), 300);
    assert!(answers.confusion.correct().abs_diff(last.score.correct) <= answers.close, "{:?}", view.verdict());

    // The layers: all weights at the start and before the first prune, those that the masks keep at the end.
    let pruned = &done.record.prunes.last().expect("a prune").layers;
    assert_eq!(view.layers.len(), 5);
    for layer in &view.layers {
        let logged = pruned.iter().find(|own| own.name == layer.name).expect("the log names it");
        assert_eq!((layer.kept, layer.total), (logged.kept, logged.total), "{}", layer.name);
        let moments: Vec<_> = layer.moments.iter().map(|(moment, own)| (*moment, own.total())).collect();
        let wanted = [(Moment::Start, layer.total), (Moment::Dense, layer.total), (Moment::End, layer.kept)];
        assert_eq!(moments, wanted, "{}", layer.name);
    }
    // conv1 is drawn within 1 / sqrt(9), and has learned since.
    let bounds: Vec<f32> = view.layers[0].moments.iter().map(|(_, own)| own.bound()).collect();
    assert!(bounds[0] <= 1.0 / 3.0 && bounds[1] != bounds[0] && bounds[2] != bounds[1], "{bounds:?}");
    let filters = view.filters.as_ref().expect("pictures");
    assert_eq!((filters.shown.len(), filters.shown.iter().map(|own| own.kept).sum()), (6, view.layers[0].kept));

    // The checkpoints are not needed; without the dense parameters, as earlier versions left runs, they are not shown.
    fs::remove_dir_all(done.folder.join("checkpoints")).expect("removed");
    assert_eq!(look(&[&done], None).models[0].layers[0].moments.len(), 3);
    fs::remove_dir_all(done.folder.join("dense")).expect("removed");
    let views = look(&[&done], None);
    assert_eq!((views.models[0].layers[0].moments.len(), views.notes.len()), (2, 0));
}

#[test]
fn a_model_that_was_exchanged_is_noticed() {
    let out = tempfile::tempdir().expect("a folder");
    let (done, other) = (Done::run(out.path(), CONFIG, &[]), Done::run(out.path(), CONFIG, &["seed=7"]));
    fs::copy(other.folder.join("model.safetensors"), done.folder.join("model.safetensors")).expect("copied");
    let views = look(&[&done], None);
    let note = views.notes.last().expect("a note");
    assert!(views.models.is_empty() && note.contains("the final model was changed: expected SHA-256"), "{note}");
}

#[test]
fn seeds_are_compared_and_random_masks_overlap_by_chance() {
    let out = tempfile::tempdir().expect("a folder");
    let random =
        ["prune.criterion=random", "prune.scope=layerwise", "train.length={ steps = 1 }", "prune.every={ steps = 1 }"];
    let run = |seed: &str| Done::run(out.path(), CONFIG, &[&random[..], &[seed]].concat());
    let runs = [run("seed=3"), run("seed=1"), run("seed=2")];
    let l1 = Done::run(out.path(), CONFIG, &["train.length={ steps = 1 }", "prune.every={ steps = 1 }"]);
    // A run that is named twice is not its own twin.
    let views = look(&[&runs[0], &l1, &runs[1], &runs[2], &l1], None);
    let shown: Vec<(&str, u64)> = views.models.iter().map(|view| (view.run.as_str(), view.seed)).collect();
    assert_eq!(shown, [(runs[1].label.as_str(), 1), (l1.label.as_str(), 1)], "of each experiment the lowest seed");
    assert!(views.notes[0].starts_with("Shown are 2 of 5 finished runs"), "{:?}", views.notes);
    let [overlap] = &views.overlaps[..] else { panic!("one series of several seeds: {:?}", views.overlaps) };
    assert_eq!((overlap.seeds.as_slice(), overlap.left_out), (&[1, 2, 3][..], 0));
    assert!(runs[0].label.starts_with(&overlap.series) && overlap.series.len() < runs[0].label.len());
    let fc1 = overlap.layers.iter().find(|layer| layer.name == "fc1.weight").expect("pruned");
    assert_eq!(fc1.pairs.iter().map(|pair| pair.seeds).collect::<Vec<_>>(), [[1, 2], [1, 3], [2, 3]]);
    for pair in &fc1.pairs {
        assert_eq!((pair.kept, pair.total), ([4_800; 2], 48_000), "a tenth is left");
        // The hypergeometric distribution's deviation is 19.7 here: five of them are as good as never left.
        assert!((pair.both as f64 - pair.expected()).abs() < 99.0, "{pair:?}");
    }
}

#[test]
fn methods_take_turns_and_each_shows_what_is_nearest_to_the_chosen_sparsity() {
    let out = tempfile::tempdir().expect("a folder");
    let run = |name: &str, sparsities: &str| {
        let list = format!("prune.schedule={{ kind = \"list\", sparsities = [{sparsities}] }}");
        let short = ["train.length={ steps = 1 }", "prune.every={ steps = 1 }"];
        Done::run(out.path(), CONFIG, &[&short[..], &[&format!("name={name}"), &list]].concat())
    };
    let runs = [run("a", "0.5"), run("a", "0.97"), run("a", "0.8"), run("b", "0.2"), run("b", "0.6")];
    let order = |near| {
        let borrowed: Vec<_> = runs.iter().map(Done::borrowed).collect();
        let shown = views(&borrowed, Choice { near, ..Choice::default() }).models.into_iter();
        shown.map(|view| runs.iter().position(|own| own.label == view.run).expect("one of them")).collect::<Vec<_>>()
    };
    assert_eq!(order(0.95), [1, 4, 2, 3, 0]);
    assert_eq!(order(0.0), [3, 0, 4, 2, 1]);
}

#[test]
fn what_is_not_at_hand_is_a_note() {
    let out = tempfile::tempdir().expect("a folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/mnist");
    let data = format!("data={{ source = \"idx\", dir = {root:?}, validation = 5000 }}");
    let short = [&data, "train.length={ steps = 2 }", "prune.every={ steps = 1 }"];
    let done = Done::run(out.path(), CONFIG, &short);
    let views = look(&[&done], Some(&out.path().join("nowhere")));
    assert!(views.models[0].answers.is_none() && views.models[0].layers.len() == 5);
    let [note] = &views.notes[..] else { panic!("one note: {:?}", views.notes) };
    assert!(note.starts_with("The answers of x-") && note.contains("nowhere"), "{note}");
    // Found again, they are those of all test images.
    let answers = look(&[&done], Some(&root)).models[0].answers.clone().expect("the data is at hand");
    assert_eq!((answers.confusion.total(), answers.confusion.of_class(7)), (10_000, 1_028));

    fs::remove_file(done.folder.join("model.safetensors")).expect("removed");
    let views = look(&[&done], None);
    assert!(
        views.models.is_empty() && views.notes.iter().any(|note| note.contains("found no final model")),
        "{views:?}"
    );
    fs::write(done.folder.join("experiment.toml"), "name = 3").expect("written");
    let views = look(&[&done], None);
    assert!(views.models.is_empty() && views.notes.iter().any(|note| note.contains("experiment.toml")), "{views:?}");
    let record = RunRecord { ended: None, ..done.record.clone() };
    let views = look(&[&Done { record, ..done }], None);
    assert_eq!(views.notes, ["No run has finished, so there is no final model to show."]);
}

#[test]
fn a_run_that_never_prunes_has_no_masks_to_compare() {
    let out = tempfile::tempdir().expect("a folder");
    let dense = ["prune.enabled=false", "train.length={ steps = 3 }", "prune.every={ steps = 1 }"];
    let runs = ["seed=1", "seed=2"].map(|seed| Done::run(out.path(), CONFIG, &[&dense[..], &[seed]].concat()));
    let views = look(&[&runs[0], &runs[1]], None);
    assert!(views.overlaps.is_empty());
    let view = &views.models[0];
    assert_eq!((view.size.pruned, view.layers[2].kept, view.layers[2].total), (0, 48_000, 48_000));
    assert!(view.logged.is_some());
}
