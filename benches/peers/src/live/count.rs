//! What is in a file.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};

#[derive(Default)]
pub struct Counted {
    /// Begun and ended.
    pub spans: u64,
    pub samples: u64,
}

/// Counts what is in a trace of Perfetto's, or in one of Chrome's JSON.
pub fn count(path: &Path) -> Result<Counted> {
    let bytes = std::fs::read(path)?;
    if bytes.starts_with(b"[") {
        let text = std::str::from_utf8(&bytes)?;
        let of = |kind: &str| text.matches(kind).count() as u64;
        return Ok(Counted { spans: of(r#""ph":"B""#).min(of(r#""ph":"E""#)), samples: 0 });
    }
    let (mut begun, mut ended, mut samples) = (0, 0, 0);
    fields(&bytes, |field, _, packet| {
        if field != 1 {
            return;
        }
        let _ = fields(packet, |field, _, event| {
            // TracePacket.track_event
            if field != 11 {
                return;
            }
            let (mut kind, mut is_counted) = (0, false);
            let _ = fields(event, |field, value, _| match field {
                // TrackEvent.type
                9 => kind = value,
                // TrackEvent.extra_counter_values, extra_double_counter_values
                12 | 46 => is_counted = true,
                _ => {}
            });
            match kind {
                1 => begun += 1,
                2 => ended += 1,
                _ => samples += u64::from(kind == 4 || is_counted),
            }
        });
    })
    .context("it is not whole")?;
    Ok(Counted { spans: begun.min(ended), samples })
}

/// Calls with the number, the value and the bytes of each field; `None` at what is not a message.
fn fields<'a>(mut bytes: &'a [u8], mut each: impl FnMut(u64, u64, &'a [u8])) -> Option<()> {
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let (value, inner) = match tag & 7 {
            0 => (varint(&mut bytes)?, &[][..]),
            1 => (0, bytes.split_off(..8)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                (0, bytes.split_off(..length)?)
            }
            5 => (0, bytes.split_off(..4)?),
            _ => return None,
        };
        each(tag >> 3, value, inner);
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// The size when deflated, at level 6.
pub fn deflated(path: &Path) -> Result<u64> {
    struct Size(u64);
    impl Write for Size {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut file = io::BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut out = flate2::write::GzEncoder::new(Size(0), flate2::Compression::new(6));
    io::copy(&mut file, &mut out)?;
    Ok(out.finish()?.0)
}
