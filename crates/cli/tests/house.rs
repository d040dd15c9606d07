//! The house's rule: leaves know no crate of the workspace, the trainer knows the leaves, nothing knows the door.

mod common;

use std::collections::BTreeMap;
use std::process::Command;

#[test]
fn dependencies_point_down() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut metadata = Command::new(cargo);
    metadata.args(["metadata", "--no-deps", "--format-version", "1", "--offline"]).current_dir(common::root());
    let output = metadata.output().expect("cargo");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut house = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = |value: &serde_json::Value| value["name"].as_str().expect("a name").to_owned();
        let inside = package["dependencies"].as_array().expect("dependencies").iter().map(name);
        let inside: Vec<String> = inside.filter(|name| name.starts_with("secateur")).collect();
        house.insert(name(package), inside);
    }
    let leaves = ["secateur-pruner", "secateur-report", "secateur-sparse"];
    for leaf in leaves {
        assert_eq!(house[leaf], Vec::<String>::new(), "{leaf} is a leaf");
    }
    assert_eq!(house["secateur-trainer"], leaves);
    assert!(house.values().all(|inside| !inside.iter().any(|name| name == "secateur")), "nothing depends on the door");
    assert_eq!(house.len(), 5, "{house:?}");
}

#[test]
fn sparse_and_report_are_free_of_burn() {
    for leaf in ["sparse", "report"] {
        let manifest =
            std::fs::read_to_string(common::root().join(format!("crates/{leaf}/Cargo.toml"))).expect("there");
        assert!(!manifest.contains("burn"), "{leaf} depends on burn");
    }
}
