//! Files of version 1, which earlier versions wrote of chains of layers, and what holds for a file of any version: damage, lies, and
//! the sizes that were promised. It leaves files in the build folder, which `scripts/check-format` compares with what the reader in
//! `docs/` makes of them.

mod fuzzing;
mod networks;

use networks::{Random, lenet, parameters, pruned};
use secateur_graph::{Op, Role};
use secateur_sparse::file::{Coding, Error, HEAD, Info, Precision, Scale, check_head, decode, seal};
use secateur_sparse::{InstructionSet, Ranges, Trained};
use std::path::{Path, PathBuf};

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::F16, Precision::Int8];

/// A network with every kind of layer that version 1 has, as an earlier version of this program wrote it in each precision, and what
/// that answered to [`image`].
const FILES: [(&[u8], Precision, [f32; 4]); 3] = [
    (
        include_bytes!("version-1/f32.secateur"),
        Precision::F32,
        [-0.0455357, -0.09446823, -0.005_762_751, -0.001_598_683],
    ),
    (include_bytes!("version-1/f16.secateur"), Precision::F16, [-0.045_532_39, -0.09445646, -0.005744793, -0.00161016]),
    (
        include_bytes!("version-1/int8.secateur"),
        Precision::Int8,
        [-0.045606624, -0.0946327, -0.005_818_117, -0.001_497_851],
    ),
];

fn image() -> Vec<f32> {
    (0..3 * 19 * 17).map(|place| (place * 7919 % 256) as f32 / 255.0 - 0.5).collect()
}

fn info(name: &str) -> Info {
    Info {
        name: name.into(),
        scales: vec![Scale { divisor: 255.0, shift: -0.5 }],
        classes: vec![],
        ranges: Ranges::default(),
    }
}

fn encoded(network: &Trained, precision: Precision) -> Vec<u8> {
    network.encode(&info("a network"), precision).expect("finite")
}

#[test]
fn files_of_version_1_are_read_as_they_were_written() {
    for (bytes, precision, expected) in FILES {
        assert_eq!(bytes[8], 1);
        let model = decode(bytes).expect("an old file");
        assert_eq!((model.precision, model.info), (precision, info("every kind of layer")));
        let names: Vec<&str> = model.network.graph.nodes().iter().map(|node| node.name.as_str()).collect();
        let wanted = [
            "conv1",
            "bn1",
            "relu",
            "crop",
            "average_pool",
            "conv2",
            "max_pool",
            "flatten",
            "fc1",
            "bn2",
            "conv3.reshape",
            "conv3",
            "relu_2",
            "fc2.flatten",
            "fc2",
        ];
        assert_eq!(names, wanted);
        assert_eq!(
            model.sizes.iter().map(|own| own.name.as_str()).collect::<Vec<_>>(),
            ["conv1", "bn1", "conv2", "fc1", "bn2", "conv3", "fc2"]
        );
        assert!(model.sizes.iter().map(|own| own.bytes).sum::<usize>() < bytes.len());
        let found = model.network.forward(&image());
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6), "{found:?}");
        // Written again it is a file of today.
        let again = decode(&encoded(&model.network, precision)).expect("just written");
        assert_eq!(again.network, model.network);
    }
}

#[test]
fn a_file_cut_off_or_with_one_bit_changed_is_refused() {
    for (bytes, ..) in FILES {
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length} bytes");
        }
        let longer = [bytes, &[0]].concat();
        assert_eq!(decode(&longer), Err(Error::Length { found: bytes.len() as u64 + 1, wanted: bytes.len() as u64 }));
        let length = bytes.len() as u64;
        assert_eq!(check_head(&bytes[..HEAD], length), Ok(()));
        assert_eq!(check_head(&bytes[..HEAD], 10 << 30), Err(Error::Length { found: 10 << 30, wanted: length }));
        assert!(check_head(&bytes[..HEAD - 1], length).is_err() && check_head(&[0; HEAD], length).is_err());
        let mut damaged = bytes.to_vec();
        for bit in 0..8 * bytes.len() {
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&damaged).is_err(), "bit {bit}");
            damaged[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(decode(&damaged).is_ok());
    }
}

/// A file with a good checksum can still say anything: each of its words becomes what hurts most.
#[test]
fn a_sealed_lie_is_refused_or_is_another_network() {
    let words = [0, 1, 2, 3, 31, 32, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX, u32::MAX - 3, 0x1000_0000];
    let mut sets = InstructionSet::available().into_iter().cycle();
    let mut found = [0, 0];
    for (bytes, ..) in FILES {
        for place in (16..bytes.len()).step_by(4) {
            for word in words {
                let mut lie = bytes.to_vec();
                lie[place..place + 4].copy_from_slice(&u32::to_le_bytes(word));
                seal(&mut lie);
                let model = fuzzing::read_within(&lie, 1 << 15);
                found[usize::from(model.is_some())] += 1;
                model.iter().for_each(|model| fuzzing::ask(model, sets.next().expect("there is always one")));
            }
        }
    }
    assert!(found.iter().all(|count| *count > 1000), "{found:?} refused and accepted");
}

/// The fuzzer's corpus, as the fuzz targets take it.
#[test]
fn what_the_fuzzer_found_worth_keeping_is_refused_or_is_a_network() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/model_file");
    let paths = std::fs::read_dir(folder).expect("the corpus is there").map(|entry| entry.expect("readable").path());
    let mut accepted = [0, 0];
    for path in paths {
        let bytes = fuzzing::sealed(&std::fs::read(path).expect("readable"));
        let model = fuzzing::read(&bytes);
        accepted[usize::from(model.is_some())] += 1;
        if let Some(model) = &model {
            InstructionSet::available().into_iter().for_each(|set| fuzzing::ask(model, set));
        }
    }
    assert!(accepted[0] > 0 && accepted[1] > 0, "{accepted:?} refused and accepted");
}

/// The first example of `docs/format.md`, which is of version 1.
fn drawn() -> Vec<u8> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/format.md");
    let page = std::fs::read_to_string(page).expect("the page is there").replace("\r\n", "\n");
    let drawn = page.split("```hex\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let hex = drawn.lines().flat_map(|line| line.split("  ").next().into_iter().flat_map(str::split_whitespace));
    hex.map(|byte| u8::from_str_radix(byte, 16).expect("two digits")).collect()
}

#[test]
fn the_example_in_the_documents_is_read() {
    let model = decode(&drawn()).expect("good");
    let Trained { graph, weights } = &model.network;
    assert_eq!((model.info, model.precision), (info("tiny"), Precision::F16));
    let ops: Vec<String> = graph.nodes().iter().map(|node| format!("{}: {}", node.name, node.op)).collect();
    assert_eq!(ops, ["fc.flatten: flatten", "fc: linear, 3 outputs", "relu: relu"]);
    let mut weight = [0.0; 12];
    (weight[1], weight[8], weight[10]) = (0.5, -1.0, 2.0);
    assert_eq!((weights.get("fc.weight"), weights.get("fc.bias")), (&weight[..], &[0.0, 0.0, 0.25][..]));
    assert_eq!(model.sizes[0].coding, Coding::Rice { remainder: 1 });
}

#[test]
fn a_small_file_that_asks_for_a_large_network_is_refused() {
    let mut bytes = drawn();
    // Four inputs and three outputs, behind the kind of a fully connected layer.
    let place = bytes.windows(12).position(|own| own == [1, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0]).expect("the layer");
    bytes[place + 8..place + 12].copy_from_slice(&[0, 0, 0, 16]);
    seal(&mut bytes);
    let error = decode(&bytes).expect_err("too large");
    assert_eq!(
        error.to_string(),
        "byte 76: node `fc`: the network up to here has 268435464 values for one image, expected at most 268435456"
    );
}

#[test]
fn rounding_is_as_fine_as_the_precision_says() {
    let network = pruned(&lenet(), &[0.5; 5], &mut Random(1));
    let [half, int8] = [Precision::F16, Precision::Int8].map(|precision| network.quantized(precision).expect("finite"));
    for ((before, half), int8) in network.layers().into_iter().zip(half.layers()).zip(int8.layers()) {
        for (before, after) in before.weight.iter().zip(half.weight) {
            assert!((before - after).abs() <= before.abs().max(1.0 / 16_384.0) / 2048.0, "{before} became {after}");
        }
        let columns = before.weight.len() / before.shape[0];
        let (mut own, mut plain) = (0.0, 0.0);
        for (before, after) in before.weight.chunks(columns).zip(int8.weight.chunks(columns)) {
            // The plain scale puts the largest value on 127.
            let step = before.iter().fold(0f32, |largest, value| largest.max(value.abs())) / 127.0;
            plain += before.iter().map(|value| (value - (value / step).round() * step).powi(2)).sum::<f32>();
            own += before.iter().zip(after).map(|(before, after)| (before - after).powi(2)).sum::<f32>();
        }
        assert!(own < plain, "{}: {own}, plainly {plain}", before.name);
    }
}

/// The numbers that a pruned LeNet of width 5 has to keep at 98 % sparsity, in bytes.
#[test]
fn a_lenet_at_98_percent_takes_no_more_than_90_and_60_kilobytes() {
    let shares = [[0.02; 5], [0.6, 0.1, 0.0187, 0.0142, 0.3], [0.9, 0.25, 0.0125, 0.02, 0.9]];
    for (name, shares) in ["uniform", "by layer", "late layers"].into_iter().zip(shares) {
        let network = pruned(&lenet(), &shares, &mut Random(5));
        let cost = network.cost();
        let left = cost.nonzero as f64 / cost.parameters as f64;
        let sizes = PRECISIONS.map(|precision| encoded(&network, precision).len());
        println!("{name}: {} of {} parameters left, {sizes:?} bytes", cost.nonzero, cost.parameters);
        assert!((0.0185..0.0205).contains(&left), "{left}");
        assert!(sizes[1] <= 90_000 && sizes[2] <= 60_000, "{sizes:?}");
    }
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("format");
    std::fs::create_dir_all(&folder).expect("the build folder can be written");
    folder
}

/// For `scripts/check-format`: files, and beside each all values of its tensors as f32, layer by layer.
#[test]
fn files_for_other_readers() {
    let write = |name: &str, bytes: &[u8], values: Vec<f32>| {
        let path = folder().join(name);
        std::fs::write(&path, bytes).expect("writes");
        let values: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        std::fs::write(path.with_extension("f32"), values).expect("writes");
    };
    for (bytes, precision, _) in FILES {
        let Trained { graph, weights } = decode(bytes).expect("an old file").network;
        // What batch normalisation has beside a scale and a shift stands in no file of version 1.
        let stored = graph.parameters().iter().filter(|own| !matches!(own.role, Role::Mean | Role::Variance));
        assert!(graph.nodes().iter().any(|node| matches!(node.op, Op::BatchNorm(_))));
        let values = stored.flat_map(|own| weights.get(&own.name).to_vec()).collect();
        write(&format!("version-1-{precision:?}.secateur").to_lowercase(), bytes, values);
    }
    let network = pruned(&lenet(), &[0.6, 0.1, 0.0187, 0.0142, 0.3], &mut Random(5));
    for precision in PRECISIONS {
        let rounded = network.quantized(precision).expect("finite");
        let values = parameters(&rounded).flat_map(|own| [own.weight, own.bias].concat()).collect();
        write(&format!("lenet-{precision:?}.secateur").to_lowercase(), &encoded(&network, precision), values);
    }
}
