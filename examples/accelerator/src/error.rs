//! What can be wrong with an input. NOT: how it is shown.

use std::io;

/// Why a model, a machine or a workload cannot be simulated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file given by path could not be read.
    #[error("cannot read {what} `{origin}`")]
    Read {
        /// `model` or `hardware`.
        what: &'static str,
        /// The path as given.
        origin: String,
        /// Why.
        source: io::Error,
    },
    /// Neither a file nor a name that ships with the simulator.
    #[error("no {what} `{name}`: it is neither a file nor one of the built-in names {known}")]
    UnknownName {
        /// `model` or `hardware`.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The text is not JSON or TOML.
    #[error("`{origin}` is not valid {format}: {message}")]
    Syntax {
        /// Path or built-in name.
        origin: String,
        /// `JSON` or `TOML`.
        format: &'static str,
        /// The parser's words, with line and column.
        message: String,
    },
    /// A key that is needed is absent or null.
    #[error("`{origin}` has no key {keys}; {hint}")]
    MissingKey {
        /// Path or built-in name.
        origin: String,
        /// The key, or the spellings of it that are understood.
        keys: String,
        /// What to write.
        hint: String,
    },
    /// A key holds a value of the wrong type or range.
    #[error("key `{key}` in `{origin}` must be {expected}, but is {found}")]
    BadValue {
        /// Path or built-in name.
        origin: String,
        /// The key, dotted.
        key: String,
        /// The type and range.
        expected: String,
        /// The value found.
        found: String,
    },
    /// A hardware description has a key that means nothing.
    #[error("unknown key `{key}` in `{origin}`; known here: {known}")]
    UnknownKey {
        /// Path or built-in name.
        origin: String,
        /// The key, dotted.
        key: String,
        /// The keys of the same table.
        known: String,
    },
    /// The model's architecture is none that the simulator can lower.
    #[error("model type `{found}` in `{origin}` is not supported; use one of {known}")]
    UnknownArchitecture {
        /// Path or built-in name.
        origin: String,
        /// Value of `model_type`.
        found: String,
        /// The types there are.
        known: String,
    },
    /// Two sizes of a model must divide, and do not.
    #[error(
        "`{origin}`: {divisor_key} = {divisor} does not divide {value_key} = {value}; \
         change one of them"
    )]
    DoesNotDivide {
        /// Path or built-in name.
        origin: String,
        /// Key of the larger size.
        value_key: &'static str,
        /// The larger size.
        value: u64,
        /// Key of the size that should divide it.
        divisor_key: &'static str,
        /// The size that should divide it.
        divisor: u64,
    },
    /// Weights and key-value cache are larger than the memory of the dies.
    #[error(
        "the model needs {needed_mib} MiB per die but `l3.capacity_mib` of `{hardware}` is \
         {capacity_mib}; use a smaller model, more dies or more memory"
    )]
    OutOfMemory {
        /// Name of the hardware.
        hardware: String,
        /// Weights and cache of a die.
        needed_mib: u64,
        /// What a die has.
        capacity_mib: u64,
    },
    /// The scratchpad of a cluster cannot hold the smallest tile.
    #[error(
        "`l1.capacity_kib` of `{hardware}` is {capacity_kib}, but one token and the smallest \
         tiles of this model need {needed_kib}"
    )]
    ScratchpadTooSmall {
        /// Name of the hardware.
        hardware: String,
        /// What would do.
        needed_kib: u64,
        /// What a cluster has.
        capacity_kib: u64,
    },
    /// More tokens than the model has positions for, or none.
    #[error(
        "{prompt_tokens} prompt tokens and {decode_steps} decode steps, but the model takes 1 to \
         {limit} tokens in all"
    )]
    BadWorkload {
        /// Tokens of the prompt.
        prompt_tokens: u64,
        /// Tokens generated after it.
        decode_steps: u64,
        /// Positions of the model.
        limit: u64,
    },
    /// The run would take too long and too much memory.
    #[error(
        "this run would be about {estimate:.1e} actions, and the limit is {limit:.0e}; use fewer \
         tokens, a smaller model or hardware with a larger l1"
    )]
    TooManyActions {
        /// About how many.
        estimate: f64,
        /// The most that is accepted.
        limit: f64,
    },
    /// The machine is so slow that the counters alone would fill the disk.
    #[error(
        "this run would be about {estimate_s:.1e} simulated seconds, and the limit is {limit_s}; \
         `{hardware}` has a bandwidth, frequency or latency that is out of all proportion"
    )]
    TooSlow {
        /// Name of the hardware.
        hardware: String,
        /// About how long.
        estimate_s: f64,
        /// The longest that is accepted.
        limit_s: u32,
    },
}
