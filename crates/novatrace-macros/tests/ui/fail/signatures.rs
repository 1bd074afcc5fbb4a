use novatrace::trace_func;

#[trace_func]
const fn in_the_compiler() -> u32 {
    1
}

#[trace_func]
struct NoFunction;

trait Later {
    #[trace_func]
    fn later(&self);
}

#[trace_func(track = &TRACK)]
async fn has_a_track() {}

fn main() {}
