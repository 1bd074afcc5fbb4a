//! How a trace is compressed, as it is chosen and typed. Does not belong here: compressing.

use std::fmt;
use std::str::FromStr;

/// How a trace's packets are compressed: in bundles, which begin anew every so often, so that a file
/// that is cut can be read up to there.
///
/// As text: `none`, `zlib`, `zlib:6`, `zstd`, `zstd:3`.
///
/// ```
/// use novatrace_sink::Compression;
///
/// assert_eq!("zlib:6".parse(), Ok(Compression::Zlib(6)));
/// assert_eq!("zlib".parse(), Ok(Compression::ZLIB));
/// let error = "gzip".parse::<Compression>().expect_err("not for bundles");
/// assert_eq!(error.to_string(), "compression `gzip` is unknown; it is none, zlib or zstd, with a level as in `zlib:6` if wanted");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// By zlib, with a level from 1 (fast) to 9 (small); what is beyond is taken for the nearest. All
    /// viewers read it.
    Zlib(u8),
    /// By zstd, with a level from 1 (fast) to 19 (small); what is beyond is taken for the nearest.
    /// Smaller and faster than zlib, but it takes a trace processor v58 or later to read it: older ones
    /// find nothing in the file.
    #[cfg(feature = "zstd")]
    Zstd(u8),
}

impl Compression {
    /// zlib with the level for traces.
    pub const ZLIB: Self = Self::Zlib(1);
    /// zstd with the level for traces.
    #[cfg(feature = "zstd")]
    pub const ZSTD: Self = Self::Zstd(3);
}

const ZLIB_LEVELS: (u8, u8) = (1, 9);
#[cfg(feature = "zstd")]
const ZSTD_LEVELS: (u8, u8) = (1, 19);

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Zlib(level) => write!(f, "zlib:{level}"),
            #[cfg(feature = "zstd")]
            Self::Zstd(level) => write!(f, "zstd:{level}"),
        }
    }
}

impl FromStr for Compression {
    type Err = CompressionError;

    fn from_str(text: &str) -> Result<Self, CompressionError> {
        let (codec, level) = match text.split_once(':') {
            Some((codec, level)) => (codec, Some(level)),
            None => (text, None),
        };
        let (make, levels, usual): (fn(u8) -> Self, _, _) = match codec {
            "none" if level.is_none() => return Ok(Self::None),
            "zlib" => (Self::Zlib, ZLIB_LEVELS, Self::ZLIB),
            #[cfg(feature = "zstd")]
            "zstd" => (Self::Zstd, ZSTD_LEVELS, Self::ZSTD),
            #[cfg(not(feature = "zstd"))]
            "zstd" => return Err(CompressionError::NoZstd),
            _ => return Err(CompressionError::Unknown { text: text.to_owned() }),
        };
        let Some(level) = level else { return Ok(usual) };
        match level.parse::<u8>() {
            Ok(level) if (levels.0..=levels.1).contains(&level) => Ok(make(level)),
            _ => Err(CompressionError::Level {
                codec: codec.to_owned(),
                level: level.to_owned(),
                lowest: levels.0,
                highest: levels.1,
            }),
        }
    }
}

/// Why a text is no [`Compression`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressionError {
    /// It names none.
    #[error(
        "compression `{text}` is unknown; it is none, zlib or zstd, with a level as in `zlib:6` if wanted"
    )]
    Unknown {
        /// As given.
        text: String,
    },
    /// It has no such level.
    #[error("{codec} has no level `{level}`; they are {lowest} (fast) to {highest} (small)")]
    Level {
        /// `zlib` or `zstd`.
        codec: String,
        /// As given.
        level: String,
        /// The fastest.
        lowest: u8,
        /// The smallest.
        highest: u8,
    },
    /// The program was built without the feature `zstd`.
    #[error(
        "compression by zstd was left out of this program; build it with novatrace's feature `zstd`, or use zlib"
    )]
    NoZstd,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_can_be_typed() {
        for text in ["none", "zlib:1", "zlib:9"] {
            assert_eq!(text.parse::<Compression>().map(|it| it.to_string()).as_deref(), Ok(text));
        }
        #[cfg(feature = "zstd")]
        for text in ["zstd:1", "zstd:19"] {
            assert_eq!(text.parse::<Compression>().map(|it| it.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        let said = |text: &str| text.parse::<Compression>().expect_err("it is wrong").to_string();
        for text in ["", "none:1", "Zlib", "deflate", ":1", "zlib 6"] {
            assert!(
                said(text).starts_with(&format!("compression `{text}` is unknown; ")),
                "{text}"
            );
        }
        for level in ["", "0", "10", "300", "-1", "6:6", "fast"] {
            assert_eq!(
                said(&format!("zlib:{level}")),
                format!("zlib has no level `{level}`; they are 1 (fast) to 9 (small)")
            );
        }
        #[cfg(feature = "zstd")]
        assert_eq!(said("zstd:20"), "zstd has no level `20`; they are 1 (fast) to 19 (small)");
        #[cfg(not(feature = "zstd"))]
        assert!(said("zstd:3").contains("feature `zstd`"));
    }
}
