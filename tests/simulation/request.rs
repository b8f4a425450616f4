//! Requests, in all weathers: some fail, and of some only the answer is lost.

use kanary::{
    decision::{Action, Observed, Patch, StatusUpdate, Target, owned},
    objects::{DeploymentSpec, Object},
};

use crate::{
    rng::Rng,
    server::{Actor, Kind, Refused, Server, Sight, refuse},
};

/// How often requests fail, per mille.
#[derive(Clone, Copy, Default)]
pub struct Weather {
    /// Nothing happened, and the answer is an error.
    pub refused: usize,
    /// It happened, and the answer is lost.
    pub lost: usize,
}

/// What a write touched; the uid of what it deleted.
pub struct Written {
    pub kind: Kind,
    pub name: String,
    pub uid: Option<String>,
    /// Of a child that was written whole: what the answer says of it.
    pub stored: Option<(kanary::decision::Kind, String)>,
}

fn send<T>(rng: &mut Rng, weather: Weather, request: impl FnOnce() -> Result<T, Refused>) -> Result<T, Refused> {
    if rng.per_mille(weather.refused) {
        return refuse(500, "InternalError: no answer");
    }
    let done = request();
    if done.is_ok() && rng.per_mille(weather.lost) {
        return refuse(500, "InternalError: the answer is lost");
    }
    done
}

/// A dry run of the promotion. A refusal is an answer too.
pub fn dry_run(
    server: &Server,
    rng: &mut Rng,
    weather: Weather,
    target: &Target,
    patch: &Patch,
) -> Result<Result<DeploymentSpec, String>, Refused> {
    send(rng, weather, || match server.dry_run(Kind::Deployment, &target.name, patch) {
        Ok(object) => Ok(Ok(DeploymentSpec::from(object["spec"].clone()))),
        Err(Refused { code: 403 | 422, why }) => Ok(Err(why)),
        Err(other) => Err(other),
    })
}

/// A list of the routes, as they are at this moment.
pub fn read(rng: &mut Rng, weather: Weather) -> Result<(), Refused> {
    send(rng, weather, || Ok(()))
}

/// Carries out one action; what is gone already need not be deleted.
pub fn act(
    server: &mut Server,
    rng: &mut Rng,
    weather: Weather,
    actor: Actor,
    action: &Action,
) -> Result<Written, Refused> {
    let name = action.target().name.clone();
    let kind = kind_of(action.target().kind);
    let mut written = Written { kind, name: name.clone(), uid: None, stored: None };
    // Writes to users' routes are rare; what a lost answer does there must not be.
    let lost = if kind == Kind::Route { 3 * weather.lost } else { weather.lost };
    let weather = Weather { lost, ..weather };
    send(rng, weather, || match action {
        Action::Create { object, .. } | Action::CreateBase { object, .. } => server.create(actor, kind, object.clone()),
        Action::Patch { patch, .. } | Action::Promote { patch, .. } => server.patch(actor, kind, &name, patch),
        Action::Delete { uid, .. } => {
            written.uid = Some(uid.clone());
            match server.delete(actor, kind, &name, Some(uid), kind == Kind::Deployment) {
                Err(Refused { code: 404, .. }) => Ok(0),
                other => other,
            }
        }
    })?;
    written.stored = action.rewrites().zip(fingerprint(server, kind, &name));
    Ok(written)
}

fn fingerprint(server: &Server, kind: Kind, name: &str) -> Option<String> {
    match Sight::of(kind, server.get(kind, name)?) {
        Sight::Deployment(stored) => owned::fingerprint(&*stored),
        Sight::Autoscaler(stored) => owned::fingerprint(&*stored),
        _ => None,
    }
}

/// Writes the status, if the resource is still as it was observed.
pub fn tell(
    server: &mut Server,
    rng: &mut Rng,
    weather: Weather,
    actor: Actor,
    observed: &Observed,
    tell: &StatusUpdate,
) -> Result<Written, Refused> {
    let name = observed.kanary.name();
    let status = serde_json::to_value(&tell.status).expect("a status serializes");
    let version = Some(observed.kanary.version());
    send(rng, weather, || server.put_status(actor, Kind::Kanary, name, status, version))?;
    Ok(Written { kind: Kind::Kanary, name: name.to_owned(), uid: None, stored: None })
}

pub fn kind_of(kind: kanary::decision::Kind) -> Kind {
    match kind {
        kanary::decision::Kind::Deployment => Kind::Deployment,
        kanary::decision::Kind::Service => Kind::Service,
        kanary::decision::Kind::HorizontalPodAutoscaler => Kind::Autoscaler,
        kanary::decision::Kind::Pod => Kind::Pod,
        kanary::decision::Kind::VirtualService => Kind::Route,
        kanary::decision::Kind::KanaryDeployment => Kind::Kanary,
        kanary::decision::Kind::HTTPRoute => panic!("there is none here"),
    }
}
