//! The simulator by itself: `accelerator [OUT [MODEL [HARDWARE]]]`. The command line `novatrace
//! demo` does the same with options, a progress bar and a table.
#![expect(clippy::print_stdout, reason = "this program's output")]

use accelerator::{Hardware, Model, Plan, Workload, trace};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().unwrap_or_else(|| "accelerator.pftrace".to_owned());
    let model = arguments.next().unwrap_or_else(|| Model::DEFAULT.to_owned());
    let hardware = arguments.next().unwrap_or_else(|| Hardware::DEFAULT.to_owned());
    let plan = Plan::new(Model::open(&model)?, Hardware::open(&hardware)?, Workload::default())?;
    let generator = novatrace::TraceGenerator::create(&out)?;
    let (summary, recorded) = trace(&plan, &generator, |_| ())?;
    let stats = generator.finish()?;
    println!("{summary:#?}\n{recorded:#?}\n{stats:#?}");
    println!("{out}: open https://ui.perfetto.dev and drag the file in; nothing is uploaded");
    Ok(())
}
