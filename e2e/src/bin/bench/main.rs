//! What canaries cost: figures as JSON on stdout, measured on a real API server; progress is reported on stderr.
//!
//! It only measures. What must hold on every machine, such as no request at rest, is a test.

mod crowd;
mod departure;
mod fleet;
mod lifecycle;
mod meter;
mod mirror;
mod page;
mod part;
mod prometheus;

use std::{
    env,
    io::stderr,
    process::{Command, ExitCode},
    sync::Arc,
};

use kanary_e2e::{
    Context, Error, Lab,
    artifacts::Artifacts,
    sandbox::{self, Interrupt},
    test_namespace::Cluster,
};
use serde_json::{Map, Value, json};

use crate::part::Part;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{}", part::USAGE);
        return ExitCode::SUCCESS;
    }
    let Some(parts) = part::parse(&args) else {
        eprintln!("{}", part::USAGE);
        return ExitCode::from(2);
    };
    let done = match parts.as_slice() {
        [part] => sandbox::main(part.wanted(), Interrupt::Ends, |artifacts| inside(artifacts, part)),
        parts => in_turn(parts),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// One part, in its lab.
fn inside(artifacts: Artifacts, part: &Part) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Runtime::new().context(|| "start a runtime".into())?;
    let figures = runtime.block_on(async {
        let lab = Lab::start(artifacts, &part.setup()).await?;
        let cluster = Arc::new(Cluster { client: lab.client(), lab: Some(lab), log: None });
        part.measure(&cluster).await
    })?;
    let report = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        part.key(): figures,
    });
    println!("{report:#}");
    Ok(ExitCode::SUCCESS)
}

/// Each part in a lab of its own, because processes that it does not need would cost it time. A part that fails does
/// not stop the others.
fn in_turn(parts: &[Part]) -> Result<ExitCode, Error> {
    let (mut report, mut code) = (Map::new(), ExitCode::SUCCESS);
    for part in parts {
        match alone(part) {
            Ok(figures) => report.extend(figures),
            Err(error) => {
                eprintln!("error: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    println!("{:#}", Value::Object(report));
    Ok(code)
}

/// This program again, with one part. It ends with this process, and then cleans up.
fn alone(part: &Part) -> Result<Map<String, Value>, Error> {
    let what = || format!("run bench {}", part.args().join(" "));
    let program = env::current_exe().context(what)?;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM"]).arg(program).args(part.args()).stderr(stderr());
    let output = command.output().context(what)?;
    match output.status.success() {
        true => serde_json::from_slice(&output.stdout).context(what),
        false => Err(Error::wrong(format!("bench {}: {}", part.args().join(" "), output.status))),
    }
}
