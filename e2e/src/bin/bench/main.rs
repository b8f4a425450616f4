//! What canaries cost: figures as JSON on stdout, from a real API server; what happens meanwhile is told on stderr.
//!
//! It measures and judges nothing. What must hold whatever the machine (no request at rest, say) is a test.

mod departure;
mod lifecycle;
mod meter;

use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use kanary_e2e::kit::{Kit, Wanted};
use kanary_e2e::namespace::{self, Interrupt};
use kanary_e2e::scene::Stage;
use kanary_e2e::{Context, Error, Lab, Scene, Setup};
use serde_json::json;

const USAGE: &str = "\
What canaries cost the controller and the API server, as JSON.

usage: bench [CANARIES…]

CANARIES is how many live at once, in turn; 100 and then 300 if nothing is said.";

fn main() -> ExitCode {
    let sizes: Result<Vec<usize>, _> = env::args().skip(1).map(|arg| arg.parse()).collect();
    let Ok(sizes) = sizes else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let sizes = if sizes.is_empty() { vec![100, 300] } else { sizes };
    let wanted = Wanted { kanary: true, ..Wanted::default() };
    let done = namespace::main(wanted, Interrupt::Ends, |kit| inside(kit, &sizes));
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn inside(kit: Kit, sizes: &[usize]) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Runtime::new().context(|| "start a runtime".into())?;
    runtime.block_on(async {
        let lab = Lab::start(kit, &Setup::installed()).await?;
        let stage = Arc::new(Stage { client: lab.client(), lab: Some(lab), log: None });
        let mut lifecycles = Vec::new();
        for &size in sizes {
            eprintln!("{size} canaries from creation to the end");
            let scene = Scene::open(stage.clone(), &format!("lifecycle {size}")).await?;
            lifecycles.push(lifecycle::measure(&scene, size).await?);
        }
        eprintln!("from a label of invalidation to the end of traffic");
        let scene = Scene::open(stage, "departure").await?;
        let departure = departure::measure(&scene).await?;
        let report = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "build": if cfg!(debug_assertions) { "debug" } else { "release" },
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "lifecycles": lifecycles,
            "departure": departure,
        });
        println!("{report:#}");
        Ok(ExitCode::SUCCESS)
    })
}
