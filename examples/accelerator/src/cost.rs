//! What an action costs on its engine: cycles, time, operations, scratchpad traffic, energy.
//! NOT: waiting for data or for a free engine.
//!
//! - A matrix engine is a weight-stationary array of R × C cells. A tile of m × n × k is cut in
//!   ⌈k/R⌉ · ⌈n/C⌉ array-sized pieces; each streams m rows while the next piece's weights load
//!   over R cycles, so it takes max(m, R), and filling and draining the array adds R + C once.
//!   Padding of partial pieces and the weight load of short m are the efficiency lost.
//! - A vector engine does `lanes` operations per cycle after a fixed start-up.
//! - Half of the scratchpad's bandwidth belongs to the DMA engines; the other half is divided
//!   evenly between the cluster's compute engines, and one that needs more than its share waits.

use serde::Serialize;

use crate::graph::{VectorWork, Work};
use crate::hardware::Hardware;
use crate::units::{bytes_per_ps, ceil_ps, cycles_to_ps, float};

/// Cycles a vector instruction stream takes before its first result.
const VECTOR_STARTUP_CYCLES: u64 = 16;

/// Cost of one compute action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Cost {
    /// Cycles of arithmetic.
    pub cycles: u64,
    /// Time on the engine: arithmetic or scratchpad traffic, whichever is longer.
    #[serde(skip)]
    pub duration_ps: u64,
    /// Operations, two to a multiply-add.
    pub flops: u64,
    /// Share of the engine's peak that the cycles use, 0 to 1.
    pub efficiency: f64,
    /// Bytes between scratchpad and engine.
    pub l1_bytes: u64,
    /// Whether the scratchpad, not the arithmetic, sets the time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub l1_bound: bool,
    /// Energy of the operations.
    pub compute_pj: f64,
}

/// Rates of the compute engines of a machine.
#[derive(Clone, Debug)]
pub(crate) struct CostModel {
    rows: u64,
    columns: u64,
    matrix_mhz: u64,
    pj_per_flop: f64,
    lanes: u64,
    vector_mhz: u64,
    pj_per_op: f64,
    /// Bytes per picosecond of one engine's scratchpad port.
    port: f64,
    element_bytes: u64,
}

impl CostModel {
    pub(crate) fn new(hardware: &Hardware, element_bytes: u64) -> Self {
        let ports = (hardware.matrix.engines + hardware.vector.engines) as u64;
        Self {
            rows: hardware.matrix.rows,
            columns: hardware.matrix.columns,
            matrix_mhz: hardware.matrix.frequency_mhz,
            pj_per_flop: hardware.matrix.energy_pj_per_flop,
            lanes: hardware.vector.lanes,
            vector_mhz: hardware.vector.frequency_mhz,
            pj_per_op: hardware.vector.energy_pj_per_op,
            port: bytes_per_ps(hardware.l1.bandwidth_gb_s) / 2.0 / float(ports),
            element_bytes,
        }
    }

    /// Cost of a compute action; nothing for one that computes nothing.
    pub(crate) fn of(&self, work: &Work) -> Cost {
        match *work {
            Work::Gemm { m, n, k } => self.gemm(u64::from(m), u64::from(n), u64::from(k)),
            Work::Vector { kind, elements } => self.vector(kind, elements),
            _ => Cost::default(),
        }
    }

    fn gemm(&self, m: u64, n: u64, k: u64) -> Cost {
        let (deep, wide) = (k.div_ceil(self.rows), n.div_ceil(self.columns));
        let cycles = deep * wide * m.max(self.rows) + self.rows + self.columns;
        let flops = 2 * m * n * k;
        // Activations are read again for every block of columns; weights and outputs once.
        let l1_bytes = (m * k * wide + k * n + m * n) * self.element_bytes;
        let peak = 2 * self.rows * self.columns;
        self.finish(Cost {
            cycles,
            duration_ps: cycles_to_ps(cycles, self.matrix_mhz),
            flops,
            efficiency: float(flops) / (float(peak) * float(cycles)),
            l1_bytes,
            l1_bound: false,
            compute_pj: float(flops) * self.pj_per_flop,
        })
    }

    fn vector(&self, kind: VectorWork, elements: u64) -> Cost {
        let operations = elements * kind.operations();
        let cycles = operations.div_ceil(self.lanes) + VECTOR_STARTUP_CYCLES;
        self.finish(Cost {
            cycles,
            duration_ps: cycles_to_ps(cycles, self.vector_mhz),
            flops: operations,
            efficiency: float(operations) / (float(cycles) * float(self.lanes)),
            l1_bytes: elements * kind.operands() * self.element_bytes,
            l1_bound: false,
            compute_pj: float(operations) * self.pj_per_op,
        })
    }

    fn finish(&self, cost: Cost) -> Cost {
        let traffic_ps = ceil_ps(float(cost.l1_bytes) / self.port);
        Cost {
            l1_bound: traffic_ps > cost.duration_ps,
            duration_ps: cost.duration_ps.max(traffic_ps),
            ..cost
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> CostModel {
        CostModel::new(&Hardware::open("server-2x4").unwrap(), 2)
    }

    #[test]
    fn a_full_tile_is_streamed_once_per_array_piece() {
        let cost = server().of(&Work::Gemm { m: 256, n: 256, k: 512 });
        // 512/64 · 256/64 = 32 pieces of 256 rows, and 64 + 64 to fill and drain.
        assert_eq!(cost.cycles, 32 * 256 + 128);
        assert_eq!(cost.flops, 2 * 256 * 256 * 512);
        assert_eq!(cost.duration_ps, 8_320 * 625, "1600 MHz");
        assert!((cost.efficiency - 8_192.0 / 8_320.0).abs() < 1e-12);
        // Activations for each of 4 column blocks, weights, outputs; two bytes each.
        assert_eq!(cost.l1_bytes, 2 * (4 * 256 * 512 + 512 * 256 + 256 * 256));
        assert!((cost.compute_pj - 67_108_864.0 * 0.35).abs() < 1e-3);
        assert!(!cost.l1_bound);
    }

    #[test]
    fn a_single_row_pays_for_loading_the_weights() {
        let cost = server().of(&Work::Gemm { m: 1, n: 256, k: 512 });
        assert_eq!(cost.cycles, 32 * 64 + 128);
        assert!(cost.efficiency < 0.016, "one row of 64");
    }

    #[test]
    fn a_partial_tile_costs_as_much_as_a_padded_one() {
        let partial = server().of(&Work::Gemm { m: 128, n: 65, k: 1 });
        assert_eq!(partial.cycles, 2 * 128 + 128);
        assert_eq!(partial.flops, 2 * 128 * 65);
    }

    #[test]
    fn vector_work_counts_operations_per_element() {
        let cost = server().of(&Work::Vector { kind: VectorWork::Softmax, elements: 1_000 });
        assert_eq!(cost.flops, 6_000);
        assert_eq!(cost.cycles, 24 + 16, "6000 / 256 rounded up, and the start");
        assert_eq!(cost.duration_ps, 40 * 625);
        assert_eq!(cost.l1_bytes, 1_000 * 2 * 2);
    }

    #[test]
    fn a_starved_engine_waits_for_the_scratchpad() {
        let mut hardware = Hardware::open("server-2x4").unwrap();
        hardware.l1.bandwidth_gb_s = 60.0;
        // Half of 60 GB/s over three engines is 10 GB/s each, or 100 ps a byte.
        let cost = CostModel::new(&hardware, 2).of(&Work::Gemm { m: 64, n: 64, k: 64 });
        assert_eq!(cost.l1_bytes, 2 * 3 * 64 * 64);
        assert!(cost.l1_bound);
        assert!(cost.duration_ps.abs_diff(24_576 * 100) <= 1);
    }
}
