//! Networks for images of CIFAR-10's size, and made-up numbers: what the benchmarks of graphs time.

use secateur_graph::{Activation, BatchNorm, Builder, Conv2d, Error, Graph, Linear, Op, Pool, Value};

/// The program's allocator: it takes huge pages for large buffers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// He et al. (2015), section 4.2, n = 3: 20 layers; projection shortcuts.
pub(crate) fn resnet20() -> Result<Graph, Error> {
    let mut net = Builder::new(&[3, 32, 32])?;
    let mut last = net.input();
    let mut channels = 16;
    last = convolution(&mut net, "stem", Conv2d::new(16, 3).padding(1), last)?;
    last = net.add("stem.relu", Op::Activation(Activation::Relu), &[last])?;
    for (stage, width) in [16, 32, 64].into_iter().enumerate() {
        for block in 0..3 {
            let name = |own: &str| format!("layer{stage}.{block}.{own}");
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let first = Conv2d::new(width, 3).padding(1).stride(stride);
            let mut own = convolution(&mut net, &name("conv1"), first, last)?;
            own = net.add(&name("relu1"), Op::Activation(Activation::Relu), &[own])?;
            own = convolution(&mut net, &name("conv2"), Conv2d::new(width, 3).padding(1), own)?;
            if stride > 1 || channels != width {
                last = convolution(&mut net, &name("shortcut"), Conv2d::new(width, 1).stride(stride), last)?;
            }
            channels = width;
            last = net.add(&name("add"), Op::Add, &[own, last])?;
            last = net.add(&name("relu2"), Op::Activation(Activation::Relu), &[last])?;
        }
    }
    last = net.add("pool", Op::GlobalAveragePool, &[last])?;
    last = net.add("flatten", Op::Flatten, &[last])?;
    net.add("fc", Op::Linear(Linear::new(10)), &[last])?;
    Ok(net.finish())
}

/// Simonyan and Zisserman (2015), configuration A, with batch normalisation and one fully connected layer.
pub(crate) fn vgg11() -> Result<Graph, Error> {
    let mut net = Builder::new(&[3, 32, 32])?;
    let mut last = net.input();
    for (place, width) in [64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0].into_iter().enumerate() {
        if width == 0 {
            last = net.add(&format!("pool{place}"), Op::Pool(Pool::max(2)), &[last])?;
        } else {
            last = convolution(&mut net, &format!("conv{place}"), Conv2d::new(width, 3).padding(1), last)?;
            last = net.add(&format!("relu{place}"), Op::Activation(Activation::Relu), &[last])?;
        }
    }
    last = net.add("flatten", Op::Flatten, &[last])?;
    net.add("fc", Op::Linear(Linear::new(10)), &[last])?;
    Ok(net.finish())
}

fn convolution(net: &mut Builder, name: &str, conv: Conv2d, input: Value) -> Result<Value, Error> {
    let own = net.add(name, Op::Conv2d(conv.without_bias()), &[input])?;
    net.add(&format!("{name}.bn"), Op::BatchNorm(BatchNorm::default()), &[own])
}

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
