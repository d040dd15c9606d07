//! What can be typed after `secateur sensitivity`.

use super::PlaceArgs;
use clap::Args;
use secateur_trainer::config::CriterionConfig;
use std::path::PathBuf;

pub(super) const HELP: &str = "Each layer that the run may prune is pruned alone, by the run's criterion, to each sparsity, \
    while the others stay as they are; nothing is retrained. The natural network for this is a dense one: a run with \
    --set prune.enabled=false, or `--checkpoint dense`, the state before the first prune, which every run \
    that prunes keeps. sensitivity.csv, .json, .svg and .png are written.\n\nExamples:\n  secateur sensitivity \
    runs/quickstart-1a2b3c4d-s1 --checkpoint dense\n  secateur sensitivity runs/quickstart-1a2b3c4d-s1 --sparsities \
    0.5,0.9,0.99 --images 1000\n  secateur sensitivity runs/quickstart-1a2b3c4d-s1 --within 0.5   # and what to write \
    below [prune]";

/// `secateur sensitivity`.
#[derive(Debug, Args)]
pub(crate) struct SensitivityArgs {
    /// The run's folder; it is only read.
    pub(crate) run: PathBuf,
    /// Name of a folder below the run's checkpoints, or `dense` for the network before the first prune, instead of the final
    /// model.
    #[arg(long, value_name = "NAME")]
    pub(crate) checkpoint: Option<String>,
    /// Shares of zeros that each layer is pruned to.
    #[arg(long, value_name = "SHARE", value_delimiter = ',', default_value = "0.2,0.4,0.6,0.8,0.9,0.95,0.98,0.99")]
    pub(crate) sparsities: Vec<f64>,
    /// By what weights are pruned: l1, l2, lamp or random; otherwise by the run's own criterion, which then has to be one of
    /// these.
    #[arg(long, value_name = "NAME", value_parser = criterion)]
    pub(crate) criterion: Option<CriterionConfig>,
    /// Score on this many validation images, spread evenly, instead of all of them.
    #[arg(long, value_name = "N")]
    pub(crate) images: Option<usize>,
    /// Find for each layer the highest sparsity that loses at most this many points of top-1, and print it as `layers` of a
    /// config's prune section.
    #[arg(long, value_name = "POINTS")]
    pub(crate) within: Option<f64>,
    /// Folder to write to; otherwise `<RUN>-sensitivity` in the current folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Everything as JSON on stdout, instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
    /// What --data names is another data set than the run's on purpose: it is not compared with the run's manifest.
    #[arg(long)]
    pub(crate) other_data: bool,
    /// Where.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

fn criterion(word: &str) -> Result<CriterionConfig, String> {
    match word {
        "l1" => Ok(CriterionConfig::L1),
        "l2" => Ok(CriterionConfig::L2),
        "lamp" => Ok(CriterionConfig::Lamp),
        "random" => Ok(CriterionConfig::Random),
        _ => Err("expected l1, l2, lamp or random, which take nothing but weights".into()),
    }
}
