//! Processes that a program starts while it records, and that record into its trace. Belongs here: who is invited, how
//! that is told, and accepting it. Does not: how their packets are kept apart (`worker/config.rs`), and how
//! they take turns (`novatrace-sink`).

use std::ffi::OsString;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use novatrace_sink::Compression;

use super::flow::{flow, flow_of};
use super::session::{Session, SessionBuilder};
use super::site::registry;
use crate::FlowId;
use crate::error::{Error, ErrorKind};
use crate::sink;
use crate::worker::{Config, Worker, called, word_of};

/// What becomes of processes that a program starts while its session is open: forks, and programs that have the
/// session's [`child_env`](Session::child_env). They record nothing by themselves, and nothing of theirs harms the
/// session's trace; [`join`] is for those that are to be in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Children {
    /// They record nothing: there is nothing to join.
    Quiet,
    /// Those that join record into the same file, as processes of their own, each with a worker of its own where the
    /// session's is. A small file beside the trace, `run.pftrace.novatrace-lock`, is there as long as one of them records. For traces in
    /// one plain file, on Unix.
    Join,
    /// Those that join record into a file of their own beside the session's, `run.1234.pftrace` by the number of the
    /// process. For traces in one plain file.
    Shard,
}

impl Children {
    const WORDS: [(&'static str, Self); 3] =
        [("quiet", Self::Quiet), ("join", Self::Join), ("shard", Self::Shard)];

    /// What it is called in an environment variable, and in Python.
    #[doc(hidden)]
    #[must_use]
    pub fn word(self) -> &'static str {
        word_of(&Self::WORDS, self)
    }

    /// What is called so.
    #[doc(hidden)]
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        called(&Self::WORDS, word)
    }
}

/// The environment variable by which a program that is started knows of its parent's trace.
#[doc(hidden)]
pub const VARIABLE: &str = "NOVATRACE_JOIN";

/// Whether this program has invited others: one that was started in its process's place has not.
static HAS_INVITED: AtomicBool = AtomicBool::new(false);

/// Whether this process is a fork of one that has told it something.
static IS_FORK: AtomicBool = AtomicBool::new(false);

/// To be called in a forked child of a process that had a session.
pub(super) fn inherit() {
    IS_FORK.store(true, Ordering::Relaxed);
}

/// Whether there may be something to [`join`] for a fork: without a lock, which another thread may have had as the
/// fork was made, if no session was open then.
#[doc(hidden)]
#[must_use]
pub fn is_fork() -> bool {
    IS_FORK.load(Ordering::Relaxed)
}

/// The arrow from where a process was started to its first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrow {
    /// That flow's, which one process is told of.
    Of(u64),
    /// For each process of any number that are told the same, by this and the process's number: whoever starts it
    /// learns that number, and says where it was.
    OfProcess(u64),
}

impl Arrow {
    fn of_process(base: u64, process: u32) -> FlowId {
        // Not among those that are counted up from anywhere near it.
        flow_of(base ^ (u64::from(process) << 32))
    }

    fn to_word(self) -> String {
        match self {
            Self::Of(flow) => flow.to_string(),
            Self::OfProcess(base) => format!("+{base}"),
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        Some(match word.strip_prefix('+') {
            Some(base) => Self::OfProcess(base.parse().ok()?),
            None => Self::Of(word.parse().ok()?),
        })
    }
}

/// What a session tells the processes that may join it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invitation {
    children: Children,
    worker: Worker,
    compression: Compression,
    categories: Option<String>,
    parent: u32,
    arrow: Arrow,
    /// When the trace began, which tells it from others of that path.
    start: [u64; 3],
    path: PathBuf,
}

impl Invitation {
    /// For the children of a session on that path.
    pub(super) fn new(builder: &SessionBuilder, children: Children, path: &Path) -> Self {
        HAS_INVITED.store(true, Ordering::Relaxed);
        Self {
            children,
            worker: builder.config.worker,
            compression: builder.config.compression,
            categories: builder.categories.clone(),
            parent: std::process::id(),
            arrow: Arrow::OfProcess(flow().get()),
            start: builder.config.shared.as_ref().map_or([0; 3], |shared| shared.start),
            // Whatever folder the child goes to.
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        }
    }

    /// As a variable has it: what the path may not be mistaken for comes before it.
    fn to_variable(&self) -> OsString {
        let Self { children, worker, compression, categories, parent, arrow, start, path } = self;
        // What stands for any one character stands for this one, too.
        let categories = categories.as_deref().unwrap_or_default().replace(';', "?");
        let (children, worker) = (children.word(), worker.word());
        let (arrow, [boot, monotonic, real]) = (arrow.to_word(), start);
        let mut text = OsString::from(format!(
            "{children};{worker};{compression};{categories};{parent};{arrow};{boot},{monotonic},{real};"
        ));
        text.push(path);
        text
    }

    /// What the process's environment has, if it makes sense.
    fn of_variable() -> Option<Self> {
        let text = std::env::var_os(VARIABLE)?;
        let (words, path) = split_path(&text)?;
        let mut words = words.split(';');
        let children = Children::of_word(words.next()?)?;
        let worker = Worker::of_word(words.next()?)?;
        let compression = words.next()?.parse().ok()?;
        let categories = Some(words.next()?.to_owned()).filter(|globs| !globs.is_empty());
        let parent = words.next()?.parse().ok()?;
        let arrow = Arrow::of_word(words.next()?)?;
        let start: Result<Vec<u64>, _> = words.next()?.split(',').map(str::parse).collect();
        let start = start.ok()?.try_into().ok()?;
        // The session's own process is no child of it.
        let is_child = parent != std::process::id() || !HAS_INVITED.load(Ordering::Relaxed);
        let told = Self { children, worker, compression, categories, parent, arrow, start, path };
        is_child.then_some(told)
    }

    /// The same with the end of an arrow that begins at the calling thread now, unless there is nothing to join.
    fn leading_from_here(&self, how: &'static str) -> Option<Self> {
        if self.children == Children::Quiet {
            return None;
        }
        let from = flow();
        crate::instant!("child process", category = "process", how = how, flow_out = from);
        Some(Self { arrow: Arrow::Of(from.get()), ..self.clone() })
    }
}

#[cfg(unix)]
fn split_path(text: &OsString) -> Option<(&str, PathBuf)> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let bytes = text.as_bytes();
    let (at, _) = bytes.iter().enumerate().filter(|(_, byte)| **byte == b';').nth(6)?;
    let words = std::str::from_utf8(bytes.get(..at)?).ok()?;
    Some((words, OsString::from_vec(bytes.get(at + 1..)?.to_owned()).into()))
}

#[cfg(not(unix))]
fn split_path(text: &OsString) -> Option<(&str, PathBuf)> {
    let text = text.to_str()?;
    let (at, _) = text.match_indices(';').nth(6)?;
    Some((text.get(..at)?, text.get(at + 1..)?.into()))
}

/// A fork is about to be made: what it is told.
pub(super) fn before_fork() -> Option<Invitation> {
    let told = registry().session()?.invitation()?.clone();
    Some(told.leading_from_here("fork").unwrap_or(told))
}

/// For traces that are in no file, or in several.
pub(super) fn refuse(asked: Option<Children>) -> Result<(), Error> {
    match asked {
        None | Some(Children::Quiet) => Ok(()),
        Some(_) => Err(ErrorKind::NoChildren.into()),
    }
}

/// Records into the trace of the process that this one was started by, as a process of its own: if that has a session
/// open that [lets it](SessionBuilder::children), and this process is a fork of it or was given its
/// [`child_env`](Session::child_env). `None` if there is nothing to join: nobody records into that trace any more, or nobody
/// did.
///
/// ```no_run
/// // A program that traces itself, if it is not traced with the one that started it.
/// let _session = match novatrace::join()? {
///     Some(session) => session,
///     None => novatrace::open("tool.pftrace")?,
/// };
/// # Ok::<(), novatrace::Error>(())
/// ```
///
/// A fork must not be made while other threads start threads: see [`Session`].
///
/// # Errors
///
/// [`ErrorKind::AlreadyOpen`] if this process records already; [`ErrorKind::Join`] and [`ErrorKind::Create`] for the file.
#[track_caller]
pub fn join() -> Result<Option<Session>, Error> {
    SessionBuilder::default().join()
}

impl SessionBuilder {
    /// What becomes of processes that the program starts. By default they may join a session whose
    /// [worker](Self::worker) is a process, and are quiet beside one whose worker is a thread: which takes their last events,
    /// if they are killed, with it.
    pub fn children(mut self, children: Children) -> Self {
        self.children = Some(children);
        self
    }

    /// [`join`], with choices of this process's own: its worker and compression are those of the session it joins, and so are
    /// its categories, if it chooses none, and the trace's attributes.
    ///
    /// # Errors
    ///
    /// Those of [`join`].
    #[track_caller]
    pub fn join(mut self) -> Result<Option<Session>, Error> {
        let inherited = registry().inherited().cloned();
        let Some(invitation) = inherited.or_else(Invitation::of_variable) else { return Ok(None) };
        self.children = Some(invitation.children);
        self.config.worker = invitation.worker;
        self.config.compression = invitation.compression;
        self.categories = self.categories.or_else(|| invitation.categories.clone());
        let session = match invitation.children {
            Children::Quiet => return Ok(None),
            Children::Shard => Some(self.create(shard(&invitation.path))?),
            Children::Join => self.join_file(&invitation)?,
        };
        if session.is_some() {
            let parent = invitation.parent;
            let flow = match invitation.arrow {
                Arrow::Of(flow) => flow_of(flow),
                Arrow::OfProcess(base) => Arrow::of_process(base, std::process::id()),
            };
            // No end, which must not come first, as when whoever started this process is late to say so, nor twice: a
            // process may join again.
            crate::instant!("joined", category = "process", parent = parent, flow_in = flow);
        }
        Ok(session)
    }

    #[cfg(unix)]
    #[track_caller]
    fn join_file(mut self, invitation: &Invitation) -> Result<Option<Session>, Error> {
        use crate::sink::Target;
        use crate::worker::Shared;

        let path = &invitation.path;
        let joined = novatrace_sink::SharedFile::join(path, invitation.start);
        let joined = joined.map_err(|source| ErrorKind::Join { path: path.clone(), source })?;
        let Some(member) = joined else { return Ok(None) };
        let novatrace_sink::Member { file, turns, number } = member;
        self.config.shared = Some(Shared::new(number, turns));
        let mine = Invitation::new(&self, Children::Join, path);
        let target = Target::File(file);
        self.start(|config| target.start(config), Location::caller(), Some(mine)).map(Some)
    }

    #[cfg(not(unix))]
    fn join_file(self, _: &Invitation) -> Result<Option<Session>, Error> {
        Ok(None)
    }
}

/// `run.1234.pftrace` for `run.pftrace`.
fn shard(path: &Path) -> PathBuf {
    sink::numbered(path, std::process::id())
}

/// Has other processes record into a session's file, if that is to be. Without a word if they were not asked for.
#[cfg(unix)]
pub(super) fn share(
    config: &mut Config,
    file: Option<&novatrace_sink::FileSink>,
    asked: Option<Children>,
) -> Result<Children, Error> {
    use super::clock::Clock;
    use crate::worker::Shared;

    let by_default = match config.worker() {
        Worker::Process => Children::Join,
        Worker::Thread => Children::Quiet,
    };
    let children = asked.unwrap_or(by_default);
    if children == Children::Quiet {
        return Ok(children);
    }
    let Some(file) = file.filter(|_| config.rotate.is_none()) else {
        return refuse(asked).map(|()| Children::Quiet);
    };
    if children == Children::Join {
        let start = [Clock::Boot, Clock::Monotonic, Clock::Real].map(Clock::now_ns);
        match novatrace_sink::SharedFile::share(file, start) {
            Ok(turns) => config.shared = Some(Shared::new(0, turns)),
            Err(_) if asked.is_none() => return Ok(Children::Quiet),
            Err(source) => {
                return Err(ErrorKind::Join { path: file.path().to_owned(), source }.into());
            }
        }
    }
    Ok(children)
}

#[cfg(not(unix))]
pub(super) fn share(
    config: &mut Config,
    file: Option<&novatrace_sink::FileSink>,
    asked: Option<Children>,
) -> Result<Children, Error> {
    match asked {
        Some(Children::Shard) if file.is_some() && config.rotate.is_none() => Ok(Children::Shard),
        _ => refuse(asked).map(|()| Children::Quiet),
    }
}

/// [`Session::child_env`] for any number of programs, of each of which [`child_started`] is to be told: an arrow leads
/// from there to where it joins.
#[doc(hidden)]
#[must_use]
pub fn child_env_of(session: &Session) -> Option<(&'static str, OsString)> {
    let invitation = session.invitation().filter(|told| told.children != Children::Quiet)?;
    Some((VARIABLE, invitation.to_variable()))
}

/// The process of that number was started, and told what [`child_env_of`] the session that is open says.
#[doc(hidden)]
pub fn child_started(process: u32) {
    let told = registry().session().and_then(|session| session.invitation().cloned());
    let Some(Invitation { children, arrow: Arrow::OfProcess(base), .. }) = told else { return };
    if children != Children::Quiet {
        let from = Arrow::of_process(base, process);
        crate::instant!(
            "child process",
            category = "process",
            how = "program",
            pid = process,
            flow_out = from
        );
    }
}

impl Session {
    /// Where the trace is, if it is in a file.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        self.invitation().map(|invitation| invitation.path)
    }

    /// What becomes of processes that the program starts.
    #[must_use]
    pub fn children(&self) -> Children {
        self.invitation().map_or(Children::Quiet, |invitation| invitation.children)
    }

    /// An environment variable, by which a program that is started is told of this session, so that it can
    /// [`join`]; `None` if children are [`Quiet`](Children::Quiet). An arrow leads from here to where the program joins: so that
    /// each has to have one of its own.
    ///
    /// ```
    /// use novatrace::{Children, Session};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("app.pftrace");
    /// let session = Session::builder().children(Children::Join).create(&path)?;
    /// std::process::Command::new("true").envs(session.child_env()).status()?;
    /// # session.close()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn child_env(&self) -> Option<(&'static str, OsString)> {
        let invitation = self.invitation()?.leading_from_here("program")?;
        Some((VARIABLE, invitation.to_variable()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_called_after_its_process() {
        let number = std::process::id();
        let shard_of = |path: &str| shard(Path::new(path));
        assert_eq!(shard_of("/a/run.pftrace"), Path::new(&format!("/a/run.{number}.pftrace")));
        assert_eq!(shard_of("run"), Path::new(&format!("run.{number}")));
    }
}
