//! The Node process that runs the trace processor, and the pool of those at rest.
//!
//! A server holds one trace at a time and belongs to one [`Loaded`](crate::Loaded) meanwhile, so tests that run side by
//! side each have their own. `runner/serve.mjs` describes the protocol. The processes end when this one
//! does, because their input ends with it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value as Json, json};

use crate::{Error, Oracle};

static IDLE: Mutex<Vec<Server>> = Mutex::new(Vec::new());

/// The last of the error stream that is kept.
const STDERR_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Server {
    node: PathBuf,
    web_dist: PathBuf,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    stderr: Arc<Mutex<String>>,
    /// False once the engine crashed or the protocol was broken; such a server is not used again.
    sound: bool,
}

impl Server {
    /// One from the pool, else a new one.
    pub(crate) fn take(oracle: &Oracle) -> Result<Self, Error> {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.iter().rposition(|server| {
            server.node == oracle.node() && server.web_dist == oracle.web_dist()
        });
        if let Some(at) = found {
            return Ok(idle.swap_remove(at));
        }
        drop(idle);
        Self::start(oracle)
    }

    /// Gives the server back for the next trace.
    pub(crate) fn put_back(self) {
        if self.sound {
            IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(self);
        }
    }

    fn start(oracle: &Oracle) -> Result<Self, Error> {
        let mut command = Command::new(oracle.node());
        command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/runner/serve.mjs"))
            .arg(oracle.web_dist());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let shown = format!("{command:?}");
        let failed = |message: String, stderr: String| Error::Start {
            command: shown.clone(),
            message,
            stderr,
        };

        let mut child =
            command.spawn().map_err(|error| failed(error.to_string(), String::new()))?;
        let (Some(stdin), Some(stdout), Some(pipe)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("all three streams are piped");
        };
        let stderr = Arc::default();
        collect(pipe, &stderr);
        let mut server = Self {
            node: oracle.node().to_path_buf(),
            web_dist: oracle.web_dist().to_path_buf(),
            child,
            stdin,
            stdout: BufReader::new(stdout),
            stderr,
            sound: true,
        };
        match server.answer() {
            Ok(line) if line.get("ready").is_some() => Ok(server),
            Ok(line) => Err(failed(format!("its first words were {line}"), server.stderr())),
            Err((message, stdout)) => {
                Err(failed(format!("{message} after {stdout:?}"), server.stderr()))
            }
        }
    }

    pub(crate) fn load_path(&mut self, trace: &str) -> Result<(), Error> {
        self.load(trace, &json!({ "path": trace }), &[])
    }

    pub(crate) fn load_bytes(&mut self, trace: &str, bytes: &[u8]) -> Result<(), Error> {
        self.load(trace, &json!({ "bytes": bytes.len() }), bytes)
    }

    fn load(&mut self, trace: &str, request: &Json, bytes: &[u8]) -> Result<(), Error> {
        let answer = self.ask(trace, "load", request, bytes)?;
        match failure(&answer) {
            Some((message, stderr)) => {
                Err(Error::Rejected { trace: trace.into(), message, stderr })
            }
            None => Ok(()),
        }
    }

    /// Runs one statement; the answer has `columns` and `rows`.
    pub(crate) fn query(&mut self, trace: &str, sql: &str) -> Result<Json, Error> {
        let answer = self.ask(trace, sql, &json!({ "sql": sql }), &[])?;
        match failure(&answer) {
            Some((message, stderr)) => {
                Err(Error::Sql { trace: trace.into(), sql: sql.into(), message, stderr })
            }
            None => Ok(answer),
        }
    }

    fn ask(
        &mut self,
        trace: &str,
        what: &str,
        request: &Json,
        bytes: &[u8],
    ) -> Result<Json, Error> {
        let sent = writeln!(self.stdin, "{request}")
            .and_then(|()| self.stdin.write_all(bytes))
            .and_then(|()| self.stdin.flush());
        let answer = match sent {
            Ok(()) => self.answer(),
            Err(error) => Err((error.to_string(), String::new())),
        };
        if let Ok(answer) = &answer {
            self.sound &= answer.get("crashed") != Some(&Json::Bool(true));
        }
        answer.map_err(|(message, stdout)| {
            self.sound = false;
            let (request, stderr) = (format!("`{what}`"), self.stderr());
            Error::Server { trace: trace.into(), request, message, stdout, stderr }
        })
    }

    /// The next line from the server, or what is wrong and what came instead.
    fn answer(&mut self) -> Result<Json, (String, String)> {
        let mut line = Vec::new();
        match self.stdout.read_until(b'\n', &mut line) {
            Ok(0) => {
                let status = self
                    .child
                    .wait()
                    .map_or_else(|error| error.to_string(), |status| status.to_string());
                Err((format!("it ended with {status}"), String::new()))
            }
            Ok(_) => serde_json::from_slice(&line)
                .map_err(|error| (error.to_string(), String::from_utf8_lossy(&line).into_owned())),
            Err(error) => Err((error.to_string(), String::from_utf8_lossy(&line).into_owned())),
        }
    }

    fn stderr(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Neither can fail but for a process that is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The error in an answer, and the error stream of the engine.
fn failure(answer: &Json) -> Option<(String, String)> {
    let text = |key: &str| answer.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    answer.get("error").map(|_| (text("error"), text("stderr")))
}

/// Reads a child's error stream to its end beside us, so that the child never waits for a reader.
fn collect(mut pipe: impl Read + Send + 'static, into: &Arc<Mutex<String>>) {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            let mut text = into.lock().unwrap_or_else(PoisonError::into_inner);
            text.push_str(&String::from_utf8_lossy(&buffer[..length]));
            let excess = text.len().saturating_sub(STDERR_BYTES);
            let from =
                (excess..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or_default();
            text.drain(..from);
        }
    });
}
