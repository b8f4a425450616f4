//! An API server that answers as each test needs it, and records the requests.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use kanary::api::KanaryDeployment;
use serde_json::{Value, json};

use crate::snapshot::program;

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

/// An answer to it.
pub enum Answer {
    /// A status code and an object.
    Object(u16, Value),
    /// The events of a watch, which ends with them.
    Watch(Vec<Value>),
    /// A watch without events.
    IdleWatch,
    /// No answer.
    Silence,
}

/// It lives as long as the test.
pub struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Request {
    pub fn is_watch(&self) -> bool {
        self.query.contains("watch=true")
    }

    /// The last part of the path: a name, or what is listed.
    pub fn resource(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

impl Answer {
    /// The error of an API server.
    pub fn refusal(code: u16, reason: &str, message: &str) -> Self {
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "reason": reason, "message": message});
        Self::Object(code, status)
    }

    /// A list.
    pub fn list(items: &[Value]) -> Self {
        Self::Object(
            200,
            json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}),
        )
    }
}

impl Server {
    /// Starts to answer.
    pub fn start(answer: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, recorded) = (Arc::new(Mutex::new(answer)), requests.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, recorded) = (answer.clone(), recorded.clone());
                thread::spawn(move || {
                    let request = read(&stream)?;
                    recorded.lock().ok()?.push(request.clone());
                    let answer = answer.lock().ok()?(&request);
                    respond(stream, answer)
                });
            }
        });
        Self { address, requests }
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The program, with this server as its cluster, in the namespace `shop`.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let file = kubeconfig(&json!({"server": format!("http://{}", self.address)}));
        let mut command = program(arguments);
        command.env("KUBECONFIG", file);
        command
    }

    /// Runs it; standard output, standard error and exit code.
    pub fn run(&self, arguments: &[&str]) -> (String, String, Option<i32>) {
        let output = self.program(arguments).output().expect("the program runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr), output.status.code())
    }
}

/// A kubeconfig whose one cluster is this.
pub fn kubeconfig(cluster: &Value) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{count}.kubeconfig", std::process::id()));
    let context = json!({"cluster": "it", "user": "me", "namespace": "shop"});
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": cluster}],
        "contexts": [{"name": "it", "context": context}],
        "users": [{"name": "me", "user": {}}],
    });
    fs::write(&file, config.to_string()).expect("a kubeconfig");
    file
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, url) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut headers) = (0, Vec::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        let (name, value) = (name.to_lowercase(), value.trim().to_owned());
        if name == "content-length" {
            length = value.parse().ok()?;
        }
        headers.push((name, value));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = url.split_once('?').unwrap_or((&url, ""));
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Some(Request { method, path: path.to_owned(), query: query.to_owned(), headers, body })
}

fn respond(mut stream: TcpStream, answer: Answer) -> Option<()> {
    let head = |code: u16| format!("HTTP/1.1 {code} said\r\nContent-Type: application/json\r\nConnection: close\r\n");
    match answer {
        Answer::Object(code, object) => {
            let body = object.to_string();
            write!(stream, "{}Content-Length: {}\r\n\r\n{body}", head(code), body.len()).ok()
        }
        Answer::Watch(events) => {
            let body: String = events.iter().map(|event| format!("{event}\n")).collect();
            write!(stream, "{}\r\n{body}", head(200)).ok()
        }
        // Until the other side leaves.
        Answer::Silence => stream.read(&mut [0]).ok().map(drop),
        Answer::IdleWatch => {
            write!(stream, "{}\r\n", head(200)).ok()?;
            // Until the other side leaves.
            stream.read(&mut [0]).ok().map(drop)
        }
    }
}

/// A proxy that connects every client to one address.
pub fn proxy(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut here in listener.incoming().flatten() {
            thread::spawn(move || {
                read(&here).filter(|request| request.method == "CONNECT")?;
                write!(here, "HTTP/1.1 200 go on\r\n\r\n").ok()?;
                let mut there = TcpStream::connect(to).ok()?;
                let (mut back, mut forth) = (there.try_clone().ok()?, here.try_clone().ok()?);
                thread::spawn(move || std::io::copy(&mut forth, &mut back));
                std::io::copy(&mut there, &mut here).ok()
            });
        }
    });
    address
}

/// A `KanaryDeployment` of the namespace `shop`.
pub fn kanary(name: &str, version: u32) -> Value {
    let pod =
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:2"}]}});
    json!({
        "apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment",
        "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": version.to_string()},
        "spec": {"deploymentName": "web", "template": {"spec": {"template": pod}}},
    })
}

/// The same, with the controller's status for its present template.
pub fn in_phase(mut kanary: Value, phase: &str) -> Value {
    let read: KanaryDeployment = serde_json::from_value(kanary.clone()).expect("a KanaryDeployment");
    kanary["status"] = json!({"phase": phase, "templateHash": read.spec.template.hash()});
    kanary
}
