//! Law 6: `plan` prints what `run` does; and every config in `configs/` can be planned.

mod common;

use common::*;
use std::fs;

/// Rows of the plan's table as (cycle, stage, steps done by then).
fn rows(plan: &str) -> Vec<(u64, String, u64)> {
    let table = plan.lines().skip_while(|line| !line.trim_start().starts_with("cycle")).skip(1);
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    table
        .map(cells)
        .map(|cells| {
            let until = if cells[1] == "train" { &cells[3] } else { &cells[2] };
            (cells[0].parse().expect("a cycle"), cells[1].clone(), until.parse().expect("steps"))
        })
        .collect()
}

#[test]
fn the_plan_is_what_the_run_did() {
    for changes in [
        &[][..],
        &["--set", "prune.every={ steps = 5 }", "--set", "test.every_cycles=2"],
        &["--set", "prune.scope=layerwise", "--set", "prune.include=[\"*\"]"],
        &["--set", "prune.enabled=false"],
    ] {
        let out = tempfile::tempdir().expect("a folder");
        let plan = succeed(&[&["plan", "configs/smoke.toml"], changes].concat());
        succeed(&[&["run", "configs/smoke.toml", "--out", text(out.path())], changes].concat());
        let run = only_run(out.path()).expect("a run");
        assert!(plan.contains(&*run.file_name().expect("named").to_string_lossy()), "{plan}");
        let kind = |stage: &str| match stage {
            "prune" => Some("pruned"),
            "test" => Some("tested"),
            _ => None,
        };
        let planned: Vec<_> = rows(&plan)
            .into_iter()
            .filter_map(|(cycle, stage, until)| kind(&stage).map(|kind| (cycle, kind.to_owned(), until)))
            .collect();
        let number = |event: &serde_json::Value, key: &str| event[key].as_u64().expect("a number");
        let done: Vec<_> = facts(&run)
            .iter()
            .filter(|event| event["event"] == "pruned" || event["event"] == "tested")
            .map(|event| {
                (number(event, "cycle"), event["event"].as_str().expect("text").to_owned(), number(event, "step"))
            })
            .collect();
        let left: Vec<u64> = plan
            .lines()
            .filter(|line| line.split_whitespace().nth(1) == Some("prune"))
            .map(|line| line.split_whitespace().last().expect("cells").parse().expect("weights"))
            .collect();
        let pruned = facts_of(&run, "pruned");
        let kept: Vec<u64> = pruned.iter().map(|event| number(event, "prunable") - number(event, "pruned")).collect();
        assert_eq!(left, kept, "{changes:?}");
        assert!(!planned.is_empty());
        assert_eq!(planned, done, "{changes:?}");
    }
}

/// What `run` refuses before it makes its folder, `plan` refuses with the same words, and prints no plan.
#[test]
fn a_plan_fails_where_the_run_would() {
    let out = tempfile::tempdir().expect("a folder");
    for args in [
        &["configs/smoke.toml", "--set", "start=no/such/file.pt"][..],
        &["configs/smoke.toml", "--set", "start=crates/trainer/tests/testdata/plain.pt"],
        &["configs/smoke.toml", "--set", "prune.criterion=scores", "--set", "prune.scores=no/such.safetensors"],
        &["configs/smoke.toml", "--device", "tpu"],
        &["configs/quickstart.toml", "--data", "no/such/folder"],
    ] {
        let planned = output(&[&["plan"], args].concat());
        assert_eq!((planned.status.code(), &planned.stdout[..]), (Some(1), &b""[..]), "{args:?}");
        let run = fail(&[&["run", "--out", text(out.path())], args].concat());
        assert_eq!(stderr(&planned), run, "{args:?}");
    }
}

#[test]
fn a_plan_takes_a_place_as_the_run_does_and_tells_the_run_s_name() {
    let out = tempfile::tempdir().expect("a folder");
    let args = ["configs/smoke.toml", "--device", "flex", "--threads", "1", "--set", "train.length={ steps = 1 }"];
    let plan = succeed(&[&["plan"], &args[..]].concat());
    succeed(&[&["run", "--out", text(out.path())], &args[..]].concat());
    let run = only_run(out.path()).expect("a run");
    let name = run.file_name().expect("named").to_string_lossy().into_owned();
    assert!(plan.starts_with(&format!("run        {name}\n")), "{plan}");
}

/// The program works outside its repository: data is found beside the config or the program, whatever folder it is started in,
/// and the run keeps its name.
#[test]
fn data_is_found_from_any_folder_and_the_run_has_the_same_name() {
    let (elsewhere, out) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let config = root().join("configs/quickstart.toml");
    let copy = elsewhere.path().join("own.toml");
    fs::copy(&config, &copy).expect("copied");
    // The program stands in a tree with data, wherever it was built.
    let tree = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let program = tree.path().join("target/release/secateur");
    fs::create_dir_all(tree.path().join("target/release")).expect("made");
    fs::hard_link(env!("CARGO_BIN_EXE_secateur"), &program).expect("linked");
    std::os::unix::fs::symlink(root().join("datasets").canonicalize().expect("there"), tree.path().join("datasets"))
        .expect("linked");
    let there = |args: &[&str]| {
        let mut command = std::process::Command::new(&program);
        let output = command
            .args(args)
            .current_dir(elsewhere.path())
            .env_remove("RUST_LOG")
            .output()
            .expect("the program starts");
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).expect("text")
    };
    let changes =
        ["--set", "prune.enabled=false", "--set", "prune.every={ steps = 0 }", "--set", "train.length={ steps = 1 }"];
    let plan = succeed(&[&["plan", "configs/quickstart.toml"], &changes[..]].concat());
    assert_eq!(there(&[&["plan", text(&config)], &changes[..]].concat()), plan, "beside the config");
    assert_eq!(there(&[&["plan", text(&copy)], &changes[..]].concat()), plan, "beside the program");

    there(&[&["run", text(&copy), "--out", text(out.path())], &changes[..]].concat());
    let run = only_run(out.path()).expect("a run");
    assert!(plan.contains(&*run.file_name().expect("named").to_string_lossy()), "{plan}");
    let manifest = fs::read(run.join("manifest.json")).expect("a manifest");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    let data = root().join("datasets/mnist").canonicalize().expect("there");
    assert_eq!(manifest["data"].as_str(), Some(text(&data)));
    assert_eq!(there(&["test", text(&run)]), succeed(&["test", text(&run)]));

    let said = fail(&["plan", "configs/quickstart.toml", "--set", "data.dir=no/such"]);
    assert!(
        said.contains("neither here nor beside the config or the program") && said.contains("--data DIR"),
        "{said}"
    );
}

#[test]
fn planning_leaves_nothing_behind_and_every_config_can_be_planned() {
    let folder = tempfile::tempdir().expect("a folder");
    let cifar = folder.path().to_owned();
    for name in (1..=5).map(|part| format!("data_batch_{part}")).chain(["test_batch".to_owned()]) {
        let file = fs::File::create(cifar.join(format!("{name}.bin"))).expect("made");
        file.set_len(10_000 * 3073).expect("long");
    }
    let before = fs::read_dir(root()).expect("the root").count();
    let files = ["configs", "configs/rules", "configs/width"].into_iter().flat_map(|folder| {
        let entries = fs::read_dir(root().join(folder)).expect("configs").map(|entry| entry.expect("readable").path());
        let files = entries.filter(|path| path.is_file()).collect::<Vec<_>>();
        files.into_iter().map(move |path| format!("{folder}/{}", path.file_name().expect("named").to_string_lossy()))
    });
    for name in files {
        let text = fs::read_to_string(root().join(&name)).expect("readable");
        assert!(text.starts_with('#') && text.contains(&name), "{name} is headed by its command");
        if text.contains("\nbase = ") {
            assert!(succeed(&["sweep", &name, "--dry-run"]).contains("steps left"), "{name}");
        } else if text.contains("kind = \"file\"") {
            // Somebody else's model is not in the repository; that is what is told.
            assert!(fail(&["plan", &name]).contains("magika.npz"), "{name}");
        } else {
            // Data that is not in the repository is made up here.
            let data = text.contains("source = \"cifar10\"").then(|| ["--data", self::text(&cifar)]);
            let args = [&["plan", name.as_str()][..], data.as_ref().map_or(&[], |own| &own[..])].concat();
            assert!(succeed(&args).contains("in all"), "{name}");
        }
    }
    assert_eq!(fs::read_dir(root()).expect("the root").count(), before);
}

#[test]
fn a_plan_tells_the_learning_rates_and_warns_where_they_stand_still() {
    let rewind = "retrain={ kind = \"rewind-lr\", rewind_to = { epochs = 3 }, final = { epochs = 2 } }";
    let planned = output(&["plan", "configs/quickstart.toml", "--set", rewind]);
    let plan = String::from_utf8_lossy(&planned.stdout).into_owned();
    let last = |cycle: &str| {
        let mut rows = plan.lines().filter(|line| line.split_whitespace().take(2).eq([cycle, "train"]));
        rows.next_back()
            .and_then(|row| row.split("%").nth(1))
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let one_cycle = "train.lr_schedule={ kind = \"one-cycle\", rise = 0.2 }";
    let risen = succeed(&["plan", "configs/quickstart.toml", "--set", one_cycle]);
    assert!(risen.contains("8.00e-5 up to 2.00e-3, to 8.0"), "{risen}");
    // Cosine from 2e-3 over four epochs; the last of them begins at 2e-3 (1 + cos(3 pi / 4)) / 2.
    assert_eq!(last("0"), "2.00e-3 to 1.67e-9", "{plan}");
    assert_eq!(last("6"), "2.93e-4 to 1.67e-9", "{plan}");
    let said = stderr(&planned);
    // Two epochs after each of six prunes, of which one is left in the dense schedule; an epoch has 430 steps.
    assert!(said.contains("2580 steps of retraining have a learning rate of 1.7e-9"), "{said}");
}
