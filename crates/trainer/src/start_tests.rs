//! Files by PyTorch itself (`scripts/make-torch-fixtures`) are read as they are meant; anything else is an error that
//! names the tensor, and never a panic.

use super::*;
use crate::config::ExperimentConfig;
use crate::seed;
use std::fs;
use std::time::{Duration, Instant};

const WEIGHT: [f32; 6] = [0.5, -1.0, 0.0, 3.0, 0.25, -2.0];
const BIAS: [f32; 2] = [0.125, -0.5];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata").join(name)
}

fn wanted() -> Vec<(String, Vec<usize>)> {
    vec![("fc.weight".into(), vec![2, 3]), ("fc.bias".into(), vec![2])]
}

#[test]
fn pytorch_files_are_read_as_they_are_meant() {
    for name in ["plain.pt", "strided.pt", "types.pt", "types.safetensors"] {
        let found = load(&fixture(name), &wanted()).expect(name);
        assert_eq!((&found[0].values[..], &found[0].mask), (&WEIGHT[..], &None), "{name}");
        assert_eq!(found[1].values, BIAS, "{name}");
    }
    for name in ["pruned.pt", "legacy.pth", "pruned.safetensors"] {
        let found = load(&fixture(name), &wanted()).expect(name);
        assert_eq!(found[0].values, [0.0, -1.0, 0.0, 3.0, 0.0, -2.0], "{name}");
        assert_eq!(found[0].mask, Some(vec![0.0, 1.0, 0.0, 1.0, 0.0, 1.0]), "{name}");
        assert_eq!((&found[1].values[..], &found[1].mask), (&BIAS[..], &None), "{name}");
    }
}

#[test]
fn names_of_parallel_and_compiled_modules_are_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("own.safetensors");
    for prefix in ["module.", "_orig_mod."] {
        let mut file = crate::tensor_file::TensorFile::default();
        for (name, shape, values) in [
            ("weight_orig", &[2, 3][..], &WEIGHT[..]),
            ("weight_mask", &[2, 3], &[0.0, 1.0, 0.0, 1.0, 0.0, 1.0]),
            ("bias", &[2], &BIAS),
        ] {
            let values = values.to_vec();
            file.add_f32_later(format!("{prefix}fc.{name}"), shape, move || values.clone());
        }
        let mut bytes = vec![];
        file.write(&Default::default(), &mut bytes).expect("into memory");
        std::fs::write(&path, bytes).expect("a small file");
        let found = load(&path, &wanted()).expect(prefix);
        assert_eq!((found[0].name.as_str(), found[1].name.as_str()), ("fc.weight", "fc.bias"));
        assert_eq!(found[0].values, [0.0, -1.0, 0.0, 3.0, 0.0, -2.0]);
        assert_eq!(found[1].values, BIAS);
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let wide = vec![("fc.weight".into(), vec![2, 4]), ("fc.bias".into(), vec![2])];
    let weight = vec![("fc.weight".into(), vec![2, 3])];
    let other = vec![("fc2.weight".into(), vec![2, 3]), ("fc.bias".into(), vec![2])];
    for (name, asked, said) in [
        ("integers.pt", wanted(), "`fc.weight`: found numbers of type I64, wanted F64, F32, F16 or BF16"),
        ("infinite.pt", wanted(), "`fc.weight`: value 0 is inf, wanted finite"),
        ("nested.pt", wanted(), "found no `fc.weight`, `fc.bias`; the file has `state_dict.fc.bias`, `state_dict.fc.w"),
        ("plain.pt", wide.clone(), "`fc.weight`: found shape [2, 3], wanted shape [2, 4]"),
        ("pruned.safetensors", wide, "`fc.weight_orig`: found shape [2, 3], wanted shape [2, 4]"),
        ("plain.pt", weight, "found `fc.bias`, wanted the model's parameters and nothing else"),
        ("pruned.pt", other, "found no `fc2.weight`; the file has `fc.bias`, `fc.weight_mask`, `fc.weight_orig`"),
        ("none.pt", wanted(), "none.pt"),
        ("../../Cargo.toml", wanted(), "ends in .safetensors, .pt or .pth"),
    ] {
        let error = load(&fixture(name), &asked).expect_err(name).to_string();
        assert!(error.contains(said), "{name}: {error}");
    }
}

/// A PyTorch file with its bytes changed is another file or an error. `SECATEUR_FUZZ_SECONDS=300` makes it a long search.
#[test]
fn hostile_files_never_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let long = std::env::var("SECATEUR_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(long.unwrap_or(0));
    let (mut numbers, mut read, mut tried) = (seed::stream(1, "hostile", 0), 0usize, 0usize);
    let names = ["plain.pt", "pruned.pt", "legacy.pth", "strided.pt", "pruned.safetensors", "types.safetensors"];
    let mut attempt = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("written");
        tried += 1;
        read += usize::from(load(&path, &wanted()).is_ok());
    };
    for name in names {
        let whole = fs::read(fixture(name)).expect("a fixture");
        (0..whole.len()).for_each(|end| attempt(name, &whole[..end]));
        for place in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[place] ^= 0xff;
            attempt(name, &flipped);
        }
    }
    for round in 0.. {
        if round >= 300 && Instant::now() >= until {
            break;
        }
        for name in names {
            let mut bytes = fs::read(fixture(name)).expect("a fixture");
            let mut below = |limit: usize| (numbers.next_u64() % limit as u64) as usize;
            for _ in 0..1 + below(4) {
                let (place, other, length) = (below(bytes.len()), below(bytes.len()), 1 + below(16));
                match below(5) {
                    0 => bytes[place] = below(256) as u8,
                    1 => bytes[place] ^= 1 << below(8),
                    2 => drop(bytes.drain(place..(place + length).min(bytes.len().max(2) - 1).max(place))),
                    3 => {
                        let copied = bytes[place..(place + length).min(bytes.len())].to_vec();
                        bytes.splice(other..other, copied);
                    }
                    _ => bytes[place..].iter_mut().take(8).for_each(|byte| *byte = 0xff),
                }
            }
            attempt(name, &bytes);
        }
    }
    println!("{tried} files, {read} of them read");
    assert!(read > 0 && read < tried);
}

fn experiment(start: &Path, changes: &[&str]) -> Experiment {
    let text = "name = \"x\"\nmodel = { kind = \"lenet\", width = 1 }\ntrain = { length = { steps = 1 } }\n\
                [prune]\nschedule = { kind = \"one-shot\", sparsity = 0.5 }\nevery = { steps = 1 }";
    let mut all = vec![format!("start={:?}", start.display().to_string())];
    all.extend(changes.iter().map(|change| (*change).to_owned()));
    Experiment::on_data(ExperimentConfig::parse("x", text, &all).expect("valid"), crate::data::MNIST).expect("meant")
}

/// Writes LeNet k=1 with weights of seed 7, of which every third is zero, and returns its parameters.
fn thirds(path: &Path) -> Vec<Weights> {
    let mut parameters = experiment(path, &[]).initial(7);
    for own in parameters.iter_mut().filter(|own| own.name.ends_with("weight")) {
        own.kept.iter_mut().step_by(3).for_each(|value| *value = 0.0);
    }
    let mut bytes = vec![];
    export::write(&parameters, &MaskSet::default(), &[], &mut bytes).expect("into memory");
    fs::write(path, bytes).expect("written");
    parameters
}

#[test]
fn a_run_starts_with_the_weights_of_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let parameters = thirds(&path);
    let start = read(&experiment(&path, &[]), None).expect("read").expect("named");
    assert_eq!((start.parameters, start.masks.pruned()), (parameters.clone(), 0), "zeros are values");
    let start = read(&experiment(&path, &["start_zeros=pruned"]), None).expect("read").expect("named");
    for (own, whole) in start.parameters.iter().zip(&parameters) {
        let mask = start.masks.get(&own.name);
        assert_eq!(mask.map_or_else(|| own.kept.clone(), |mask| mask.scatter(&own.kept)), whole.kept, "{}", own.name);
    }
    assert_eq!(start.masks.pruned(), start.masks.iter().map(|(_, mask)| mask.total().div_ceil(3)).sum::<usize>());
    assert!(read(&experiment(&path, &[]), Some(&start.sha256)).is_ok());
    let error = read(&experiment(&path, &[]), Some("00")).expect_err("another file").to_string();
    assert!(error.contains("started from another file: SHA-256 00, found"), "{error}");
}

/// A state dict as PyTorch has it of a residual network: with running statistics, counted batches, and a weight that is masked.
#[test]
fn a_residual_network_starts_with_its_running_statistics_and_masks() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("resnet.safetensors");
    let text = format!(
        "name = \"x\"\nmodel = {{ kind = \"resnet\", depth = 8, width = 4 }}\ntrain = {{ length = {{ steps = 1 }} }}\n\
         start = {:?}\ndata = {{ source = \"synthetic\", synthetic_shape = [3, 8, 8] }}\n\
         prune = {{ schedule = {{ kind = \"one-shot\", sparsity = 0.5 }}, every = {{ steps = 1 }} }}",
        path.display().to_string()
    );
    let experiment = Experiment::new(ExperimentConfig::parse("x", &text, &[]).expect("valid")).expect("meant");
    let mut parameters = experiment.initial(7);
    for own in parameters.iter_mut().filter(|own| own.name.contains("running_")) {
        own.kept.iter_mut().enumerate().for_each(|(place, value)| *value = 0.5 + place as f32);
    }
    let masked = "layer2.0.conv1.weight";
    let write = |parameters: &[Weights]| {
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let mut tensors = vec![];
        for own in parameters {
            let name = if own.name == masked { format!("{masked}_orig") } else { own.name.clone() };
            tensors.push((name, safetensors::Dtype::F32, own.shape.clone(), bytes(&own.kept)));
            if own.name == masked {
                let keeps: Vec<f32> = (0..own.kept.len()).map(|index| f32::from(index % 4 != 0)).collect();
                tensors.push((format!("{masked}_mask"), safetensors::Dtype::F32, own.shape.clone(), bytes(&keeps)));
            }
            if let Some(node) = own.name.strip_suffix("running_mean") {
                let count = 9_i64.to_le_bytes().to_vec();
                tensors.push((format!("{node}num_batches_tracked"), safetensors::Dtype::I64, vec![], count));
            }
        }
        let views = tensors.iter().map(|(name, kind, shape, data)| {
            (name.clone(), safetensors::tensor::TensorView::new(*kind, shape.clone(), data).expect("fits"))
        });
        fs::write(&path, safetensors::serialize(views, None).expect("fits")).expect("written");
    };
    write(&parameters);
    let start = read(&experiment, None).expect("read").expect("named");
    for (own, whole) in start.parameters.iter().zip(&parameters) {
        let mask = start.masks.get(&own.name);
        let found = mask.map_or_else(|| own.kept.clone(), |mask| mask.scatter(&own.kept));
        let zeroed = |(index, value): (usize, &f32)| if own.name == masked && index % 4 == 0 { 0.0 } else { *value };
        assert_eq!(found, whole.kept.iter().enumerate().map(zeroed).collect::<Vec<_>>(), "{}", own.name);
    }
    assert_eq!(start.masks.pruned(), start.masks.get(masked).expect("masked").total().div_ceil(4));
    let variance = parameters.iter().position(|own| own.name == "bn1.running_var").expect("there");
    parameters[variance].kept[2] = -1.0;
    write(&parameters);
    let said = read(&experiment, None).expect_err("no variance").to_string();
    assert!(said.contains("`bn1.running_var`: value 2 is -1, expected a variance"), "{said}");
}

#[test]
fn masks_that_the_prunes_do_not_fit_are_refused_before_anything_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    thirds(&path);
    let low = ["start_zeros=pruned", "prune.schedule={ kind = \"list\", sparsities = [0.2, 0.9] }"];
    let alone = [low[0], low[1], "prune.scope=layerwise"];
    let error = read(&experiment(&path, &alone), None).expect_err("would grow").to_string();
    assert!(error.contains("`conv1.weight`") && error.contains("the first prune's target of 20.00 %: "), "{error}");
    let global = [low[0], low[1], "prune.scope=global"];
    let error = read(&experiment(&path, &global), None).expect_err("would grow").to_string();
    assert!(error.contains("19946 of 59838 weights of all layers are pruned already"), "{error}");
    // Each output unit and each layer has a count of its own; what all of them together have lost says nothing.
    for scope in ["output", "erk"] {
        let alone = [low[0], low[1], &format!("prune.scope={scope}")];
        assert!(read(&experiment(&path, &alone), None).is_err(), "{scope}");
    }
    let macs = [low[0], "prune.schedule={ kind = \"one-shot\", sparsity = { macs = 0.9 } }"];
    let error = read(&experiment(&path, &macs), None).expect_err("more MACs are gone").to_string();
    assert!(error.contains("`prune.schedule`"), "{error}");
    // A layer with a sparsity of its own may have lost what the common target leaves to others.
    let own = ["start_zeros=pruned", "prune.scope=layerwise", "prune.schedule={ kind = \"one-shot\", sparsity = 0.4 }"];
    read(&experiment(&path, &own), None).expect("more than a third goes of each");

    let experiment = experiment(&path, &["prune.exclude=[\"fc3.*\"]"]);
    let found = vec![("fc3.weight".to_owned(), Mask::from_fn(&[84, 10], |index| index > 4))];
    let error = masks(&experiment, &path, found).expect_err("foreign").to_string();
    assert!(error.contains("`fc3.weight` has a mask that prunes 5 of 840 weights"), "{error}");
}
