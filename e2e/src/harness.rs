//! A test binary: one lab, and one namespace for each test.
//!
//! ```no_run
//! use kanary_e2e::{Error, TestNamespace, Setup, cases, harness};
//!
//! async fn promotes(namespace: TestNamespace) -> Result<(), Error> {
//!     namespace.until_phase("web", "Succeeded").await.map(drop)
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     harness::main(Setup::controller(&[]), cases![promotes])
//! }
//! ```

use std::{env, pin::Pin, process::ExitCode, sync::Arc};

use kube::{
    Client,
    config::{Config, KubeConfigOptions},
};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::{Handle, Runtime};

use crate::{
    Context, Error, Lab, TestNamespace,
    artifacts::Artifacts,
    sandbox::{self, Interrupt},
    setup::Setup,
    test_namespace::Cluster,
};

/// Set to the name of a context, it runs the tests against that cluster instead of a lab.
const CONTEXT: &str = "KANARY_E2E_CONTEXT";
/// Tests mostly wait.
const THREADS: usize = 8;

type Run = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// One test.
pub struct Case {
    name: &'static str,
    lab_only: bool,
    run: Box<dyn FnOnce(TestNamespace) -> Run + Send>,
}

impl Case {
    /// A test of that name.
    pub fn new<F, R>(name: &'static str, run: F) -> Self
    where
        F: FnOnce(TestNamespace) -> R + Send + 'static,
        R: Future<Output = Result<(), Error>> + Send + 'static,
    {
        Self { name, lab_only: false, run: Box::new(|ns| Box::pin(run(ns))) }
    }

    /// It needs what only the lab offers (audit, plays, killing the controller), so it is ignored elsewhere.
    pub fn lab_only(self) -> Self {
        Self { lab_only: true, ..self }
    }
}

/// `cases![promotes, survives_a_kill: lab_only]`: tests by the names of their functions.
#[macro_export]
macro_rules! cases {
    ($($case:ident $(: $need:ident)?),* $(,)?) => {
        vec![$($crate::harness::Case::new(stringify!($case), $case)$(.$need())?),*]
    };
}

/// Runs the tests as `cargo test` expects it; the arguments are those of libtest.
pub fn main(setup: Setup, cases: Vec<Case>) -> ExitCode {
    let mut args = Arguments::from_args();
    args.test_threads.get_or_insert(THREADS);
    let done = if args.list || idle(&args, &cases) {
        // Nothing would run, so no lab is needed.
        Ok(libtest_mimic::run(&args, names(cases)).exit_code())
    } else if let Ok(context) = env::var(CONTEXT) {
        elsewhere(&context, &args, cases)
    } else {
        sandbox::main(setup.wanted(), Interrupt::Ends, |artifacts| inside(artifacts, &setup, &args, cases))
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn idle(args: &Arguments, cases: &[Case]) -> bool {
    let probe = |case: &Case| Trial::test(case.name, || Ok(()));
    cases.iter().map(probe).all(|trial| args.is_filtered_out(&trial))
}

fn names(cases: Vec<Case>) -> Vec<Trial> {
    cases.into_iter().map(|case| Trial::test(case.name, || Ok(()))).collect()
}

fn inside(artifacts: Artifacts, setup: &Setup, args: &Arguments, cases: Vec<Case>) -> Result<ExitCode, Error> {
    let runtime = Runtime::new().context(|| "start a runtime".into())?;
    let (cluster, mut controller) = runtime.block_on(async {
        let lab = Lab::start(artifacts, setup).await?;
        let controller = match setup.shared_controller() {
            Some(args) => Some(lab.controller(args).await?),
            None => None,
        };
        let log = controller.as_ref().map(|controller| controller.log().to_owned());
        Ok::<_, Error>((Cluster { client: lab.client(), lab: Some(lab), log }, controller))
    })?;
    let code = perform(&runtime, cluster, args, cases);
    match controller.as_mut().and_then(|controller| controller.ended()) {
        Some(error) => Err(error),
        None => Ok(code),
    }
}

fn elsewhere(context: &str, args: &Arguments, cases: Vec<Case>) -> Result<ExitCode, Error> {
    let runtime = Runtime::new().context(|| "start a runtime".into())?;
    let client = runtime.block_on(async {
        let options = KubeConfigOptions { context: Some(context.to_owned()), ..Default::default() };
        let config = Config::from_kubeconfig(&options).await.context(|| format!("use the context {context}"))?;
        Client::try_from(config).context(|| format!("use the context {context}"))
    })?;
    Ok(perform(&runtime, Cluster { client, lab: None, log: None }, args, cases))
}

fn perform(runtime: &Runtime, cluster: Cluster, args: &Arguments, cases: Vec<Case>) -> ExitCode {
    let cluster = Arc::new(cluster);
    let trials = cases.into_iter().map(|case| trial(case, cluster.clone(), runtime.handle().clone()));
    libtest_mimic::run(args, trials.collect()).exit_code()
}

fn trial(case: Case, cluster: Arc<Cluster>, handle: Handle) -> Trial {
    let name = case.name;
    Trial::ignorable_test(name, move || {
        if case.lab_only && cluster.lab.is_none() {
            return Ok(Completion::ignored_with("needs the lab"));
        }
        handle.block_on(run(case, cluster)).map_err(Failed::from)?;
        Ok(Completion::Completed)
    })
}

/// Runs one test in its namespace; a failure, also a panic, comes with the diagnostics of that namespace.
async fn run(case: Case, cluster: Arc<Cluster>) -> Result<(), String> {
    let ns = TestNamespace::open(cluster, case.name).await.map_err(|error| error.to_string())?;
    let failure = match tokio::spawn((case.run)(ns.clone())).await {
        Ok(Ok(())) => None,
        // It has the diagnostics of that moment already.
        Ok(Err(error @ Error::Unmet(_))) => Some(error.to_string()),
        Ok(Err(error)) => Some(format!("{error}\n{}", ns.diagnostics().await)),
        Err(panic) => Some(format!("{}\n{}", message(panic), ns.diagnostics().await)),
    };
    let closed = ns.close(failure.is_some()).await;
    match failure {
        Some(failure) => Err(failure),
        None => closed.map_err(|error| error.to_string()),
    }
}

fn message(panic: tokio::task::JoinError) -> String {
    match panic.try_into_panic() {
        Ok(payload) => match (payload.downcast_ref::<String>(), payload.downcast_ref::<&str>()) {
            (Some(text), _) => text.clone(),
            (_, Some(text)) => (*text).to_owned(),
            _ => "the test panicked".into(),
        },
        Err(error) => error.to_string(),
    }
}
