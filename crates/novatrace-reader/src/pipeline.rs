//! From a source to packets in order, on several threads: chunks are read, cut and unpacked by these, while the caller, who
//! alone knows what came before, takes the packets of the chunks before. It takes them apart, too: to hand over what
//! becomes of a packet takes longer than to make it.
//!
//! Threads take turns at cutting chunks, and the caller at taking from them, so that the order needs no sorting, and a
//! thread that is ahead waits: what is in memory is a few chunks for each thread.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use crate::bundle::{self, Unpacked};
use crate::frame::{Chunk, ChunkKind, Damage, Framer};
use crate::packet::Packets;
use crate::wire::{Fields, Wire};

/// What the caller is given, in order of the file.
#[derive(Debug)]
pub(crate) enum Part {
    Packets(Packets),
    /// Bytes that are no packets.
    Damage {
        offset: u64,
        len: u64,
        damage: Damage,
    },
    /// A packet that is a bundle; its packets follow.
    Bundle(Bundle),
}

/// A bundle, without what is in it.
#[derive(Debug)]
pub(crate) struct Bundle {
    pub(crate) offset: u64,
    /// Bytes of the packet.
    pub(crate) len: u64,
    pub(crate) unpacked: Unpacked,
    /// Bytes at its end that are no packets.
    pub(crate) rest: usize,
}

/// How many threads read and unpack besides the caller's; 0 for none.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from).saturating_sub(1).clamp(1, 7)
}

/// Hands all parts to `with`, in order, until that says that it has enough.
pub(crate) fn run(
    framer: Framer,
    threads: usize,
    mut with: impl FnMut(Part) -> bool,
) -> io::Result<()> {
    if threads == 0 {
        return run_here(framer, &mut with);
    }
    let turns = Turns { framer: Mutex::new((0, Some(framer))), changed: Condvar::new() };
    thread::scope(|scope| {
        let receivers: Vec<Receiver<Message>> = (0..threads)
            .map(|thread| {
                let (sender, receiver) = sync_channel(2);
                let turns = &turns;
                thread::Builder::new()
                    .name("novatrace reader".to_owned())
                    .spawn_scoped(scope, move || turns.work(thread, threads, &sender))
                    .map(|_| receiver)
            })
            .collect::<io::Result<_>>()
            // Those that there are would wait for its turn.
            .inspect_err(|_| turns.end())?;
        let mut at = 0;
        loop {
            match receivers[at % threads].recv() {
                // Its end, and with the receivers gone, that of all threads.
                Ok(Message::Part(part)) => {
                    if !with(part) {
                        return Ok(());
                    }
                }
                Ok(Message::EndOfChunk) => at += 1,
                Ok(Message::Failed(error)) => return Err(error),
                Ok(Message::End) | Err(_) => return Ok(()),
            }
        }
    })
}

fn run_here(mut framer: Framer, with: &mut dyn FnMut(Part) -> bool) -> io::Result<()> {
    while let Some(chunk) = framer.next_chunk()? {
        if !take_apart(chunk, with) {
            break;
        }
    }
    Ok(())
}

enum Message {
    Part(Part),
    EndOfChunk,
    End,
    Failed(io::Error),
}

struct Turns {
    /// How many chunks have been cut; `None` at the end.
    framer: Mutex<(usize, Option<Framer>)>,
    changed: Condvar,
}

impl Turns {
    fn work(&self, thread: usize, threads: usize, sender: &SyncSender<Message>) {
        loop {
            let mut turn = self.framer.lock().unwrap_or_else(PoisonError::into_inner);
            while turn.1.is_some() && turn.0 % threads != thread {
                turn = self.changed.wait(turn).unwrap_or_else(PoisonError::into_inner);
            }
            let chunk = turn.1.as_mut().map_or(Ok(None), Framer::next_chunk);
            if !matches!(chunk, Ok(Some(_))) {
                turn.1 = None;
            }
            turn.0 += 1;
            drop(turn);
            self.changed.notify_all();
            let is_taken = match chunk {
                Ok(Some(chunk)) => {
                    take_apart(chunk, &mut |part| sender.send(Message::Part(part)).is_ok())
                        && sender.send(Message::EndOfChunk).is_ok()
                }
                Ok(None) => {
                    let _ = sender.send(Message::End);
                    false
                }
                Err(error) => {
                    let _ = sender.send(Message::Failed(error));
                    false
                }
            };
            if !is_taken {
                return self.end();
            }
        }
    }

    /// No more chunks: for all threads.
    fn end(&self) {
        self.framer.lock().unwrap_or_else(PoisonError::into_inner).1 = None;
        self.changed.notify_all();
    }
}

/// The parts of a chunk, unpacked. Returns whether more are wanted.
fn take_apart(chunk: Chunk, hand_on: &mut dyn FnMut(Part) -> bool) -> bool {
    let (offset, len) = (chunk.offset, chunk.bytes.len() as u64);
    match chunk.kind {
        ChunkKind::Damage(damage) => hand_on(Part::Damage { offset, len, damage }),
        ChunkKind::Packets => {
            hand_on(Part::Packets(Packets { bytes: chunk.bytes, offset, is_bundle: false }))
        }
        ChunkKind::Bundle => {
            let content = Fields::of(&chunk.bytes).next().and_then(|(_, value)| value.bytes());
            let Some(mut unpacked) = content.and_then(bundle::unpack) else { return true };
            let bytes = std::mem::take(&mut unpacked.bytes);
            // Told before its packets, though only they show it.
            let rest = bytes.len() - whole_packets(&bytes);
            hand_on(Part::Bundle(Bundle { offset, len, unpacked, rest }))
                && hand_on(Part::Packets(Packets { bytes, offset, is_bundle: true }))
        }
    }
}

fn whole_packets(bytes: &[u8]) -> usize {
    let mut fields = Fields::of(bytes);
    let mut end = 0;
    while let Some((1, Wire::Bytes(_))) = fields.next() {
        end = fields.position();
    }
    end
}
