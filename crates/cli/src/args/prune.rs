//! What can be typed after `secateur prune`.

use super::Values;
use clap::Args;
use secateur_pruner::Scope;
use std::path::PathBuf;

pub(super) const HELP: &str = "MODEL is what `export` takes: a run's folder, or a .secateur, .onnx or .safetensors file. Nothing is \
    trained. Without images the smallest weights go. Given images, labelled or not, the weights that are left make up for those \
    that go, layer by layer, so that the layers answer as before (the optimal brain surgeon of SparseGPT), and how much each \
    layer loses follows from what the network's answers lose.\n\nImages come from the run's own training part, from --data (a data \
    set, as `run` takes it), or from --calibration: PNG, JPEG or IDX files, folders of pictures, or .npz files whose array `x` \
    holds inputs. Of each 2,048 images or fewer the first half is learned from; all others judge what came \
    out.\n\nExamples:\n  secateur prune model.onnx --sparsity 0.8 --calibration pictures\n  secateur prune model.onnx --within 0.5 \
    --data datasets/mnist\n  secateur prune runs/quickstart-1a2b3c4d-s1 --within-ms 0.05 --threads 1 --out fast.onnx\n  secateur \
    prune model.secateur --within-bytes 20000 --values int8 --calibration inputs.npz";

/// `secateur prune`.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// The model.
    pub(crate) model: PathBuf,
    /// How much goes.
    #[command(flatten)]
    pub(crate) budget: BudgetArgs,
    /// Name of a folder below the run's checkpoints, or `dense` for the network before the first prune, instead of the final
    /// model.
    #[arg(long, value_name = "NAME")]
    pub(crate) checkpoint: Option<String>,
    /// Images to learn from and to judge by: PNG, JPEG, IDX or npz files (arrays `x`, and `y` where there are labels), or folders of
    /// pictures.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "data")]
    pub(crate) calibration: Vec<PathBuf>,
    /// Folder of a data set to learn from and to judge by, instead of the run's own.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// That data is another data set than the run's on purpose: it is not compared with the run's manifest.
    #[arg(long)]
    pub(crate) other_data: bool,
    /// Use at most this many images.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) images: u32,
    /// Prune only weights whose names match this glob, such as layer?.*; may be given more than once.
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// Leave weights alone whose names match this glob, such as conv1.*.
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Distribute by the size of the weights (layerwise, global, erk, global-normalised, mac-aware). The default measures what each
    /// layer's pruning does to the answers where there are images, and is global where there are none.
    #[arg(long, value_parser = scope)]
    pub(crate) scope: Option<Scope>,
    /// Leave the weights that are kept as they are.
    #[arg(long)]
    pub(crate) no_reconstruction: bool,
    /// With --within-ms: images of a call.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) batch: u32,
    /// Threads, at most one for every core; 0 for all of them. With --within-ms calls are timed with so many.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    pub(crate) threads: u16,
    /// How the values of a .secateur file are stored.
    #[arg(long, value_enum, default_value_t = Values::F32)]
    pub(crate) values: Values,
    /// The file, whose ending (.secateur, .safetensors or .onnx) says the format; otherwise the model's name with `-pruned` and
    /// .secateur, in the run's folder or beside the model.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write over a file that is there.
    #[arg(long)]
    pub(crate) force: bool,
    /// What came out as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How much goes: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct BudgetArgs {
    /// Fraction of the weights that go, such as 0.9.
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    pub(crate) sparsity: Option<f64>,
    /// As small as it can be with at most so many points of accuracy lost, or, without labels, so many percent of other answers.
    #[arg(long, value_name = "POINTS", allow_negative_numbers = true)]
    pub(crate) within: Option<f64>,
    /// As accurate as it can be with calls of at most so many milliseconds on this machine.
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    pub(crate) within_ms: Option<f64>,
    /// As accurate as it can be in a .secateur file of at most so many bytes.
    #[arg(long, value_name = "BYTES")]
    pub(crate) within_bytes: Option<u64>,
}

fn scope(word: &str) -> Result<Scope, String> {
    let all = [Scope::Layerwise, Scope::Global, Scope::GlobalNormalised, Scope::Erk, Scope::MacAware];
    all.into_iter()
        .find(|own| own.to_string() == word)
        .ok_or_else(|| "expected layerwise, global, erk, global-normalised or mac-aware".into())
}
