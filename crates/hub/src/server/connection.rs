//! One connection: TLS, HTTP/1.1, the request's way into the router, and the end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::io::Bounded;
use super::{Acceptor, Connection, HttpCounters, ServeOptions, prepare};
use crate::settings::Limits;

/// How many header lines a request may have; more is 431.
const MAX_HEADERS: usize = 64;
/// How long a client may take to read before its connection is closed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// The smallest buffer that hyper accepts.
const MIN_BUFFER_BYTES: usize = 8 * 1024;

/// What all connections share.
pub(super) struct Server {
    router: Router,
    http: http1::Builder,
    acceptor: Acceptor,
    local: SocketAddr,
    counters: HttpCounters,
    shutdown: CancellationToken,
}

impl Server {
    pub(super) fn new(
        router: Router,
        options: &ServeOptions,
        local: SocketAddr,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            router,
            http: http(&options.limits),
            acceptor: options.tls.clone().map(TlsAcceptor::from),
            local,
            counters: options.counters.clone(),
            shutdown,
        })
    }

    /// Serves one connection to its end.
    pub(super) async fn connection(&self, stream: TcpStream, peer: SocketAddr) {
        prepare(&stream);
        let connection = Connection {
            peer,
            local: stream.local_addr().unwrap_or(self.local),
            encrypted: self.acceptor.is_some(),
            stopping: self.shutdown.clone(),
        };
        let stream = Bounded::new(stream, WRITE_TIMEOUT);
        let Some(acceptor) = &self.acceptor else {
            return self.http(stream, connection).await;
        };
        let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream));
        tokio::select! {
            shaken = handshake => match shaken {
                Ok(Ok(stream)) => self.http(stream, connection).await,
                Ok(Err(error)) => self.failed(peer, &error),
                Err(late) => self.failed(peer, &late),
            },
            () = self.shutdown.cancelled() => {}
        }
    }

    async fn http<S>(&self, stream: S, connection: Connection)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let peer = connection.peer;
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let router = self.router.clone();
            let connection = connection.clone();
            async move { Ok::<_, Infallible>(answer(router, request, connection).await) }
        });
        let serving = self.http.serve_connection(TokioIo::new(stream), service);
        let mut serving = std::pin::pin!(serving);
        let ended = tokio::select! {
            ended = serving.as_mut() => ended,
            () = self.shutdown.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = ended {
            self.failed(peer, &error);
        }
    }

    fn failed(&self, peer: SocketAddr, error: &dyn std::error::Error) {
        self.counters.counts().connection_errors.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%peer, %error, "connection failed");
    }
}

async fn answer(
    router: Router,
    request: hyper::Request<Incoming>,
    connection: Connection,
) -> Response {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(connection);
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// HTTP/1.1 with limits. The header's time also ends a connection on which nothing is asked.
fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_headers(MAX_HEADERS)
        .max_buf_size(limits.header_bytes.max(MIN_BUFFER_BYTES))
        .keep_alive(true)
        .half_close(false);
    http
}
