//! Which canaries a Service of production matters to.

use super::{context::Context, key::Key};
use crate::{
    api::{KanaryDeployment, names},
    decision::services_of,
    objects::{Object, Service},
};

/// As any Service may select canary pods: all that it matters to. There may be thousands of both in a namespace.
pub fn by_service(context: &Context, service: &Service) -> Vec<Key> {
    let matters = |kanary: &KanaryDeployment| {
        let base = context.stores.deployments.get(service.namespace(), &names::base(kanary));
        services_of(kanary, base.as_deref())(service)
    };
    let kanaries = context.stores.kanaries.all_in(service.namespace());
    kanaries.iter().filter(|kanary| matters(kanary)).map(|kanary| Key::of(kanary)).collect()
}
