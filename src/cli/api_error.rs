//! What went wrong between this program and the API server, in one sentence.

use std::{error::Error as StdError, io};

use http::Uri;
use hyper_util::client::legacy;

use super::error::{Error, in_words};

/// The API server, as far as a message about it needs to know it.
#[derive(Clone, Debug)]
pub struct ApiServer {
    /// Where it is.
    pub url: Uri,
    /// The proxy on the way to it.
    pub proxy: Option<Uri>,
}

impl ApiServer {
    /// The error of a verb: what it was doing, and why that failed.
    #[must_use]
    pub fn failed(&self, doing: &str, error: &kube::Error) -> Error {
        Error::Failed(format!("{doing}: {}", self.reason(error)))
    }

    /// Why a request failed.
    #[must_use]
    pub fn reason(&self, error: &kube::Error) -> String {
        if let kube::Error::Api(status) = error {
            let is_unknown_path = status.code == 404 && status.message.contains("page not found");
            return match is_unknown_path {
                true => "Kanary is not installed in this cluster: its CustomResourceDefinition is missing".to_owned(),
                false => status.message.clone(),
            };
        }
        unreachable(error).map_or_else(|| causes(error), |why| format!("cannot reach {}: {why}", self.shown()))
    }

    /// Without the password in the URL of the proxy.
    fn shown(&self) -> String {
        let address = |uri: &Uri| {
            let host = uri.authority().map(|of| of.as_str().rsplit('@').next().unwrap_or_default().to_owned());
            format!("{}://{}", uri.scheme_str().unwrap_or("https"), host.unwrap_or_default())
        };
        match &self.proxy {
            Some(proxy) => format!("{} through the proxy {}", address(&self.url), address(proxy)),
            None => address(&self.url),
        }
    }
}

/// Why no connection was made; nothing if the error is about something else, such as a credential plugin.
fn unreachable(error: &kube::Error) -> Option<String> {
    let connect =
        chain(error).find(|cause| cause.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect))?;
    // The one of the operating system, of name resolution or of TLS is the last.
    let io = chain(connect).filter_map(|cause| cause.downcast_ref::<io::Error>()).last();
    Some(io.map_or_else(|| causes(connect), in_words))
}

/// An error and everything behind it: `client error (Connect)` alone is of no use.
#[must_use]
pub fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for text in chain(error).map(ToString::to_string) {
        if texts.iter().all(|before| !before.contains(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// What a request to this address fails with.
    async fn failure(url: &str) -> String {
        let url: Uri = url.parse().expect("an address");
        let server = ApiServer { url: url.clone(), proxy: None };
        let client = kube::Client::try_from(kube::Config::new(url)).expect("a client");
        let error = client.apiserver_version().await.expect_err("nothing listens");
        server.reason(&error)
    }

    #[tokio::test]
    async fn an_api_server_that_cannot_be_reached_is_named() {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{free}");
            assert_eq!(failure(&url).await, format!("cannot reach {url}: connection refused"));
        }
        let unknown = failure("https://cluster.invalid:6443").await;
        assert!(unknown.starts_with("cannot reach https://cluster.invalid:6443: "), "{unknown}");
        assert!(!unknown.contains("Connect") && !unknown.contains("os error"), "{unknown}");
    }

    #[test]
    fn a_proxy_is_named_without_its_password() {
        let proxy = "http://me:secret@proxy:3128".parse().ok();
        let server = ApiServer { url: "https://10.0.0.1:6443/base".parse().expect("an address"), proxy };
        assert_eq!(server.shown(), "https://10.0.0.1:6443 through the proxy http://proxy:3128");
    }
}
