//! Where a stream goes to, and the sockets behind that. Does not belong here: what is sent.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs};
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Where a stream goes to, or where streams are received: `tcp://host:port` or `unix:/path`.
///
/// ```
/// use novatrace_sink::Address;
///
/// let address: Address = "tcp://127.0.0.1:9011".parse()?;
/// assert_eq!(address, Address::Tcp("127.0.0.1:9011".to_owned()));
/// assert_eq!(address.to_string(), "tcp://127.0.0.1:9011");
/// assert!("127.0.0.1:9011".parse::<Address>().is_err());
/// # Ok::<(), novatrace_sink::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// A host's name or number and a port, as in `localhost:9011` or `[::1]:9011`.
    Tcp(String),
    /// The path of a socket in the file system; for Unix alone.
    Unix(PathBuf),
}

impl Address {
    /// The address that a path stands for, if it begins as one does.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Result<Self, AddressError>> {
        let text = path.to_str()?;
        (text.starts_with(TCP) || text.starts_with(UNIX)).then(|| text.parse())
    }
}

const TCP: &str = "tcp://";
const UNIX: &str = "unix:";

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host) => write!(f, "{TCP}{host}"),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = |why| AddressError { text: text.to_owned(), why };
        if let Some(path) = text.strip_prefix(UNIX) {
            // Also as URLs have it, with two more slashes.
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(wrong("it names no path"));
            }
            return Ok(Self::Unix(path.into()));
        }
        let host = text.strip_prefix(TCP).ok_or_else(|| wrong("it begins with neither"))?;
        let host = host.strip_suffix('/').unwrap_or(host);
        match host.rsplit_once(':') {
            Some((name, port)) if !name.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Self::Tcp(host.to_owned()))
            }
            _ => Err(wrong("it has no host and port")),
        }
    }
}

/// Why a text is no [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address such as tcp://localhost:9011 or unix:/run/novatrace.sock: {why}")]
pub struct AddressError {
    text: String,
    why: &'static str,
}

/// Either kind of connection.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// What a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

impl Socket {
    pub(crate) fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(host) => {
                let mut error = None;
                for address in host.to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, CONNECT) {
                        Ok(stream) => {
                            stream.set_nodelay(true)?;
                            return Ok(Self::Tcp(stream));
                        }
                        Err(why) => error = Some(why),
                    }
                }
                Err(error.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
            }
            #[cfg(unix)]
            Address::Unix(path) => UnixStream::connect(path).map(Self::Unix),
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
        }
    }

    /// Ends what the other side, and a clone's thread, wait for.
    pub(crate) fn close(&self) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            #[cfg(unix)]
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    pub(crate) fn set_timeouts(
        &self,
        read: Option<Duration>,
        write: Option<Duration>,
    ) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_read_timeout(read)?;
                stream.set_write_timeout(write)
            }
            #[cfg(unix)]
            Self::Unix(stream) => {
                stream.set_read_timeout(read)?;
                stream.set_write_timeout(write)
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write_vectored(parts),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write_vectored(parts),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes connections.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, PathBuf),
}

impl Listener {
    pub(crate) fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(host) => TcpListener::bind(host.as_str()).map(Self::Tcp),
            #[cfg(unix)]
            Address::Unix(path) => {
                // A socket that nobody listens at is what a killed receiver left.
                let is_left = |error: &io::Error| {
                    error.kind() == io::ErrorKind::AddrInUse
                        && UnixStream::connect(path)
                            .is_err_and(|why| why.kind() == io::ErrorKind::ConnectionRefused)
                };
                let listener = match UnixListener::bind(path) {
                    Err(error) if is_left(&error) => {
                        std::fs::remove_file(path)?;
                        UnixListener::bind(path)?
                    }
                    other => other?,
                };
                Ok(Self::Unix(listener, path.clone()))
            }
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// With the port that was chosen, if it was left open.
    pub(crate) fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => Ok(Address::Tcp(listener.local_addr()?.to_string())),
            #[cfg(unix)]
            Self::Unix(_, path) => Ok(Address::Unix(path.clone())),
        }
    }

    pub(crate) fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => Ok(Socket::Unix(listener.accept()?.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_can_be_typed() {
        for text in ["tcp://localhost:1", "tcp://[::1]:65535", "unix:/run/a.sock", "unix:a.sock"] {
            let address: Address = text.parse().expect("an address");
            assert_eq!(address.to_string(), text);
        }
        let path: Address = "unix:///run/a.sock".parse().expect("an address");
        assert_eq!(path, Address::Unix("/run/a.sock".into()));
    }

    #[test]
    fn what_is_no_address_is_refused_by_what_is_wrong_with_it() {
        for (text, why) in [
            ("localhost:9011", "it begins with neither"),
            ("http://localhost:9011", "it begins with neither"),
            ("tcp://localhost", "it has no host and port"),
            ("tcp://:9011", "it has no host and port"),
            ("tcp://a:70000", "it has no host and port"),
            ("unix:", "it names no path"),
        ] {
            let error = text.parse::<Address>().expect_err("no address");
            assert!(error.to_string().ends_with(why), "{error}");
        }
    }

    #[test]
    fn only_what_begins_as_an_address_is_one_and_no_file() {
        for path in ["out.pftrace", "tcp/a", "./unix:a", "C:\\a"] {
            assert_eq!(Address::of_path(Path::new(path)), None);
        }
        assert!(Address::of_path(Path::new("tcp://a")).expect("meant as one").is_err());
    }
}
