//! A load that a person orders: over a socket file, because a person at the host shares no network with the lab.
//!
//! The lab sends the requests and answers with lines to print. The socket is in the lab's directory, and so is each
//! kubeconfig that the lab hands out: whoever has one of them in `KUBECONFIG` finds the other.

use std::{
    env,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use kube::Client;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{MissedTickBehavior, interval},
};

use super::{Answer, Load, Running, endpoints::Endpoints};
use crate::{Context, Error, Lab};

/// How often it says how far it is.
const BEAT: Duration = Duration::from_secs(1);
/// As many as the backend remembers.
const MOST: f64 = 200_000.0;
/// More would wait for each other while pods are slow.
const AT_ONCE: usize = 256;

/// What to send where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The Service's namespace.
    pub namespace: String,
    /// Its name.
    pub service: String,
    /// The Service's port, by default its first.
    pub port: Option<u16>,
    /// Requests a second.
    pub rate: f64,
    /// For how long.
    pub seconds: f64,
    /// Past the mesh, as kube-proxy would.
    pub direct: bool,
}

/// What the lab answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reply {
    /// A line to print.
    Line(String),
    /// It could not be sent. Nothing follows.
    Failed(String),
    /// All were sent. Nothing follows.
    Done,
}

impl Order {
    fn count(&self) -> Result<usize, Error> {
        let count = (self.rate * self.seconds).ceil();
        match count {
            1.0..=MOST if self.rate > 0.0 => Ok(count as usize),
            _ => Err(Error::wrong(format!("a load is of 1 to {MOST} requests"))),
        }
    }

    /// Sends it, and has `print` print each line. Ctrl-C ends it early.
    pub async fn send(&self, print: impl Fn(&str)) -> Result<(), Error> {
        self.count()?;
        let (socket, what) = (socket(&of_the_kubeconfig()?), || "talk to the lab".to_owned());
        let stream = UnixStream::connect(&socket).await;
        let stream = stream.context(|| format!("find a running lab beside KUBECONFIG ({})", socket.display()))?;
        let (replies, mut order) = stream.into_split();
        order.write_all((serde_json::to_string(self)? + "\n").as_bytes()).await.context(what)?;
        let (mut replies, mut order) = (BufReader::new(replies).lines(), Some(order));
        loop {
            let reply = tokio::select! {
                reply = replies.next_line() => reply.context(what)?,
                // The other end stops when it can read no more.
                Ok(()) = tokio::signal::ctrl_c(), if order.is_some() => {
                    order = None;
                    continue;
                }
            };
            match serde_json::from_str(&reply.ok_or_else(|| Error::wrong("the lab has ended"))?)? {
                Reply::Line(line) => print(&line),
                Reply::Failed(why) => return Err(Error::wrong(why)),
                Reply::Done => return Ok(()),
            }
        }
    }
}

/// Takes orders until the lab ends.
pub fn serve(lab: &Lab) -> Result<(), Error> {
    let socket = socket(lab.dir());
    let listener = UnixListener::bind(&socket).context(|| format!("listen on {}", socket.display()))?;
    let (client, mesh) = (lab.client(), lab.mesh().is_ok());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(take(stream, client.clone(), mesh));
        }
    });
    Ok(())
}

async fn take(stream: UnixStream, client: Client, mesh: bool) {
    let (orders, mut replies) = stream.into_split();
    let mut orders = BufReader::new(orders).lines();
    let last = match perform(&mut orders, &mut replies, client, mesh).await {
        Ok(()) => Reply::Done,
        Err(error) => Reply::Failed(error.to_string()),
    };
    // Whoever ordered it may have gone.
    let _ = write(&mut replies, &last).await;
}

async fn perform(
    orders: &mut Lines<BufReader<OwnedReadHalf>>,
    replies: &mut OwnedWriteHalf,
    client: Client,
    mesh: bool,
) -> Result<(), Error> {
    let order = orders.next_line().await.context(|| "read an order".into())?.unwrap_or_default();
    let order: Order = serde_json::from_str(&order)?;
    let (load, way) = of(&order, client, mesh).await?;
    let Order { namespace, service, rate, seconds, .. } = &order;
    line(replies, format!("{rate} requests a second to Service {namespace}/{service} for {seconds} s, {way}")).await?;
    let running = load.count(order.count()?).per_second(order.rate).at_once(AT_ONCE).start();
    until_over(&running, orders, replies).await?;
    for text in running.stop().await?.summary().lines() {
        line(replies, text.to_owned()).await?;
    }
    Ok(())
}

/// The load, and which way it goes.
async fn of(order: &Order, client: Client, mesh: bool) -> Result<(Load, &'static str), Error> {
    let host = format!("{}.{}.svc.cluster.local", order.service, order.namespace);
    let endpoints = Endpoints::watch(client, &order.namespace, &order.service, order.port).await?;
    if mesh && !order.direct {
        let sidecar = (Ipv4Addr::LOCALHOST, endpoints.port()).into();
        return Ok((Load::new(vec![sidecar], &host)?, "through the mesh"));
    }
    Ok((Load::to_service(endpoints, &host), "to its ready pods in turn"))
}

/// A line each second, until all are answered or the other end stops it.
async fn until_over(
    running: &Running,
    orders: &mut Lines<BufReader<OwnedReadHalf>>,
    replies: &mut OwnedWriteHalf,
) -> Result<(), Error> {
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.tick().await;
    let (begun, mut byte) = (Instant::now(), [0; 1]);
    loop {
        tokio::select! {
            () = running.over() => break,
            // Nothing follows an order, so this is the end: it was stopped, or nobody is there any more.
            _ = orders.get_mut().read(&mut byte) => break,
            _ = beat.tick() => {
                let (all, errors) = (running.so_far(|_| true), running.so_far(Answer::is_error));
                let seconds = begun.elapsed().as_secs_f64();
                line(replies, format!("{seconds:4.0} s  {all} answered, {errors} errors")).await?;
            }
        }
    }
    Ok(())
}

async fn line(replies: &mut OwnedWriteHalf, text: String) -> Result<(), Error> {
    write(replies, &Reply::Line(text)).await
}

async fn write(replies: &mut OwnedWriteHalf, reply: &Reply) -> Result<(), Error> {
    let line = serde_json::to_string(reply)? + "\n";
    replies.write_all(line.as_bytes()).await.context(|| "answer an order".into())
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("load.sock")
}

fn of_the_kubeconfig() -> Result<PathBuf, Error> {
    let kubeconfig = env::var_os("KUBECONFIG").map(PathBuf::from).unwrap_or_default();
    let dir = kubeconfig.parent().filter(|dir| dir.is_dir()).map(Path::to_owned);
    dir.ok_or_else(|| Error::wrong("KUBECONFIG does not name a kubeconfig of a lab; `lab up` prints which one"))
}
