//! Plain HTTP to the programs of the lab: probes, queries, admin pages.

use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use http::{Request, Response, header::CONTENT_TYPE};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::{
    Context, Error,
    process::{self, Process},
};

/// For one request; a busy machine must not fail a test.
const TIMEOUT: Duration = Duration::from_secs(20);
/// A configuration dump of a mesh with a few hundred services.
const LARGEST: usize = 64 << 20;
/// For a program to start.
const PATIENCE: Duration = Duration::from_secs(90);
const BEAT: Duration = Duration::from_millis(40);

/// A client that keeps its connections.
#[derive(Debug, Clone)]
pub struct HttpClient(Client<HttpConnector, Body>);

impl Default for HttpClient {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }
}

impl HttpClient {
    /// Sends a request; the answer has all of its body.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Bytes>, Error> {
        let description = format!("{} {}", request.method(), request.uri());
        let answer = async {
            let (parts, body) = self.0.request(request).await.context(|| description.clone())?.into_parts();
            let body = to_bytes(Body::new(body), LARGEST).await.context(|| description.clone())?;
            Ok(Response::from_parts(parts, body))
        };
        tokio::time::timeout(TIMEOUT, answer).await.context(|| description.clone())?
    }

    /// GET: the status and the body.
    pub async fn get(&self, url: &str) -> Result<(u16, String), Error> {
        text(self.send(Request::get(url).body(Body::empty()).context(|| url.to_owned())?).await?)
    }

    /// POST of a form with one field, which is escaped here.
    pub async fn post(&self, url: &str, field: &str, value: &str) -> Result<(u16, String), Error> {
        let form = format!("{field}={}", escaped(value));
        let request = Request::post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        text(self.send(request.body(Body::from(form)).context(|| url.to_owned())?).await?)
    }

    /// Waits until a page of a process that was just started answers with 200.
    pub async fn until_ok(&self, process: &mut Process, url: &str) -> Result<(), Error> {
        let begun = Instant::now();
        while !matches!(self.get(url).await, Ok((200, _))) {
            if let Some(error) = process.ended() {
                return Err(error);
            }
            if begun.elapsed() > PATIENCE {
                let (name, tail) = (process.name(), process::tail(process.log(), 15));
                return Err(Error::wrong(format!(
                    "{name} does not serve {url} after {} s; the end of its log:\n{tail}",
                    PATIENCE.as_secs()
                )));
            }
            tokio::time::sleep(BEAT).await;
        }
        Ok(())
    }
}

fn text(answer: Response<Bytes>) -> Result<(u16, String), Error> {
    Ok((answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned()))
}

/// Every byte that could mean something in a form, as `%XX`.
fn escaped(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let byte = |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(byte).collect()
}
