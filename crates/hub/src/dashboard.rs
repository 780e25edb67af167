//! The page: files embedded in the binary. Nothing is loaded from anywhere else.
//!
//! The Content-Security-Policy allows this origin alone and no inline script, so that even a
//! hostile host name that slipped through could run nothing.
//!
//! `index.html` names its files below a folder `~BUILD`, where BUILD is a hash of all of them: there
//! the browser may keep them for good, and a new binary has another folder. Under their plain names
//! they are asked for each time.

use std::sync::OnceLock;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::api::matches_etag;
use crate::api::problem::ProblemResponse;

#[derive(RustEmbed)]
#[folder = "dashboard/"]
struct Files;

/// What the page may do.
const PAGE_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'";

/// How long a browser may keep a file of this very build.
const KEEP: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");
/// The browser keeps it and asks each time whether it is still good: a new binary shows at once.
const ASK: HeaderValue = HeaderValue::from_static("no-cache");
const INDEX: &str = "index.html";

/// Whether a path is one of the page's files.
pub(crate) fn has(path: &str) -> bool {
    find(path).is_some()
}

/// The page's files; everything else that no route answers is a problem.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    let Some((name, file)) = find(path) else {
        return ProblemResponse::no_such_path(path).into_response();
    };
    if method != Method::GET && method != Method::HEAD {
        let problem = ProblemResponse::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method not allowed",
            format!("{path} is a file of the page: it answers GET and HEAD"),
        );
        return ([(header::ALLOW, "GET, HEAD")], problem).into_response();
    }
    let keep = name != INDEX && is_of_this_build(path);
    respond(name, file, if keep { KEEP } else { ASK }, &headers)
}

fn respond(name: &str, file: EmbeddedFile, keep: HeaderValue, request: &HeaderMap) -> Response {
    // The hash of all files stands for the index, which names them by it.
    let etag = if name == INDEX { quoted(&page().build) } else { etag(&file) };
    let mut response = if matches_etag(request, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else if name == INDEX {
        ([(header::CONTENT_TYPE, content_type(name))], page().index.clone()).into_response()
    } else {
        ([(header::CONTENT_TYPE, content_type(name))], file.data).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag);
    headers.insert(header::CACHE_CONTROL, keep);
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    response
}

fn find(path: &str) -> Option<(&str, EmbeddedFile)> {
    let name = match path.strip_prefix('/')? {
        "" => INDEX,
        "favicon.ico" | "favicon.svg" => "icon.svg",
        // A page of an older binary may still ask below that one's folder.
        name if name.starts_with('~') => name.split_once('/')?.1,
        name => name,
    };
    // Only what was embedded under exactly this name can be found: no path leads out.
    page().names.binary_search_by(|known| (**known).cmp(name)).ok()?;
    Files::get(name).map(|file| (name, file))
}

/// What is known of the files as a whole.
struct Page {
    /// Ascending.
    names: Vec<String>,
    /// A hash of all files.
    build: String,
    /// The index, naming its files below this build's folder.
    index: Bytes,
}

fn page() -> &'static Page {
    static PAGE: OnceLock<Page> = OnceLock::new();
    PAGE.get_or_init(|| {
        let mut names: Vec<String> = Files::iter().map(|name| name.into_owned()).collect();
        names.sort_unstable();
        let files = names.iter().filter_map(|name| Files::get(name).map(|file| (name, file)));
        let hash = files.fold(FNV_START, |hash, (name, file)| {
            mixed(mixed(hash, name.as_bytes()), &file.metadata.sha256_hash())
        });
        let build = format!("{hash:016x}");
        let index = Files::get(INDEX).map_or_else(Bytes::new, |file| named(&file.data, &build));
        Page { names, build, index }
    })
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a; it tells builds apart and keeps nothing safe.
fn mixed(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// The index with the page's own files below the build's folder. Addresses of the API stay.
fn named(index: &[u8], build: &str) -> Bytes {
    let text = String::from_utf8_lossy(index);
    let mut out = String::with_capacity(text.len() * 3 / 2);
    for (number, part) in text.split('"').enumerate() {
        if number > 0 {
            out.push('"');
        }
        let is_file = Files::get(part).is_some();
        if is_file {
            out.push('~');
            out.push_str(build);
            out.push('/');
        }
        out.push_str(part);
    }
    out.into()
}

fn is_of_this_build(path: &str) -> bool {
    path.strip_prefix("/~")
        .and_then(|rest| rest.split_once('/'))
        .is_some_and(|(build, _)| build == page().build)
}

fn etag(file: &EmbeddedFile) -> HeaderValue {
    let hash = file.metadata.sha256_hash();
    let hash: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    quoted(&hash)
}

fn quoted(text: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{text}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(path: &str) -> Response {
        let uri = path.parse().expect("a path");
        serve(Method::GET, uri, HeaderMap::new()).await
    }

    fn kept(response: &Response) -> Option<&str> {
        response.headers().get(header::CACHE_CONTROL)?.to_str().ok()
    }

    #[tokio::test]
    async fn files_of_this_build_are_kept_others_are_asked_for() {
        let build = &page().build;
        let forever = Some("private, max-age=31536000, immutable");
        let cases = [
            ("/".to_owned(), Some("no-cache")),
            (format!("/~{build}/index.html"), Some("no-cache")),
            ("/app.js".to_owned(), Some("no-cache")),
            (format!("/~{build}/app.js"), forever),
            (format!("/~{build}/css/tokens.css"), forever),
            ("/~0123456789abcdef/app.js".to_owned(), Some("no-cache")),
            (format!("/~{build}/../Cargo.toml"), None),
            (format!("/~{build}"), None),
        ];
        for (path, keep) in cases {
            let response = ask(&path).await;
            assert_eq!(response.status().is_success(), keep.is_some(), "{path}");
            if keep.is_some() {
                assert_eq!(kept(&response), keep, "{path}");
            }
        }
        let index = String::from_utf8_lossy(&page().index);
        assert!(index.contains(&format!("src=\"~{build}/app.js\"")), "{index}");
        assert!(index.contains("href=\"api/v1/fleet"), "{index}");
        assert!(!index.contains("href=\"css/"), "{index}");
    }
}
