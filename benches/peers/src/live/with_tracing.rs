//! What all layers of `tracing` have in common: spans of level INFO, and one subscriber for the process.

use super::workloads;

macro_rules! span {
    ($name:literal) => {
        let _span = tracing::info_span!($name).entered();
    };
}

macro_rules! span_with {
    ($name:literal, $number:ident, $double:ident, $text:ident) => {
        let _span =
            tracing::info_span!($name, number = $number, double = $double, text = $text).entered();
    };
}

pub struct Spans;

impl Spans {
    pub fn run_w1(spans: u64) {
        Self::w1(spans);
    }

    pub fn run_w2(spans: u64) {
        Self::w2(spans);
    }

    workloads!(span, span_with);
}

/// `w1` and `w2` of a layer.
macro_rules! through_tracing {
    () => {
        fn w1(spans: u64) {
            $crate::live::with_tracing::Spans::run_w1(spans);
        }

        fn w2(spans: u64) {
            $crate::live::with_tracing::Spans::run_w2(spans);
        }
    };
}
pub(super) use through_tracing;

/// Makes `layer` the process's subscriber.
macro_rules! install {
    ($layer:expr) => {{
        use tracing_subscriber::layer::SubscriberExt;
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with($layer))?;
    }};
}
pub(super) use install;
