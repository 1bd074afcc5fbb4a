//! What goes over the wire: `docs/STREAM.md` has it in words. Belongs here: bytes of frames. Does not:
//! sockets, and what is done about a frame.

use std::borrow::Cow;
use std::io::{self, IoSlice, Read, Write};

/// What a frame may have at most: one packet, with which a batch can be larger than asked for.
const MAX_BODY: u32 = 1 << 30;
/// The first bytes of a stream.
const MAGIC: [u8; 8] = *b"novatrce";
const VERSION: u32 = 1;
/// Instead of the number of the next batch: no more is wanted, since the trace is complete.
pub(crate) const COMPLETE: u64 = u64::MAX;

/// What tells a stream apart.
pub(crate) type StreamId = [u8; 16];

/// What the program says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// First of all. `first` is the lowest number of a batch that the program still has.
    Hello { id: StreamId, first: u64, name: String },
    /// A batch.
    Batch { number: u64, packets: Vec<u8> },
    /// There are no more than so many batches; so many were lost behind them.
    End { batches: u64, lost: u64 },
}

/// What the receiver answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It has all batches before this number; it also answers `Hello`.
    Next(u64),
    /// It has all there is.
    Done,
    /// It cannot go on.
    Refused(String),
}

pub(crate) fn write_hello(
    to: &mut impl Write,
    id: StreamId,
    first: u64,
    name: &str,
) -> io::Result<()> {
    let parts = [&MAGIC[..], &VERSION.to_le_bytes(), &id, &first.to_le_bytes(), name.as_bytes()];
    write(to, b'H', &parts.concat(), &[])
}

pub(crate) fn write_batch(to: &mut impl Write, number: u64, packets: &[u8]) -> io::Result<()> {
    write(to, b'B', &number.to_le_bytes(), packets)
}

pub(crate) fn write_end(to: &mut impl Write, batches: u64, lost: u64) -> io::Result<()> {
    write(to, b'E', &[batches.to_le_bytes(), lost.to_le_bytes()].concat(), &[])
}

impl Said {
    /// The next frame; `None` at the end.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let Some((kind, mut body)) = read(from)? else { return Ok(None) };
        let said = match kind {
            b'H' => {
                let [magic, version] = [body.get(..8), body.get(8..12)];
                if magic != Some(&MAGIC) {
                    return Err(invalid("it is no stream of novatrace's"));
                }
                if version != Some(&VERSION.to_le_bytes()) {
                    return Err(invalid("it is a stream of another version of novatrace"));
                }
                let id = body.get(12..28).and_then(|id| id.try_into().ok());
                let first = number(&body, 28);
                let name = body.get(36..).map(String::from_utf8_lossy).map(Cow::into_owned);
                match (id, first, name) {
                    (Some(id), Some(first), Some(name)) => Self::Hello { id, first, name },
                    _ => return Err(invalid("its beginning is too short")),
                }
            }
            b'B' if body.len() >= 8 => {
                let number = number(&body, 0).unwrap_or_default();
                body.drain(..8);
                Self::Batch { number, packets: body }
            }
            b'E' => match (number(&body, 0), number(&body, 8)) {
                (Some(batches), Some(lost)) => Self::End { batches, lost },
                _ => return Err(invalid("its end is too short")),
            },
            _ => return Err(invalid("a frame of an unknown kind")),
        };
        Ok(Some(said))
    }
}

impl Answer {
    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Next(number) => write(to, b'N', &number.to_le_bytes(), &[]),
            Self::Done => write(to, b'D', &[], &[]),
            Self::Refused(why) => write(to, b'R', why.as_bytes(), &[]),
        }
    }

    /// The next frame; `None` at the end.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let Some((kind, body)) = read(from)? else { return Ok(None) };
        let answer = match (kind, number(&body, 0)) {
            (b'N', Some(next)) => Self::Next(next),
            (b'D', _) => Self::Done,
            (b'R', _) => Self::Refused(String::from_utf8_lossy(&body).into_owned()),
            _ => return Err(invalid("an answer of an unknown kind")),
        };
        Ok(Some(answer))
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn number(body: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(body.get(at..at + 8)?.try_into().ok()?))
}

/// A frame: its kind, the length of its body in four bytes, its body.
fn write(to: &mut impl Write, kind: u8, first: &[u8], second: &[u8]) -> io::Result<()> {
    let length =
        u32::try_from(first.len() + second.len()).ok().filter(|&length| length <= MAX_BODY);
    let length = length.ok_or_else(|| invalid("a batch of more than 1 GiB"))?;
    let mut head = vec![kind];
    head.extend_from_slice(&length.to_le_bytes());
    head.extend_from_slice(first);
    // Most of the time, all of it in one call.
    let mut written = 0;
    while written < head.len() {
        match to.write_vectored(&[IoSlice::new(&head[written..]), IoSlice::new(second)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => written += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    to.write_all(&second[written - head.len()..])
}

fn read(from: &mut impl Read) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut kind = [0];
    loop {
        match from.read(&mut kind) {
            Ok(0) => return Ok(None),
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > MAX_BODY {
        return Err(invalid("a frame of more than 1 GiB"));
    }
    // Grows as it comes: what is said of the length is not believed.
    let mut body = Vec::with_capacity(usize::try_from(length.min(1 << 20)).unwrap_or(0));
    from.take(length.into()).read_to_end(&mut body)?;
    if body.len() as u64 != u64::from(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some((kind[0], body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_they_were_written() {
        let mut bytes = vec![];
        write_hello(&mut bytes, [7; 16], 5, "a program").expect("memory");
        write_batch(&mut bytes, 5, b"packets").expect("memory");
        write_batch(&mut bytes, 6, b"").expect("memory");
        write_end(&mut bytes, 7, 2).expect("memory");
        let mut from = &bytes[..];
        let said: Vec<_> =
            std::iter::from_fn(|| Said::read(&mut from).expect("whole frames")).collect();
        assert_eq!(
            said,
            [
                Said::Hello { id: [7; 16], first: 5, name: "a program".to_owned() },
                Said::Batch { number: 5, packets: b"packets".to_vec() },
                Said::Batch { number: 6, packets: vec![] },
                Said::End { batches: 7, lost: 2 },
            ]
        );
        let mut bytes = vec![];
        for answer in [Answer::Next(7), Answer::Done, Answer::Refused("full".to_owned())] {
            answer.write(&mut bytes).expect("memory");
        }
        #[rustfmt::skip]
        assert_eq!(bytes, [
            b'N', 8, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0,
            b'D', 0, 0, 0, 0,
            b'R', 4, 0, 0, 0, b'f', b'u', b'l', b'l',
        ]);
        let mut from = &bytes[..];
        assert_eq!(Answer::read(&mut from).expect("whole"), Some(Answer::Next(7)));
        assert_eq!(Answer::read(&mut from).expect("whole"), Some(Answer::Done));
        assert_eq!(
            Answer::read(&mut from).expect("whole"),
            Some(Answer::Refused("full".to_owned()))
        );
        assert_eq!(Answer::read(&mut from).expect("the end"), None);
    }

    #[test]
    fn what_is_cut_or_is_no_frame_is_an_error() {
        let mut bytes = vec![];
        write_hello(&mut bytes, [7; 16], 0, "a program").expect("memory");
        for len in 1..bytes.len() {
            Said::read(&mut &bytes[..len]).expect_err("it is cut");
        }
        for wrong in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"H\x08\0\0\0perfetto",
            b"H\x0C\0\0\0novatrce\x02\0\0\0",
            b"H\x0C\0\0\0novatrce\x01\0\0\0",
            b"B\x01\0\0\0\0",
            b"E\x08\0\0\0\0\0\0\0\0\0\0\0",
            b"B\xFF\xFF\xFF\xFF",
        ] {
            Said::read(&mut &wrong[..]).expect_err("it is none");
        }
    }
}
