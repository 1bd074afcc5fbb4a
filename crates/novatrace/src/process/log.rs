//! What the program tells the worker beside its records: names, call sites, rows, rings, threads. A
//! stream of bytes through shared memory, read whenever the worker has looked up to where rings are
//! published: what a record needs was told before it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::arena::{Arena, LOG_BYTES};
use super::futex;

/// Writes messages; one at a time.
#[derive(Debug, Default)]
pub(super) struct Sender {
    message: Vec<u8>,
}

impl Sender {
    /// Appends a message, waiting for room; until the worker is gone, which `is_gone` says.
    pub(super) fn send(
        &mut self,
        arena: &Arena,
        message: &impl Serialize,
        is_gone: impl Fn() -> bool,
    ) {
        self.message.clear();
        self.message.extend([0; 4]);
        let bytes = std::mem::take(&mut self.message);
        // It fails only for lengths that are not known beforehand, of which no message has any.
        let Ok(mut bytes) = postcard::to_extend(message, bytes) else { return };
        let len = u32::try_from(bytes.len() - 4).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        let control = arena.control();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let tail = control.log_tail.load(Ordering::Relaxed);
            let room = control.log_room.load(Ordering::Acquire);
            let used = tail - control.log_head.load(Ordering::Acquire);
            let place = place(tail);
            let fits = (LOG_BYTES - offset(used)).min(LOG_BYTES - place).min(rest.len());
            if fits == 0 {
                if is_gone() {
                    break;
                }
                control.ring();
                futex::wait(&control.log_room, room, Duration::from_millis(20));
                continue;
            }
            // SAFETY: `place + fits` is within the log, and the reader does not read beyond `tail`.
            unsafe { arena.log(place).copy_from_nonoverlapping(rest.as_ptr(), fits) };
            rest = &rest[fits..];
            control.log_tail.store(tail + fits as u64, Ordering::Release);
        }
        self.message = bytes;
    }
}

/// Reads messages.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// Of a message whose rest has not come.
    bytes: Vec<u8>,
}

impl Receiver {
    /// Hands on what has come since it was asked last.
    pub(super) fn receive<M: DeserializeOwned>(&mut self, arena: &Arena, mut with: impl FnMut(M)) {
        let control = arena.control();
        let mut head = control.log_head.load(Ordering::Relaxed);
        let tail = control.log_tail.load(Ordering::Acquire);
        if head == tail {
            return;
        }
        while head < tail {
            let place = place(head);
            let len = (LOG_BYTES - place).min(offset(tail - head));
            // SAFETY: `place + len` is within the log; it was published with `tail`, and is written again only
            // after `log_head` has passed it.
            let bytes = unsafe { std::slice::from_raw_parts(arena.log(place), len) };
            self.bytes.extend_from_slice(bytes);
            head += len as u64;
        }
        control.log_head.store(head, Ordering::Release);
        control.log_room.fetch_add(1, Ordering::Release);
        futex::wake(&control.log_room);
        let mut rest = &self.bytes[..];
        while let Some((len, after)) = rest.split_first_chunk::<4>()
            && let Some((message, after)) =
                after.split_at_checked(u32::from_le_bytes(*len) as usize)
        {
            if let Ok(message) = postcard::from_bytes(message) {
                with(message);
            }
            rest = after;
        }
        let taken = self.bytes.len() - rest.len();
        self.bytes.drain(..taken);
    }
}

/// A position in the stream as a place in the log.
#[expect(clippy::cast_possible_truncation, reason = "less than the size of the log")]
fn place(position: u64) -> usize {
    (position % LOG_BYTES as u64) as usize
}

/// A length within the log.
#[expect(clippy::cast_possible_truncation, reason = "at most the size of the log")]
fn offset(length: u64) -> usize {
    length as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_any_length_arrive_in_order_also_those_longer_than_the_log() {
        let (arena, _) = Arena::create().expect("memory");
        let lengths = [0, 1, 100_000, 3 * LOG_BYTES, 5, LOG_BYTES - 4, LOG_BYTES];
        let text = |at: usize| char::from(b'a' + u8::try_from(at % 26).expect("small")).to_string();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut sender = Sender::default();
                for (at, &len) in lengths.iter().cycle().take(40).enumerate() {
                    sender.send(&arena, &(at, text(at).repeat(len)), || false);
                }
            });
            let (mut receiver, mut next) = (Receiver::default(), 0);
            while next < 40 {
                receiver.receive(&arena, |(at, message): (usize, String)| {
                    assert_eq!(at, next);
                    assert!(message == text(at).repeat(lengths[at % lengths.len()]));
                    next += 1;
                });
            }
        });
    }

    #[test]
    fn a_worker_that_is_gone_holds_nobody() {
        let (arena, _) = Arena::create().expect("memory");
        let mut sender = Sender::default();
        for _ in 0..3 {
            sender.send(&arena, &"x".repeat(LOG_BYTES), || true);
        }
    }
}
