//! Which crate may depend on which: leaves on no crate of the workspace, the engine on the graph, pruning without training on these and
//! the pruner, the trainer on what trains and reports, and nothing on the command line.

mod common;

use std::collections::BTreeMap;
use std::process::Command;

/// Names of each package's dependencies, those of its tests included.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut metadata = Command::new(cargo);
    metadata.args(["metadata", "--no-deps", "--format-version", "1", "--offline"]).current_dir(common::root());
    let output = metadata.output().expect("cargo");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let name = |value: &serde_json::Value| value["name"].as_str().expect("a name").to_owned();
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let known =
        |package: &serde_json::Value| package["dependencies"].as_array().expect("a list").iter().map(name).collect();
    packages.map(|package| (name(package), known(package))).collect()
}

#[test]
fn dependencies_point_down() {
    let all = dependencies();
    let inside =
        |name: &str| -> Vec<&String> { all[name].iter().filter(|name| name.starts_with("secateur")).collect() };
    for leaf in ["secateur-graph", "secateur-pruner", "secateur-report"] {
        assert!(inside(leaf).is_empty(), "{leaf} is a leaf, and knows {:?}", inside(leaf));
    }
    assert_eq!(inside("secateur-sparse"), ["secateur-graph"]);
    assert_eq!(inside("secateur-oneshot"), ["secateur-graph", "secateur-pruner", "secateur-sparse"]);
    assert_eq!(inside("secateur-trainer"), ["secateur-graph", "secateur-pruner", "secateur-report", "secateur-sparse"]);
    assert!(
        all.keys().all(|name| !inside(name).iter().any(|name| *name == "secateur")),
        "nothing depends on the command line"
    );
    assert_eq!(all.len(), 7, "{all:?}");
}

#[test]
fn what_does_not_train_is_free_of_burn() {
    let all = dependencies();
    for leaf in ["secateur-graph", "secateur-sparse", "secateur-report", "secateur-oneshot"] {
        assert!(!all[leaf].iter().any(|name| name.starts_with("burn")), "{leaf}: {:?}", all[leaf]);
    }
}
