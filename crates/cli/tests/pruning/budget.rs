//! `prune.until`: as sparse as validation bears.

use super::*;

const LADDER: &str = "prune.schedule={ kind = \"list\", sparsities = [0.5, 0.9, 0.99, 0.999] }";
const UNTIL: &str = "prune.until={ within = 2.0, refinements = 3 }";

fn judged(run: &Path) -> Vec<(u64, f64, bool, f64)> {
    let one = |own: serde_json::Value| {
        let score = &own["validation"];
        let share = score["correct"].as_f64().expect("a count") / score["total"].as_f64().expect("a count");
        (
            own["cycle"].as_u64().expect("a cycle"),
            own["target"].as_f64().expect("a target"),
            own["holds"].as_bool().expect("a verdict"),
            share - own["wanted"].as_f64().expect("a share"),
        )
    };
    facts_of(run, "judged").into_iter().map(one).collect()
}

#[test]
fn a_budget_climbs_falls_back_and_halves() {
    let out = tempfile::tempdir().expect("a folder");
    let path = run(out.path(), &[LADDER, UNTIL, "prune.every={ epochs = 1 }"]);
    let judged = judged(&path);
    for (cycle, _, holds, spare) in &judged[1..] {
        assert_eq!(*holds, *spare >= 0.0, "cycle {cycle}");
    }
    let targets = |wanted: bool| judged.iter().filter(move |own| own.2 == wanted).map(|own| own.1);
    let (highest, lowest) = (targets(true).fold(0.0, f64::max), targets(false).fold(1.0, f64::min));
    assert!(highest > 0.5 && lowest < 0.9995 && highest < lowest, "{judged:?}");
    // Three halvings of the last step, whichever it was.
    let first = judged.iter().position(|(_, _, holds, _)| !holds).expect("0.999 does not hold");
    assert_eq!(judged.len() - 1 - first, 3, "{judged:?}");
    let step = judged[first].1 - judged[first - 1].1;
    assert!((lowest - highest - step / 8.0).abs() < 1e-9, "{judged:?}");
    // The test split is read at the end: the dense network, and the one that the run ends with.
    let facts = facts(&path);
    let tests: Vec<usize> = (0..facts.len()).filter(|place| facts[*place]["event"] == "tested").collect();
    assert_eq!(tests.len(), 2);
    assert!(facts[tests[0]..].iter().all(|fact| fact["event"] != "epoch_ended" && fact["event"] != "judged"));
    assert_eq!((&facts[tests[0]]["stage"], &facts[tests[1]]["stage"]), (&"dense".into(), &"retrained".into()));
    let (pruned, prunable) = (&facts[tests[1]]["size"]["pruned"], &facts[tests[1]]["size"]["prunable"]);
    let sparsity = pruned.as_f64().expect("a count") / prunable.as_f64().expect("a count");
    assert!((sparsity - highest).abs() < 1e-4, "{sparsity} is not {highest}");
    assert!(!path.join("kept").exists(), "what the search kept is gone");
    let table = succeed(&["report", text(&path), "--out", text(&path.join("again"))]);
    assert!(table.contains(&format!("{:.1} %", 100.0 * highest)), "{table}");
}

#[test]
fn a_budget_that_every_target_holds_needs_no_refinement() {
    let out = tempfile::tempdir().expect("a folder");
    let path = run(
        out.path(),
        &["prune.schedule={ kind = \"list\", sparsities = [0.3, 0.5] }", "prune.until={ within = 50 }"],
    );
    assert_eq!(judged(&path).iter().map(|own| own.0).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(facts_of(&path, "tested").len(), 2);
}

#[test]
fn a_budget_that_nothing_holds_ends_with_the_dense_network() {
    let out = tempfile::tempdir().expect("a folder");
    let path = run(
        out.path(),
        &[
            "prune.schedule={ kind = \"one-shot\", sparsity = 0.9 }",
            "prune.until={ within = 0, control = 100, refinements = 1 }",
        ],
    );
    let tests = facts_of(&path, "tested");
    assert_eq!(tests.len(), 1);
    assert_eq!(tests[0]["stage"], "dense");
}

#[test]
fn a_budget_survives_kills() {
    survives_kills(&[LADDER, UNTIL, "prune.every={ epochs = 1 }"]);
}

#[test]
fn a_budget_needs_what_it_judges_by() {
    for (change, wanted) in [
        ("data.validation=0", "`data.validation`: found 0"),
        ("prune.until={ within = -1 }", "within is -1"),
        ("prune.until={ within = 1, control = 101 }", "control is 101"),
        ("prune.regrow={ kind = \"set\", every = { steps = 5 } }", "`prune.until`: an accuracy budget"),
    ] {
        let said = fail(&["plan", "configs/smoke.toml", "--set", UNTIL, "--set", change]);
        assert!(said.contains(wanted), "{change}: {said}");
    }
}
