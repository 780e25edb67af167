//! A hub under measurement, and the smallest client that can ask it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::process::Measured;

/// A running `sickbay up` with a data directory of its own.
pub struct Hub {
    /// The process.
    pub process: Measured,
    /// Where it serves.
    pub addr: SocketAddr,
    /// From start to the first 200 of `/readyz`.
    pub ready_after: Duration,
    _data: tempfile::TempDir,
}

impl Hub {
    /// Starts a hub and waits until it is ready.
    pub fn start() -> Result<Self> {
        Self::start_with(None)
    }

    /// Starts a hub with a config.
    pub fn start_with(config: Option<&std::path::Path>) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let addr = free_address()?;
        let binary = binary()?;
        let started = Instant::now();
        let addr_text = addr.to_string();
        let mut arguments = vec!["up", "--listen", &addr_text, "--data-dir"];
        arguments.push(data.path().to_str().context("the data directory's path is not UTF-8")?);
        if let Some(config) = config {
            arguments
                .extend(["--config", config.to_str().context("the config's path is not UTF-8")?]);
        }
        let process = Measured::start(
            binary.to_str().context("the binary's path is not UTF-8")?,
            &arguments,
        )?;
        while !matches!(get(addr, "/readyz"), Ok((200, _))) {
            if started.elapsed() > Duration::from_secs(30) {
                bail!("the hub was not ready within 30 s");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { process, addr, ready_after: started.elapsed(), _data: data })
    }
}

impl Hub {
    /// The 99th percentile of the time that an answer takes, on one kept connection.
    pub fn slowest_of_99(&self, path: &str, times: usize) -> Result<Duration> {
        let mut client = Client::connect(self.addr)?;
        let mut taken = Vec::with_capacity(times);
        for _ in 0..times {
            let began = Instant::now();
            client.get(path)?;
            taken.push(began.elapsed());
            // The hub takes so many requests a second from one client.
            std::thread::sleep(Duration::from_millis(15));
        }
        taken.sort();
        taken.get(taken.len() * 99 / 100).copied().context("nothing was asked")
    }
}

/// The release binary beside this program.
fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("sickbay");
    if path.is_file() {
        return Ok(path);
    }
    bail!("{} is not there: run `cargo build --release` first", path.display())
}

/// A loopback address that was free a moment ago.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// One request on a connection of its own: status and body.
pub fn get(addr: SocketAddr, path: &str) -> Result<(u16, Vec<u8>)> {
    Client::connect(addr)?.get(path)
}

/// A kept connection.
pub struct Client {
    addr: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects.
    pub fn connect(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, Duration::from_secs(2))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { addr, stream: BufReader::new(stream) })
    }

    /// Asks for a path; returns status and body.
    pub fn get(&mut self, path: &str) -> Result<(u16, Vec<u8>)> {
        write!(self.stream.get_mut(), "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.addr)?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status =
            line.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status line")?;
        let (mut length, mut chunked) = (0, false);
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let header = line.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            chunked |= header == "transfer-encoding: chunked";
        }
        let body = if chunked { self.chunks()? } else { self.exactly(length)? };
        Ok((status, body))
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let length = usize::from_str_radix(line.trim(), 16).context("no chunk size")?;
            let chunk = self.exactly(length)?;
            self.exactly(2)?;
            if length == 0 {
                return Ok(body);
            }
            body.extend(chunk);
        }
    }
}
