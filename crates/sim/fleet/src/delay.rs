//! A connection with a distance: what one end sends arrives at the other a while later.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// The most that is under way in one direction, in chunks and in bytes of each.
const CHUNKS: usize = 64;
const CHUNK_BYTES: usize = 16 << 10;

/// Puts half of the round trip into each direction. The future carries the bytes; the stream is the
/// far end.
pub(crate) fn delayed(
    socket: TcpStream,
    round_trip: Duration,
) -> (DuplexStream, impl Future<Output = ()> + Send) {
    let (near, far) = tokio::io::duplex(CHUNK_BYTES);
    let half = round_trip / 2;
    let carried = async move {
        let (from_client, to_client) = socket.into_split();
        let (from_server, to_server) = tokio::io::split(near);
        tokio::select! {
            () = carry(from_client, to_server, half) => {}
            () = carry(from_server, to_client, half) => {}
        }
    };
    (far, carried)
}

async fn carry(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    delay: Duration,
) {
    let mut under_way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut ended = false;
    loop {
        let next = under_way.front().map(|(due, _)| *due);
        tokio::select! {
            read = from.read(&mut buffer), if !ended && under_way.len() < CHUNKS => match read {
                Ok(count) if count > 0 => {
                    let chunk = buffer.get(..count).unwrap_or_default().to_vec();
                    under_way.push_back((Instant::now() + delay, chunk));
                }
                _ => ended = true,
            },
            () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                if let Some((_, chunk)) = under_way.pop_front()
                    && to.write_all(&chunk).await.is_err()
                {
                    return;
                }
            }
            else => break,
        }
    }
    // The end arrives behind the last byte.
    let _ = to.shutdown().await;
}
