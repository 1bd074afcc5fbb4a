//! A machine as sizes and rates, from a TOML description. NOT: what runs on it.

use crate::document::{self, Document};
use crate::error::Error;

const BUILT_IN: &[(&str, &str)] = &[
    ("server-2x4", include_str!("../hardware/server-2x4.toml")),
    ("edge-1x2", include_str!("../hardware/edge-1x2.toml")),
];

/// Every key a description may have.
const KEYS: &[&str] = &[
    "name",
    "dies",
    "clusters_per_die",
    "matrix.engines_per_cluster",
    "matrix.frequency_mhz",
    "matrix.rows",
    "matrix.columns",
    "matrix.energy_pj_per_flop",
    "vector.engines_per_cluster",
    "vector.frequency_mhz",
    "vector.lanes",
    "vector.energy_pj_per_op",
    "dma.engines_per_cluster",
    "dma.bandwidth_gb_s",
    "dma.startup_ns",
    "l1.capacity_kib",
    "l1.bandwidth_gb_s",
    "l1.latency_ns",
    "l1.energy_pj_per_byte",
    "l2.capacity_kib",
    "l2.bandwidth_gb_s",
    "l2.latency_ns",
    "l2.energy_pj_per_byte",
    "l3.capacity_mib",
    "l3.bandwidth_gb_s",
    "l3.latency_ns",
    "l3.energy_pj_per_byte",
    "link.bandwidth_gb_s",
    "link.latency_ns",
    "link.energy_pj_per_byte",
    "power.die_static_w",
    "power.cluster_static_w",
];

/// A machine: dies in a ring, clusters in a die, engines in a cluster.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hardware {
    /// What it calls itself.
    pub name: String,
    /// Number of dies.
    pub dies: usize,
    /// Clusters of each die.
    pub clusters_per_die: usize,
    /// Matrix engines, "XPU".
    pub matrix: Matrix,
    /// Vector engines, "VPU".
    pub vector: Vector,
    /// Engines that move data between memory levels.
    pub dma: Dma,
    /// Scratchpad of a cluster.
    pub l1: Memory,
    /// Cache of a die.
    pub l2: Memory,
    /// Memory of a die.
    pub l3: Memory,
    /// One direction of the ring between dies; absent on a single die.
    pub link: Option<Memory>,
    /// Watts a die draws when idle, without its clusters.
    pub die_static_w: f64,
    /// Watts a cluster draws when idle.
    pub cluster_static_w: f64,
}

/// Weight-stationary systolic arrays.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Matrix {
    /// Engines of each cluster.
    pub engines: usize,
    /// Clock in MHz.
    pub frequency_mhz: u64,
    /// Cells along the inner dimension.
    pub rows: u64,
    /// Cells along the output's columns.
    pub columns: u64,
    /// Energy of one operation in pJ, two to a multiply-add.
    pub energy_pj_per_flop: f64,
}

/// Vector engines.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Vector {
    /// Engines of each cluster.
    pub engines: usize,
    /// Clock in MHz.
    pub frequency_mhz: u64,
    /// Operations per cycle.
    pub lanes: u64,
    /// Energy of one operation in pJ.
    pub energy_pj_per_op: f64,
}

/// Engines that move data.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Dma {
    /// Engines of each cluster.
    pub engines: usize,
    /// Most that one engine moves, in GB/s (1e9 bytes).
    pub bandwidth_gb_s: f64,
    /// Time to set up a transfer.
    pub startup_ns: f64,
}

/// A level of memory, or the link between dies.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Memory {
    /// Bytes it holds; zero for the link.
    pub capacity_bytes: u64,
    /// Bytes per second in units of 1e9, reads and writes together.
    pub bandwidth_gb_s: f64,
    /// Time until the first byte.
    pub latency_ns: f64,
    /// Energy of a byte in pJ.
    pub energy_pj_per_byte: f64,
}

impl Hardware {
    /// The machine that is simulated when none is named.
    pub const DEFAULT: &'static str = "server-2x4";

    /// Names that [`Hardware::open`] understands without a file.
    pub fn built_in() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// Reads the description at a path, or one that ships with the simulator by its name.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`] and [`Error::Read`] if there is no such description, and what
    /// [`Hardware::parse`] returns.
    pub fn open(name_or_path: &str) -> Result<Self, Error> {
        let (origin, text) = document::open("hardware", name_or_path, BUILT_IN)?;
        Self::parse(&origin, &text)
    }

    /// Reads a description; `origin` names it in errors and is its name if it gives none.
    ///
    /// # Errors
    ///
    /// [`Error::Syntax`], [`Error::MissingKey`], [`Error::BadValue`] or [`Error::UnknownKey`],
    /// each naming file and key.
    pub fn parse(origin: &str, text: &str) -> Result<Self, Error> {
        let file = Document::toml(origin, text)?;
        file.only(KEYS)?;
        let dies = count(&file, "dies", 64)?;
        let link = match dies {
            1 => None,
            _ => Some(memory(&file, "link", None)?),
        };
        Ok(Self {
            name: file.text_or_none("name")?.unwrap_or(origin).to_owned(),
            dies,
            clusters_per_die: count(&file, "clusters_per_die", 64)?,
            matrix: Matrix {
                engines: count(&file, "matrix.engines_per_cluster", 64)?,
                frequency_mhz: file.size(&["matrix.frequency_mhz"])?,
                rows: file.size(&["matrix.rows"])?,
                columns: file.size(&["matrix.columns"])?,
                energy_pj_per_flop: file.coefficient("matrix.energy_pj_per_flop")?,
            },
            vector: Vector {
                engines: count(&file, "vector.engines_per_cluster", 64)?,
                frequency_mhz: file.size(&["vector.frequency_mhz"])?,
                lanes: file.size(&["vector.lanes"])?,
                energy_pj_per_op: file.coefficient("vector.energy_pj_per_op")?,
            },
            dma: Dma {
                engines: count(&file, "dma.engines_per_cluster", 64)?,
                bandwidth_gb_s: file.rate("dma.bandwidth_gb_s")?,
                startup_ns: file.coefficient("dma.startup_ns")?,
            },
            l1: memory(&file, "l1", Some(("capacity_kib", 1 << 10)))?,
            l2: memory(&file, "l2", Some(("capacity_kib", 1 << 10)))?,
            l3: memory(&file, "l3", Some(("capacity_mib", 1 << 20)))?,
            link,
            die_static_w: file.coefficient("power.die_static_w")?,
            cluster_static_w: file.coefficient("power.cluster_static_w")?,
        })
    }

    /// Clusters of all dies.
    #[must_use]
    pub fn clusters(&self) -> usize {
        self.dies * self.clusters_per_die
    }

    /// The die of a cluster numbered over the whole machine.
    #[must_use]
    pub fn die_of(&self, cluster: usize) -> usize {
        cluster / self.clusters_per_die
    }

    /// The clusters of a die, numbered over the whole machine.
    #[must_use]
    pub fn clusters_of(&self, die: usize) -> std::ops::Range<usize> {
        die * self.clusters_per_die..(die + 1) * self.clusters_per_die
    }
}

fn count(file: &Document, key: &str, most: u64) -> Result<usize, Error> {
    let value = file.size(&[key])?;
    if value > most {
        return Err(file.bad(key, format!("a whole number from 1 to {most}")));
    }
    usize::try_from(value).map_err(|_| file.bad(key, "a small number"))
}

fn memory(file: &Document, table: &str, capacity: Option<(&str, u64)>) -> Result<Memory, Error> {
    let capacity_bytes = match capacity {
        Some((member, unit)) => unit * file.size(&[&format!("{table}.{member}")])?,
        None => 0,
    };
    Ok(Memory {
        capacity_bytes,
        bandwidth_gb_s: file.rate(&format!("{table}.bandwidth_gb_s"))?,
        latency_ns: file.coefficient(&format!("{table}.latency_ns"))?,
        energy_pj_per_byte: file.coefficient(&format!("{table}.energy_pj_per_byte"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = include_str!("../hardware/server-2x4.toml");

    fn changed(from: &str, to: &str) -> String {
        assert!(SERVER.contains(from));
        Hardware::parse("chip.toml", &SERVER.replacen(from, to, 1)).unwrap_err().to_string()
    }

    #[test]
    fn built_in_descriptions_parse() {
        for name in Hardware::built_in() {
            let hardware = Hardware::open(name).unwrap();
            assert_eq!(hardware.link.is_some(), hardware.dies > 1);
        }
        let server = Hardware::open(Hardware::DEFAULT).unwrap();
        assert_eq!(server.clusters(), 8);
        assert_eq!(server.clusters_of(1), 4..8);
        assert_eq!(server.die_of(5), 1);
    }

    #[test]
    fn an_absent_key_is_named_with_its_table() {
        assert_eq!(
            changed("lanes = 256", ""),
            "`chip.toml` has no key `vector.lanes`; add it as a whole number above zero, such as \
             `lanes = 64` under `[vector]`"
        );
        assert!(changed("dies = 2", "").contains("such as `dies = 64`"));
    }

    #[test]
    fn several_dies_need_a_link() {
        let without = SERVER.split("[link]").next().unwrap().to_owned() + "[power]\n";
        let message = Hardware::parse("chip.toml", &without).unwrap_err().to_string();
        assert!(message.contains("link.bandwidth_gb_s"), "{message}");
    }

    #[test]
    fn values_out_of_range_are_quoted() {
        assert_eq!(
            changed("bandwidth_gb_s = 512", "bandwidth_gb_s = 0"),
            "key `l3.bandwidth_gb_s` in `chip.toml` must be a number above zero, but is 0"
        );
        assert!(changed("dies = 2", "dies = -2").contains("but is -2"));
        assert!(changed("dies = 2", "dies = 1000").contains("from 1 to 64"));
        assert!(changed("rows = 64", "rows = \"64\"").contains("but is \"64\""));
        assert!(changed("latency_ns = 160", "latency_ns = -1").contains("zero or more"));
        assert!(changed("latency_ns = 160", "latency_ns = nan").contains("l3.latency_ns"));
    }

    #[test]
    fn a_misspelt_key_is_not_silently_ignored() {
        let message = changed("lanes = 256", "lanes = 256\nlane = 3");
        assert!(message.starts_with("unknown key `vector.lane` in `chip.toml`"), "{message}");
        assert!(changed("dies = 2", "dies = 2\ndice = 2").contains("known here: name, dies"));
    }

    #[test]
    fn what_is_not_toml_is_refused_with_its_line() {
        let message = changed("dies = 2", "dies == 2");
        assert!(message.contains("not valid TOML") && message.contains("line 3"), "{message}");
    }
}
