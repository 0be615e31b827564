//! A caller that knows nothing of MAOF: bare HTTP/1.1 over a socket, every byte kept.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use maof::SystemClock;
use maof_core::Clock as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The most bytes of an answer that are read.
const MOST: usize = 64 << 20;

/// How an answer's bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As HTTP says that it should.
    Properly,
    /// Before that.
    Cut,
    /// Not while the caller waited.
    Late,
}

/// An answer, byte for byte.
#[derive(Clone, Debug)]
pub struct Raw {
    /// The status; 0 where there is none.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, its transfer's chunks joined.
    pub body: Vec<u8>,
    /// How it ended.
    pub ended: Ended,
    /// From the request to the first byte.
    pub first: Duration,
    /// From the request to the last byte.
    pub took: Duration,
}

impl Raw {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The head and the body as text.
    pub fn text(&self) -> String {
        let head: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        format!("{head}\n{}", String::from_utf8_lossy(&self.body))
    }
}

/// Asks, and waits at most `patience` for the last byte.
pub async fn post(at: SocketAddr, path: &str, key: &str, body: &Value, patience: Duration) -> Raw {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {at}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
         anthropic-version: 2023-06-01\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    exchange(at, (head + &body).into_bytes(), patience).await
}

/// A GET without a key.
pub async fn get(at: SocketAddr, path: &str, patience: Duration) -> Raw {
    let head = format!("GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
    exchange(at, head.into_bytes(), patience).await
}

async fn exchange(at: SocketAddr, request: Vec<u8>, patience: Duration) -> Raw {
    let since = SystemClock.instant();
    let mut bytes = Vec::new();
    let mut first = None;
    let read = read(at, &request, &mut bytes, &mut first, since);
    let late = tokio::time::timeout(patience, read).await.is_err();
    let took = SystemClock.instant().saturating_duration_since(since);
    let (status, headers, rest) = head(&bytes);
    let (body, complete) = body(&headers, rest);
    let ended = match (late, complete) {
        (_, true) => Ended::Properly,
        (true, false) => Ended::Late,
        (false, false) => Ended::Cut,
    };
    Raw { status, headers, body, ended, first: first.unwrap_or(took), took }
}

/// Reads to the end, whatever that is.
async fn read(
    at: SocketAddr,
    request: &[u8],
    bytes: &mut Vec<u8>,
    first: &mut Option<Duration>,
    since: Instant,
) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(at).await?;
    socket.write_all(request).await?;
    while bytes.len() < MOST && socket.read_buf(bytes).await? > 0 {
        first.get_or_insert_with(|| SystemClock.instant().saturating_duration_since(since));
    }
    Ok(())
}

/// The status, the headers, and what comes after them.
fn head(bytes: &[u8]) -> (u16, Vec<(String, String)>, &[u8]) {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return (0, Vec::new(), &[]);
    };
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    (status, headers, &bytes[end + 4..])
}

/// The body, and whether it is complete.
fn body(headers: &[(String, String)], rest: &[u8]) -> (Vec<u8>, bool) {
    let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return chunks(rest);
    }
    let length = header("content-length").and_then(|value| value.parse::<usize>().ok());
    (rest.to_vec(), length == Some(rest.len()))
}

/// The chunks of a transfer, and whether the last one is there.
fn chunks(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut whole = Vec::new();
    loop {
        let size = rest.windows(2).position(|two| two == b"\r\n").and_then(|end| {
            let text = std::str::from_utf8(&rest[..end]).ok()?;
            Some((end + 2, usize::from_str_radix(text, 16).ok()?))
        });
        let Some((begin, size)) = size else { return (whole, false) };
        if size == 0 {
            return (whole, true);
        }
        let end = (begin + size).min(rest.len());
        whole.extend_from_slice(&rest[begin..end]);
        rest = rest.get(end + 2..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_complete_only_when_its_last_chunk_is_there() {
        let check = |bytes: &[u8], text: &str, complete: bool| {
            assert_eq!(chunks(bytes), (text.as_bytes().to_vec(), complete), "{bytes:?}");
        };
        check(b"3\r\nabc\r\n0\r\n\r\n", "abc", true);
        check(b"3\r\nabc\r\n", "abc", false);
        check(b"5\r\nabc", "abc", false);
        check(b"zz\r\nabc\r\n0\r\n\r\n", "", false);
        let length = |n: &str| vec![("content-length".to_owned(), n.to_owned())];
        assert!(body(&length("3"), b"abc").1);
        assert!(!body(&length("4"), b"abc").1);
    }
}
