//! A language model as dimensions, from the `config.json` that model hubs publish. NOT: how it is
//! spread over a machine.

use crate::document::{self, Document};
use crate::error::Error;

const BUILT_IN: &[(&str, &str)] = &[
    ("llama-1.1b", include_str!("../models/llama-1.1b.json")),
    ("gpt2", include_str!("../models/gpt2.json")),
];

/// Which kind of transformer block a model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Architecture {
    /// Layer norm, learnt positions, `4 * hidden` GELU feed-forward.
    Gpt2,
    /// RMS norm, rotary positions, gated `SiLU` feed-forward, grouped-query attention.
    Llama,
}

/// Dimensions of a decoder-only language model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Model {
    /// Path or built-in name it was read from.
    pub name: String,
    /// The kind of block.
    pub architecture: Architecture,
    /// Width of the residual stream.
    pub hidden: u64,
    /// Number of blocks.
    pub layers: u64,
    /// Query heads.
    pub heads: u64,
    /// Key and value heads; divides `heads`.
    pub kv_heads: u64,
    /// Width of a head.
    pub head_dim: u64,
    /// Width of the feed-forward layer.
    pub intermediate: u64,
    /// Size of the vocabulary.
    pub vocabulary: u64,
    /// Positions the model was made for, prompt and answer together.
    pub positions: u64,
    /// Bytes of a weight, an activation and a cached key or value.
    pub element_bytes: u64,
}

impl Model {
    /// The model that is simulated when none is named.
    pub const DEFAULT: &'static str = "llama-1.1b";

    /// Names that [`Model::open`] understands without a file.
    pub fn built_in() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// Reads the `config.json` at a path, or one that ships with the simulator by its name.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`] and [`Error::Read`] if there is no such model, and what
    /// [`Model::parse`] returns.
    ///
    /// # Examples
    ///
    /// ```
    /// let model = accelerator::Model::open("gpt2")?;
    /// assert_eq!((model.layers, model.intermediate), (12, 4 * 768));
    /// # Ok::<(), accelerator::Error>(())
    /// ```
    pub fn open(name_or_path: &str) -> Result<Self, Error> {
        let (origin, text) = document::open("model", name_or_path, BUILT_IN)?;
        Self::parse(&origin, &text)
    }

    /// Reads a `config.json`; `origin` names it in errors.
    ///
    /// GPT-2's spelling (`n_embd`, `n_layer`, `n_head`, `n_inner`) and Llama's (`hidden_size`,
    /// `num_hidden_layers`, …) are both understood. Absent or null `n_inner` is four times the
    /// width, absent `num_key_value_heads` means one for each query head, and a configuration
    /// without `torch_dtype` has two-byte elements.
    ///
    /// # Errors
    ///
    /// [`Error::Syntax`], [`Error::MissingKey`], [`Error::BadValue`],
    /// [`Error::UnknownArchitecture`] or [`Error::DoesNotDivide`], each naming file and key.
    pub fn parse(origin: &str, text: &str) -> Result<Self, Error> {
        let file = Document::json(origin, text)?;
        let model_type =
            file.text("model_type", "add `\"model_type\": \"llama\"` (or gpt2, mistral, qwen2)")?;
        let architecture = match model_type {
            "gpt2" => Architecture::Gpt2,
            "llama" | "mistral" | "qwen2" => Architecture::Llama,
            other => {
                return Err(Error::UnknownArchitecture {
                    origin: file.origin().to_owned(),
                    found: other.to_owned(),
                    known: "gpt2, llama, mistral, qwen2".to_owned(),
                });
            }
        };
        let hidden = file.size(&["hidden_size", "n_embd"])?;
        let heads = file.size(&["num_attention_heads", "n_head"])?;
        let kv_heads = file.size_or_none(&["num_key_value_heads"])?.unwrap_or(heads);
        let divides = |value_key, value: u64, divisor_key, divisor: u64| {
            if value.is_multiple_of(divisor) {
                return Ok(value / divisor);
            }
            Err(Error::DoesNotDivide {
                origin: file.origin().to_owned(),
                value_key,
                value,
                divisor_key,
                divisor,
            })
        };
        let head_dim = match file.size_or_none(&["head_dim"])? {
            Some(width) => width,
            None => divides("hidden_size", hidden, "num_attention_heads", heads)?,
        };
        divides("num_attention_heads", heads, "num_key_value_heads", kv_heads)?;
        let intermediate = match file.size_or_none(&["intermediate_size", "n_inner"])? {
            Some(width) => width,
            None if architecture == Architecture::Gpt2 => 4 * hidden,
            None => file.size(&["intermediate_size"])?,
        };
        let dtype_key = if file.has("torch_dtype") { "torch_dtype" } else { "dtype" };
        let element_bytes = match file.text_or_none(dtype_key)? {
            None | Some("bfloat16" | "float16") => 2,
            Some("float32") => 4,
            Some(_) => return Err(file.bad(dtype_key, "bfloat16, float16 or float32")),
        };
        Ok(Self {
            name: origin.to_owned(),
            architecture,
            hidden,
            layers: file.size(&["num_hidden_layers", "n_layer"])?,
            heads,
            kv_heads,
            head_dim,
            intermediate,
            vocabulary: file.size(&["vocab_size"])?,
            positions: file.size(&["max_position_embeddings", "n_positions", "n_ctx"])?,
            element_bytes,
        })
    }

    /// Width of all query heads together; differs from `hidden` only where `head_dim` is given.
    #[must_use]
    pub fn query_width(&self) -> u64 {
        self.heads * self.head_dim
    }

    /// Elements of all weights: blocks, embedding and output matrix. Norm gains and biases are
    /// left out; they are a thousandth.
    #[must_use]
    pub fn weights(&self) -> u128 {
        let hidden = u128::from(self.hidden);
        let projected = u128::from(self.query_width() + self.kv_heads * self.head_dim);
        let feed_forward = u128::from(self.feed_forward_matrices() * self.intermediate);
        let layer = 2 * hidden * projected + feed_forward * hidden;
        u128::from(self.layers) * layer + 2 * u128::from(self.vocabulary) * hidden
    }

    pub(crate) fn feed_forward_matrices(&self) -> u64 {
        match self.architecture {
            Architecture::Gpt2 => 2,
            Architecture::Llama => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LLAMA: &str = include_str!("../models/llama-1.1b.json");

    fn changed(key: &str, value: &str) -> String {
        let mut config: serde_json::Value = serde_json::from_str(LLAMA).unwrap();
        config[key] = serde_json::from_str(value).unwrap();
        Model::parse("config.json", &config.to_string()).unwrap_err().to_string()
    }

    #[test]
    fn published_configurations_give_published_sizes() {
        let llama = Model::open("llama-1.1b").unwrap();
        assert_eq!((llama.head_dim, llama.kv_heads, llama.element_bytes), (64, 4, 2));
        assert_eq!(llama.weights(), 1_099_956_224, "1.1 thousand million parameters");
        let gpt2 = Model::open("gpt2").unwrap();
        assert_eq!((gpt2.head_dim, gpt2.kv_heads, gpt2.intermediate), (64, 12, 3072));
        assert_eq!(gpt2.positions, 1024);
    }

    #[test]
    fn an_absent_key_is_named_with_its_spellings() {
        let message = changed("hidden_size", "null");
        assert_eq!(
            message,
            "`config.json` has no key `hidden_size` or `n_embd`; add it as a whole number above \
             zero, such as `\"hidden_size\": 64`"
        );
        assert!(changed("intermediate_size", "null").contains("`intermediate_size`"));
        assert!(changed("model_type", "null").contains("add `\"model_type\": \"llama\"`"));
    }

    #[test]
    fn a_value_of_the_wrong_type_or_range_is_quoted() {
        for (value, found) in [
            ("0", "but is 0"),
            ("-3", "but is -3"),
            ("2.5", "but is 2.5"),
            ("\"22\"", "but is \"22\""),
            ("[1]", "but is [1]"),
            ("1e30", "but is 1e+30"),
        ] {
            let message = changed("num_hidden_layers", value);
            let start = "key `num_hidden_layers` in `config.json` must be a whole number from 1";
            assert!(message.starts_with(start), "{message}");
            assert!(message.ends_with(found), "{message}");
        }
        assert_eq!(
            changed("torch_dtype", "\"int4\""),
            "key `torch_dtype` in `config.json` must be bfloat16, float16 or float32, but is \
             \"int4\""
        );
    }

    #[test]
    fn an_unknown_architecture_is_told_what_there_is() {
        assert_eq!(
            changed("model_type", "\"mamba\""),
            "model type `mamba` in `config.json` is not supported; use one of gpt2, llama, \
             mistral, qwen2"
        );
    }

    #[test]
    fn heads_must_divide() {
        assert_eq!(
            changed("num_attention_heads", "30"),
            "`config.json`: num_attention_heads = 30 does not divide hidden_size = 2048; change \
             one of them"
        );
        assert!(changed("num_key_value_heads", "5").contains("num_key_value_heads = 5"));
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_line() {
        let message =
            Model::parse("config.json", "{\n  \"hidden_size\": ,").unwrap_err().to_string();
        assert!(message.contains("not valid JSON") && message.contains("line 2"), "{message}");
        assert!(Model::parse("config.json", "[]").unwrap_err().to_string().contains("object"));
    }

    #[test]
    fn a_name_that_is_no_file_is_told_the_built_in_names() {
        let message = Model::open("gpt3").unwrap_err().to_string();
        assert!(message.contains("llama-1.1b, gpt2"), "{message}");
        assert!(matches!(Model::open("none/config.json"), Err(Error::Read { .. })));
    }
}
