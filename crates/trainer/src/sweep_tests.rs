//! Grids: every combination once, and controls that stay what they are.

use super::*;

const BASE: &str = r#"
    name = "b"
    model = { kind = "lenet", width = 1 }
    train = { length = { epochs = 2 } }
    [prune]
    schedule = { kind = "one-shot", sparsity = 0.9 }
    every = { epochs = 1 }
"#;

fn sweep(text: &str) -> Result<Sweep, Error> {
    let config: SweepConfig =
        toml::from_str(text).map_err(|error| Error::Config { place: "s".into(), why: error.to_string() })?;
    Sweep::new("s", config, BASE.into())
}

#[test]
fn a_grid_has_every_combination_and_its_controls() {
    let text = r#"
        name = "s"
        base = "b.toml"
        seeds = [1, 2]
        [axes]
        "prune.schedule.sparsity" = [0.5, 0.9, 0.95]
        [[methods]]
        name = "global"
        set = { "prune.scope" = "global" }
        [[methods]]
        name = "erk"
        set = { "prune.scope" = "erk" }
    "#;
    let grid = sweep(text).expect("valid");
    // Dense has no sparsity: two seeds; random and two methods have three sparsities each.
    assert_eq!(grid.cells.len(), 2 + 3 * 3 * 2);
    let names = |cell: &Cell| cell.experiment.config().name.clone();
    assert_eq!(grid.cells.iter().filter(|cell| names(cell) == "s-dense").count(), 2);
    let random: Vec<_> = grid.cells.iter().filter(|cell| names(cell) == "s-random").collect();
    assert_eq!(random.len(), 6);
    assert!(random.iter().all(|cell| cell.changes.contains(&"prune.criterion=\"random\"".into())));
    // One dense training a seed is shared by all ten cells of it.
    assert_eq!(grid.starts.len(), 2);
    for cell in &grid.cells {
        let start = &grid.starts[cell.start.expect("shared")];
        assert_eq!(start.config().seed, cell.experiment.config().seed);
    }
    let without = sweep("name = \"s\"\nbase = \"b\"\nseeds = [1]\ndense = false\nrandom = false").expect("valid");
    assert_eq!((without.cells.len(), without.starts.len()), (1, 0), "nobody shares with itself");
}

/// Experiments that are worked out for a sweep of so many values and seeds.
fn worked_out(values: usize, seeds: usize) -> usize {
    let numbers = |count: usize| (1..=count).map(|number| number.to_string()).collect::<Vec<_>>().join(", ");
    let axes = format!("[axes]\n\"train.batch_size\" = [{}]", numbers(values));
    let before = crate::experiment::MEANT.get();
    let grid = sweep(&format!("name = \"s\"\nbase = \"b\"\nseeds = [{}]\n{axes}", numbers(seeds))).expect("valid");
    assert_eq!(grid.cells.len(), 3 * values * seeds, "dense, random, base");
    assert_eq!(grid.files().count(), grid.cells.len() + grid.starts.len());
    crate::experiment::MEANT.get() - before
}

#[test]
fn what_is_worked_out_grows_with_the_methods_and_values_and_not_with_the_seeds() {
    let few = worked_out(2, 1);
    assert_eq!(worked_out(2, 100), few);
    assert_eq!(worked_out(16, 1), 8 * few, "and not with their square");
}

#[test]
fn the_dense_control_follows_the_axes_that_change_training() {
    let axes = "[axes]\n\"train.batch_size\" = [32, 64]\n\"prune.schedule.sparsity\" = [0.5, 0.9]";
    let grid = sweep(&format!("name = \"s\"\nbase = \"b\"\nseeds = [1, 2]\n{axes}")).expect("valid");
    let dense = grid.cells.iter().filter(|cell| cell.experiment.config().name == "s-dense");
    let sizes: Vec<_> = dense.map(|cell| cell.experiment.config().train.batch_size).collect();
    assert_eq!(sizes, [32, 32, 64, 64]);
    assert_eq!(grid.cells.len(), 4 + 2 * 2 * 4);
}

#[test]
fn what_cannot_be_shared_is_not() {
    let grid = sweep(
        "name = \"s\"\nbase = \"b\"\nseeds = [1]\n[axes]\n\"train.length\" = [{ epochs = 1 }, { epochs = 2 }]\n\
         \"retrain.kind\" = [\"fine-tune\", \"rewind-weights\"]",
    )
    .expect("valid");
    let start = |length: u64, kind: &str| {
        let cell = grid.cells.iter().find(|cell| {
            let config = cell.experiment.config();
            config.name == "s-base"
                && config.train.length == crate::config::Length::Epochs(length)
                && config.retrain.kind.to_string() == kind
        });
        cell.expect("there").start
    };
    assert!(start(1, "fine-tune").is_some() && start(1, "fine-tune") != start(2, "fine-tune"));
    assert_eq!(start(1, "rewind-weights"), None, "it has to remember weights on the way");
}

#[test]
fn faults_are_named() {
    for (text, wanted) in [
        ("name = \"s\"\nbase = \"b\"\nseeds = []", "`seeds` is empty"),
        ("name = \"s\"\nbase = \"b\"\nseeds = [1]\ncolour = 1", "unknown field `colour`"),
        (
            "name = \"s\"\nbase = \"b\"\nseeds = [1]\n[axes]\n\"train.batch_size\" = 1",
            "axis `train.batch_size` is no list",
        ),
        ("name = \"s\"\nbase = \"b\"\nseeds = [1]\n[axes]\n\"train.batch_size\" = [0]", "train.batch_size=0"),
        ("name = \"s\"\nbase = \"b\"\nseeds = [1, 1]", "`seeds` has 1 twice"),
        ("name = \"s\"\nbase = \"b\"\nseeds = [1]\n[axes]\n\"seed\" = [1]", "`seed` is neither an axis"),
        (
            "name = \"s\"\nbase = \"b\"\nseeds = [1]\n[[methods]]\nname = \"a\"\n[[methods]]\nname = \"a\"",
            "two methods have the name `a`",
        ),
        (
            "name = \"s\"\nbase = \"b\"\nseeds = [1]\n[[methods]]\nname = \"dense\"",
            "the name `dense`, which is a control's",
        ),
        ("name = \"s\"\nbase = \"b\"\nseeds = [1]\n[[methods]]\nname = \"random\"", "the name `random`, which is"),
        ("name = \"s\"\nbase = \"b\"\nseeds = [1]\n[axes]\n\"colour\" = [1]", "unknown key `colour`"),
    ] {
        let found = sweep(text).expect_err(text).to_string();
        assert!(found.contains(wanted), "{text}: {found}");
    }
}

/// The runs of a sweep over [`BASE`] with this text, each as its name and the changes that its control or method makes.
fn cells(more: &str) -> Sweep {
    sweep(&format!("name = \"s\"\nbase = \"b\"\nseeds = [1]\n{more}")).expect(more)
}

fn of<'a>(grid: &'a Sweep, name: &str) -> Vec<&'a Experiment> {
    grid.cells.iter().map(|cell| &cell.experiment).filter(|own| own.config().name == name).collect()
}

#[test]
fn the_random_control_prunes_at_random_whatever_an_axis_says() {
    use crate::config::CriterionConfig;
    for axis in [
        "\"prune.criterion\" = [\"l1\", \"l2\"]",
        "\"prune\" = [{ criterion = \"l1\", schedule = { kind = \"one-shot\", sparsity = 0.9 }, every = { epochs = 1 } }]",
    ] {
        let grid = cells(&format!("[axes]\n{axis}"));
        let random = of(&grid, "s-random");
        assert_eq!(random.len(), 1, "{axis}");
        assert_eq!(random[0].config().prune.as_ref().expect("prunes").criterion, CriterionConfig::Random, "{axis}");
        assert!(grid.notes.iter().any(|note| note.contains("the random control prunes at random")), "{:?}", grid.notes);
        assert_eq!(of(&grid, "s-dense").len(), 1);
    }
    let own =
        "[axes]\n\"prune.layers\" = [[{ pattern = \"fc1.*\", criterion = \"l2\" }]]\n\"prune.scope\" = [\"layerwise\"]";
    let said = sweep(&format!("name = \"s\"\nbase = \"b\"\nseeds = [1]\n{own}")).expect_err(own).to_string();
    assert!(said.contains("found l2 in `prune.layers`") && said.contains("`random = false`"), "{said}");
}

#[test]
fn a_key_of_a_method_that_is_an_axis_is_refused() {
    for (axis, set) in [
        ("\"prune.scope\" = [\"erk\", \"global\"]", "\"prune.scope\" = \"layerwise\""),
        ("\"prune.schedule\" = [{ kind = \"one-shot\", sparsity = 0.5 }]", "\"prune.schedule.sparsity\" = 0.9"),
        ("\"prune.schedule.sparsity\" = [0.5]", "\"prune.schedule\" = { kind = \"one-shot\", sparsity = 0.9 }"),
    ] {
        let text = format!("[axes]\n{axis}\n[[methods]]\nname = \"m\"\nset = {{ {set} }}");
        let said = sweep(&format!("name = \"s\"\nbase = \"b\"\nseeds = [1]\n{text}")).expect_err(&text).to_string();
        assert!(said.contains("method `m` sets `prune.") && said.contains("is an axis"), "{said}");
    }
    // A table that leaves to the axis what is the axis's.
    let both = "[axes]\n\"prune.schedule.final\" = [0.5, 0.8]\n[[methods]]\nname = \"m\"\n\
                set = { \"prune.schedule\" = { kind = \"linear\", prunes = 2 } }";
    let grid = sweep(&format!("name = \"s\"\nbase = \"b\"\nseeds = [1]\nrandom = false\n{both}")).expect("valid");
    assert_eq!(of(&grid, "s-m").len(), 2);
}

#[test]
fn two_axes_that_set_the_same_key_are_refused() {
    let axes = |schedule: &str| {
        let head = "name = \"s\"\nbase = \"b\"\nseeds = [1]\ndense = false\nrandom = false";
        sweep(&format!(
            "{head}\n[axes]\n\"prune.schedule\" = [{{ kind = \"linear\", prunes = 2 }}, {schedule}]\n\
             \"prune.schedule.final\" = [0.5, 0.8]"
        ))
    };
    let said = axes("{ kind = \"linear\", prunes = 3, final = 0.9 }").expect_err("said twice").to_string();
    assert!(said.contains("the axes `prune.schedule` and `prune.schedule.final` set the same key"), "{said}");
    let grid = axes("{ kind = \"linear\", prunes = 3 }").expect("each key once");
    assert_eq!(grid.cells.len(), 4);
}

#[test]
fn the_dense_control_is_dense_whatever_an_axis_says() {
    let grid = cells("[axes]\n\"prune.enabled\" = [true, false]");
    let dense = of(&grid, "s-dense");
    assert!(dense.len() == 1 && !dense[0].prunes());
    assert!(of(&grid, "s-base").len() == 1 && of(&grid, "s-random").len() == 1, "the rest is the dense control");
    assert!(grid.notes.iter().any(|note| note.contains("run once")), "{:?}", grid.notes);
}

#[test]
fn every_length_has_a_dense_control_of_as_many_steps() {
    let lists = "[axes]\n\"prune.schedule\" = [{ kind = \"list\", sparsities = [0.5] }, { kind = \"list\", sparsities = [0.9] }, \
                 { kind = \"list\", sparsities = [0.5, 0.8, 0.9] }]";
    let methods = "[[methods]]\nname = \"long\"\nset = { \"retrain.final\" = { epochs = 3 } }\n\
                   [[methods]]\nname = \"sgd\"\nset = { \"train.optimizer\" = { kind = \"sgd\" } }\n\
                   [[methods]]\nname = \"narrow\"\nset = { \"model.width\" = 2, \"prune.enabled\" = false }";
    let grid = cells(&format!("{lists}\n{methods}"));
    let epochs = |own: &Experiment| own.plan().steps() / own.plan().epoch_steps;
    let dense = of(&grid, "s-dense");
    let settings = |own: &Experiment| (own.config().train.clone(), own.plan().steps());
    for cell in &grid.cells {
        let fair = dense.iter().filter(|control| settings(control) == settings(&cell.experiment)).count();
        assert!(fair == 1 || !cell.experiment.prunes(), "{:?}", cell.changes);
    }
    // One prune or three, with one epoch or three at the end; and with another optimizer.
    assert_eq!(dense.iter().map(|own| epochs(own)).collect::<Vec<_>>(), [3, 5, 7, 3, 5].map(|own| own));
    // Of a network that is not pruned only the length counts.
    assert_eq!(of(&grid, "s-narrow").iter().map(|own| epochs(own)).collect::<Vec<_>>(), [3, 5]);
}

#[test]
fn a_large_grid_names_and_shares_all_its_cells() {
    let seeds: Vec<String> = (1..=400).map(|seed| seed.to_string()).collect();
    let text = format!(
        "name = \"s\"\nbase = \"b\"\nseeds = [{}]\n[axes]\n\"prune.schedule.sparsity\" = [0.5, 0.9]",
        seeds.join(", ")
    );
    let grid = sweep(&text).expect("valid");
    assert_eq!((grid.cells.len(), grid.starts.len()), (400 * 5, 400));
    for (name, file) in grid.files() {
        assert!(file.shared || file.start.is_some(), "{name}");
        assert!(name.ends_with(&format!("-s{}", file.config.seed)), "{name}");
    }
}

#[test]
fn a_cell_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let grid = cells("[axes]\n\"train.optimizer\" = [{ kind = \"adam\", lr = 3e-4 }]");
    for (name, file) in grid.files() {
        let path = folder.path().join(&name);
        file.write(&path).expect("written");
        let (read, experiment) = CellFile::read(&path, &name).expect("read");
        assert_eq!((read, experiment.run_name()), (file, name));
        let said = CellFile::read(&path, "another").expect_err("another run").to_string();
        assert!(said.contains("expected the run `another`"), "{said}");
    }
}
