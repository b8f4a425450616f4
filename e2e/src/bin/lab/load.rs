//! `lab load`: what its arguments request, and sending it.

use std::{ffi::OsString, process::ExitCode};

use kanary_e2e::{Context, Error, load::order::Order};

/// None = the arguments make no sense.
pub fn order(args: &[OsString]) -> Option<Order> {
    let (service, flags) = args.split_first()?;
    let (service, namespace) = match service.to_str()?.split_once('.') {
        Some((service, namespace)) => (service, namespace),
        None => (service.to_str()?, "default"),
    };
    if service.is_empty() || service.starts_with('-') || namespace.is_empty() {
        return None;
    }
    let (namespace, service) = (namespace.to_owned(), service.to_owned());
    let mut order = Order { namespace, service, port: None, rate: 20.0, seconds: 60.0, direct: false };
    let mut flags = flags.iter();
    while let Some(flag) = flags.next() {
        // Both `--rate 20` and `--rate=20`.
        let (flag, given) = flag.to_str()?.split_once('=').map_or((flag.to_str()?, None), |(f, v)| (f, Some(v)));
        if flag == "--direct" && given.is_none() {
            order.direct = true;
            continue;
        }
        let value = match given {
            Some(value) => value,
            None => flags.next()?.to_str()?,
        };
        match flag {
            "--rate" => order.rate = value.parse().ok()?,
            "--for" => order.seconds = seconds(value)?,
            "--port" => order.port = Some(value.parse().ok()?),
            _ => return None,
        }
    }
    Some(order)
}

/// `90s`, `5m`, `1h`.
fn seconds(text: &str) -> Option<f64> {
    let units = [("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    units.iter().find_map(|(unit, seconds)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * seconds))
}

/// Sends it, and prints what comes back.
pub fn send(order: Order) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Runtime::new().context(|| "start a runtime".into())?;
    runtime.block_on(order.send(|line| println!("{line}")))?;
    Ok(ExitCode::SUCCESS)
}
