//! What the tests of the trainer share: networks with odd sizes, random masks and weights, a batch.

use crate::networks::{Named, chain, conv, filled, flatten, linear, parameters, pool, relu};
use secateur_sparse::train::{ChainTrainer, Crossovers, Images, Kept, Options, Tensor, TensorMut};
use secateur_sparse::{InstructionSet, Optimizer, Trained, Update};

pub(crate) const TABLE: [f32; 256] = {
    let mut table = [0.0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte as f32 / 255.0 - 0.5;
        byte += 1;
    }
    table
};

/// A network with random weights, of which a share is kept, and a batch for it.
pub(crate) struct Case {
    pub(crate) network: Trained,
    pub(crate) kept: Vec<[Vec<u8>; 2]>,
    pub(crate) images: Vec<Vec<u8>>,
    pub(crate) labels: Vec<u16>,
}

/// Weight, bias, and two moments of each, of one layer.
pub(crate) type State = [Vec<f32>; 6];

impl Case {
    pub(crate) fn new(network: Trained, density: f64, batch: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut kept = vec![];
        let network = filled(&network, |weight, bias| {
            let mut bits = |values: &mut [f32]| {
                let mut bits = vec![0u8; values.len().div_ceil(8)];
                for (place, value) in values.iter_mut().enumerate() {
                    let keeps = f64::from(random.next()) < density;
                    bits[place / 8] |= u8::from(keeps) << (place % 8);
                    *value = if keeps { random.next() - 0.5 } else { 0.0 };
                }
                bits
            };
            kept.push([bits(weight), bits(bias)]);
        });
        let pixels: usize = network.input().iter().product();
        let classes = network.classes();
        let images = (0..batch).map(|_| (0..pixels).map(|_| (random.next() * 255.0) as u8).collect()).collect();
        let labels = (0..batch).map(|_| (random.next() * classes as f32) as u16).collect();
        Self { network, kept, images, labels }
    }

    pub(crate) fn trainer(&self, update: impl Into<Update>, options: Options) -> ChainTrainer {
        let states: Vec<State> = parameters(&self.network)
            .map(|own| {
                let zeros = |values: &[f32]| vec![0.0; values.len()];
                let (w, b) = (own.weight, own.bias);
                [w.to_vec(), b.to_vec(), zeros(w), zeros(w), zeros(b), zeros(b)]
            })
            .collect();
        self.resumed(&states, update, 0, options)
    }

    pub(crate) fn resumed(
        &self,
        states: &[State],
        update: impl Into<Update>,
        time: u64,
        options: Options,
    ) -> ChainTrainer {
        let (kept, states) = (self.kept(), self.kept_only(states));
        let tensor = self.tensors(&states, &kept);
        ChainTrainer::new(&self.network.graph, tensor, update, time, options).expect("a chain")
    }

    /// States, of kept values only, as a trainer takes them over.
    pub(crate) fn tensors<'a>(&self, states: &'a [State], kept: &'a [[Kept; 2]]) -> impl Fn(&str) -> Tensor<'a> {
        let layers: Vec<String> = parameters(&self.network).map(|own| own.name.to_owned()).collect();
        move |name| {
            let (layer, field) = name.split_once('.').expect("a layer and its field");
            let place = layers.iter().position(|own| own == layer).expect("a layer of the network");
            let [weight, bias, w1, w2, b1, b2] = &states[place];
            let [kept, kept_bias] = &kept[place];
            match field {
                "weight" => Tensor { values: weight, moments: [w1, w2], kept: Some(kept) },
                _ => Tensor { values: bias, moments: [b1, b2], kept: Some(kept_bias) },
            }
        }
    }

    /// What is kept of each layer's weight and bias.
    pub(crate) fn kept(&self) -> Vec<[Kept; 2]> {
        let layers = parameters(&self.network).zip(&self.kept);
        let both =
            layers.map(|(own, [weight, bias])| [Kept::new(own.weight.len(), weight), Kept::new(own.bias.len(), bias)]);
        both.collect()
    }

    /// What is left of states when only their kept values are.
    pub(crate) fn kept_only(&self, states: &[State]) -> Vec<State> {
        let one = |(state, kept): (&State, [Kept; 2])| {
            std::array::from_fn(|kind| gather(&state[kind], &kept[usize::from([1, 4, 5].contains(&kind))]))
        };
        states.iter().zip(self.kept()).map(one).collect()
    }

    pub(crate) fn step(&self, trainer: &mut ChainTrainer, lr: f64) -> Vec<f32> {
        let rows: Vec<&[u8]> = self.images.iter().map(Vec::as_slice).collect();
        let logits = trainer.forward(Images::Bytes { rows: &rows, tables: &[TABLE] });
        trainer.backward(&self.labels, &[], lr);
        logits
    }

    pub(crate) fn export(&self, trainer: &ChainTrainer) -> Vec<State> {
        self.exported(trainer, None)
    }

    /// The kept values only.
    pub(crate) fn export_kept(&self, trainer: &ChainTrainer) -> Vec<State> {
        self.exported(trainer, Some(&self.kept()))
    }

    fn exported(&self, trainer: &ChainTrainer, kept: Option<&[[Kept; 2]]>) -> Vec<State> {
        let mut found = vec![];
        for (place, own) in parameters(&self.network).enumerate() {
            let kept = kept.map_or([None, None], |kept| kept[place].each_ref().map(Some));
            let room = |kept: Option<&Kept>, values: &[f32]| vec![0.0; kept.map_or(values.len(), Kept::kept)];
            let (w, b) = (room(kept[0], own.weight), room(kept[1], own.bias));
            let [mut weight, mut w1, mut w2] = [w.clone(), w.clone(), w];
            let [mut bias, mut b1, mut b2] = [b.clone(), b.clone(), b];
            let to = TensorMut { values: &mut weight, moments: [&mut w1, &mut w2], kept: kept[0] };
            trainer.export(&format!("{}.weight", own.name), to);
            let to = TensorMut { values: &mut bias, moments: [&mut b1, &mut b2], kept: kept[1] };
            trainer.export(&format!("{}.bias", own.name), to);
            found.push([weight, bias, w1, w2, b1, b2]);
        }
        found
    }
}

/// The kept ones of these values.
pub(crate) fn gather(values: &[f32], kept: &Kept) -> Vec<f32> {
    (0..values.len()).filter(|index| kept.place(*index).is_some()).map(|index| values[index]).collect()
}

/// Networks with odd sizes: channels that fill no vector, kernels of every size, rows that pooling does not read.
pub(crate) fn networks() -> Vec<Trained> {
    let all: Vec<([usize; 3], Vec<Named>)> = vec![
        ([1, 3, 3], vec![flatten(), linear("a", 7), relu(), linear("b", 3)]),
        ([2, 5, 9], vec![flatten(), linear("a", 37), relu(), linear("b", 23), relu(), linear("c", 10)]),
        (
            [1, 12, 14],
            vec![conv("a", 7, 3), relu(), pool(), conv("b", 18, 3), pool(), relu(), flatten(), linear("c", 5)],
        ),
        ([3, 15, 13], vec![conv("a", 11, 5), pool(), conv("b", 19, 1), relu(), pool(), flatten(), linear("c", 10)]),
        ([5, 9, 8], vec![conv("a", 33, 7), relu(), pool(), flatten(), linear("b", 4)]),
        ([17, 6, 6], vec![conv("a", 21, 3), relu(), pool(), flatten(), linear("b", 4)]),
        ([40, 8, 8], vec![conv("a", 6, 5), pool(), flatten(), linear("b", 4)]),
    ];
    all.into_iter().map(|(input, layers)| chain(input, layers)).collect()
}

pub(crate) fn every_option() -> Vec<Options> {
    let mut found = vec![];
    for instruction_set in InstructionSet::available() {
        for crossovers in [Crossovers::DENSE, Crossovers::SPARSE] {
            found.push(Options { threads: 2, instruction_set, crossovers, compact: true });
        }
    }
    found
}

pub(crate) const PLAIN: Optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };

/// Marsaglia's xorshift, enough for made-up numbers.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1u64 << 24) as f32
    }
}
