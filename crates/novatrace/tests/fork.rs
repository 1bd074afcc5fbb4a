//! A process that forks, and a trace from each side.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "fork")]

mod batches;

use novatrace::TraceGenerator;

/// A whole trace, and the number of its first flow.
fn trace() -> (Vec<u8>, u64) {
    let memory = batches::Memory::default();
    let trace = TraceGenerator::builder().sink(memory.clone()).expect("a trace");
    let flow = trace.flow();
    trace.group("g").track("t").instant(1, "i").flow(flow).emit().expect("open");
    trace.finish().expect("memory takes all");
    (memory.0.lock().expect("not poisoned").concat(), flow.get())
}

#[test]
fn traces_on_both_sides_of_a_fork_share_no_uuids_and_no_flows() {
    trace(); // Whatever is seeded once, is by now.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("child");
    // SAFETY: this process has no other thread that holds a lock the child needs: the harness waits,
    // and the worker of the trace above has ended.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "a process can be started");
    let (bytes, flow) = trace();
    if child == 0 {
        let written = std::fs::write(&path, [&flow.to_le_bytes()[..], &bytes].concat());
        // SAFETY: it ends the process, and needs nothing.
        unsafe { libc::_exit(i32::from(written.is_err())) };
    }
    let mut status = 1;
    // SAFETY: `status` is ours to write to.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(status, 0);
    let other = std::fs::read(&path).expect("the child wrote it");
    let (other_flow, other) = other.split_at(8);
    assert_ne!(other_flow, flow.to_le_bytes());
    // Trace uuid 89: `0A len CA 05 len`, then 18 bytes.
    assert_ne!(other[..24], bytes[..24]);
    // TrackDescriptor.uuid 1 in packet field 60 (`E2 03 len 08`), varints of 9 bytes.
    let uuids = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let descriptors = bytes.windows(13).filter(|bytes| bytes[..2] == [0xE2, 0x03]);
        descriptors.filter(|bytes| bytes[3] == 0x08).map(|bytes| bytes[4..].to_vec()).collect()
    };
    let (ours, theirs) = (uuids(&bytes), uuids(other));
    assert_eq!((ours.len(), theirs.len()), (2, 2));
    assert!(ours.iter().all(|uuid| !theirs.contains(uuid)));
}
