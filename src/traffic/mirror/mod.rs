//! Copies of production's requests, through the routes of a mesh that lead to the production Service.
//!
//! The routes are the user's. Ours is one entry in each: the one whose destination is the kanary service, whatever else it
//! says. It is put in, kept, and taken out again by patches that touch nothing else (`splice`); `istio` and `gateway` say
//! which rules lead to production and what they would carry, `obstacle` why they must not.

mod carrier;
mod finalizer;
mod gateway;
mod hosts;
mod istio;
mod obstacle;
mod own;
mod splice;
mod standing;

use carrier::{Carrier, Rule};
pub use finalizer::is_held;
pub use obstacle::obstacle;
pub use standing::{copies_writes, count_at, count_query, reverted, standing};

use crate::{
    api::{self, Explanation, KanaryDeployment, Provider, Source},
    decision::{Action, Lookup, Observed, Target},
    objects::{Listed, Object, Unavailable},
    traffic::kanary_service,
};

/// Does a resource have anything to do with routes? One that mirrors has, and one that did and left something behind, such as
/// a VirtualService of its own.
#[must_use]
pub fn concerns(kanary: &KanaryDeployment, has_own: bool) -> bool {
    kanary.spec.traffic.source == Source::Mirror || is_held(kanary) || has_own
}

/// The mirror as it is, and as it should be.
pub(crate) struct Mirror<'a> {
    seen: &'a Observed,
    settings: api::Mirror,
    /// Is the source `mirror`?
    is_asked: bool,
    carriers: Vec<Carrier<'a>>,
}

impl<'a> Mirror<'a> {
    fn of(seen: &'a Observed) -> Self {
        let is_asked = seen.kanary.spec.traffic.source == Source::Mirror;
        // Without the finalizer, what is in the routes of others was never ours to write.
        let all = is_asked || finalizer::is_held(&seen.kanary);
        let concerned = concerns(&seen.kanary, seen.own_virtual_services().next().is_some());
        let carriers = concerned.then(|| istio::carriers(seen).into_iter().chain(gateway::carriers(seen)));
        let carriers = carriers.into_iter().flatten().filter(|carrier| all || carrier.is_own).collect();
        Self { seen, settings: seen.kanary.spec.traffic.mirror(), is_asked, carriers }
    }

    /// The object that the settings narrow the mirror to, and the rules of it.
    fn narrowed(&self) -> Option<(&str, &[String])> {
        let istio = self.settings.virtual_service.as_ref().map(|route| (route.name.as_str(), &route.routes[..]));
        let gateway = self.settings.http_route.as_ref().map(|route| (route.name.as_str(), &route.rules[..]));
        match self.settings.provider {
            Provider::Istio => istio,
            Provider::GatewayApi => gateway,
        }
    }

    /// Is this object one that should carry the mirror?
    fn means(&self, carrier: &Carrier) -> bool {
        let is_named = || self.narrowed().is_none_or(|(name, _)| carrier.target.name == name);
        let is_chosen = || carrier.is_own || !own::is_wanted(self);
        self.is_asked && carrier.namespace == self.seen.kanary.namespace() && is_named() && is_chosen()
    }

    /// Is this rule, of an object that is meant, one that should carry it?
    fn aims_at(&self, rule: &Rule) -> bool {
        let named = self.narrowed().map_or(&[][..], |(_, rules)| rules);
        rule.wanted.is_some() && (named.is_empty() || self.names(rule))
    }

    fn names(&self, rule: &Rule) -> bool {
        let named = self.narrowed().map_or(&[][..], |(_, rules)| rules);
        rule.name.as_ref().is_some_and(|name| named.contains(name))
    }

    /// All rules that should carry it.
    fn aims(&self) -> impl Iterator<Item = (&Carrier<'a>, &Rule)> {
        let meant = self.carriers.iter().filter(|carrier| self.means(carrier));
        meant
            .flat_map(|carrier| carrier.rules.iter().map(move |rule| (carrier, rule)))
            .filter(|(_, rule)| self.aims_at(rule))
    }

    /// As a message names it.
    fn title(&self, carrier: &Carrier) -> String {
        carrier.title(self.seen.kanary.namespace())
    }

    /// The patches that make the routes as they should be; `adds`: also where the entry is not yet.
    fn patches(&self, adds: bool) -> Vec<(&Carrier<'a>, Action)> {
        let home = self.seen.kanary.namespace();
        let here = self.carriers.iter().filter(|carrier| carrier.namespace == home);
        let patch = |carrier| {
            let means = self.means(carrier);
            Some((carrier, splice::patch(carrier, |rule| means && self.aims_at(rule), adds)?))
        };
        here.filter_map(patch).collect()
    }
}

/// Is there no VirtualService that rules over the production Service without leading to it?
fn host_is_free(seen: &Observed) -> bool {
    ruler(seen).is_none()
}

fn ruler(seen: &Observed) -> Option<&crate::objects::VirtualService> {
    let mut others =
        seen.routes.virtual_services.iter().filter(|route| !own::is_kanarys(route) && !route.is_terminating());
    others.find(|route| istio::rules_over(seen, route))
}

/// While a run lasts: puts the mirror where it should be, if it `may` add one, and takes it away where it should not be.
/// Also where the source is another by now.
#[must_use]
pub fn upkeep(seen: &Observed, may_add: bool) -> Vec<Action> {
    let mirror = Mirror::of(seen);
    if !mirror.is_asked {
        let steps = [clear, remove_own, leave];
        return steps.into_iter().map(|step| step(seen)).find(|actions| !actions.is_empty()).unwrap_or_default();
    }
    let adds = may_add && can_receive(seen) && obstacle(seen).is_none();
    let patches = mirror.patches(adds);
    if !finalizer::is_held(&seen.kanary) && patches.iter().any(|(carrier, _)| !carrier.is_own) {
        return vec![finalizer::hold(seen)];
    }
    let own = own::upkeep(&mirror, adds);
    // What is deleted is not patched as well.
    let is_doomed = |action: &Action| own.iter().any(|other| other.target() == action.target());
    let patches = patches.into_iter().map(|(_, patch)| patch).filter(|patch| !is_doomed(patch));
    patches.chain(own.iter().cloned()).collect()
}

/// A mirror to a Service that is not there yet, or has no pod, would send copies nowhere.
fn can_receive(seen: &Observed) -> bool {
    kanary_service::is_current(seen) && seen.live_pods().any(|pod| pod.status.ready)
}

/// Takes our entries out of other people's routes; once that is certain, takes the finalizer off. Our own VirtualService is
/// removed with the other children.
#[must_use]
pub fn leave(seen: &Observed) -> Vec<Action> {
    let cleared = clear(seen);
    if !cleared.is_empty() {
        return cleared;
    }
    let done = finalizer::is_held(&seen.kanary) && is_certain(seen);
    done.then(|| finalizer::release(seen)).into_iter().collect()
}

/// Takes our entries out of other people's routes.
#[must_use]
pub fn clear(seen: &Observed) -> Vec<Action> {
    let mirror = Mirror { is_asked: false, ..Mirror::of(seen) };
    mirror.patches(false).into_iter().filter(|(carrier, _)| !carrier.is_own).map(|(_, patch)| patch).collect()
}

/// Our own VirtualServices, on their way out.
#[must_use]
pub fn remove_own(seen: &Observed) -> Vec<Action> {
    own::remove(seen).collect()
}

/// Is there neither an entry of ours, nor a VirtualService, nor the finalizer?
#[must_use]
pub fn is_gone(seen: &Observed) -> bool {
    let is_known = seen.routes.virtual_services.unavailable() != Some(Unavailable::Loading);
    let is_held = finalizer::is_held(&seen.kanary);
    is_known && !is_held && seen.own_virtual_services().next().is_none() && clear(seen).is_empty()
}

/// Why it is not known whether our entry is out of all routes, if that is what the finalizer waits for and it does not pass
/// without anybody's help.
#[must_use]
pub fn unsettled(seen: &Observed) -> Option<Explanation> {
    let waits = finalizer::is_held(&seen.kanary) && !is_settled(seen);
    let why = waits.then(|| obstacle::unknown(seen)).flatten().filter(|why| !why.reason.is_awaited())?;
    Some(Explanation { message: format!("the mirror cannot be taken out of the routes: {}", why.message), ..why })
}

/// Does any route still send copies to this Service of ours?
#[must_use]
pub fn leads_to(seen: &Observed, service: &str) -> bool {
    Mirror::of(seen).carriers.iter().flat_map(Carrier::entries).any(|entry| entry.service == service)
}

/// Our VirtualService's name, if one is wanted and somebody else's stands there.
#[must_use]
pub fn taken(seen: &Observed) -> bool {
    let name = crate::api::names::virtual_service(&seen.kanary);
    let home = seen.kanary.namespace();
    let stands_there = |route: &crate::objects::VirtualService| route.namespace() == home && route.name() == name;
    let foreign =
        seen.routes.virtual_services.iter().find(|route| stands_there(route)).is_some_and(|route| !seen.is_ours(route));
    foreign && own::is_wanted(&Mirror::of(seen))
}

/// The objects that carry our entry, as the status names them.
#[must_use]
pub fn carried_by(seen: &Observed) -> Vec<String> {
    Mirror::of(seen).carriers.iter().filter(|carrier| carrier.carries()).map(Carrier::id).collect()
}

/// The lists in other people's routes that are to carry our entry: the object, and a JSON pointer.
#[must_use]
pub fn lists(seen: &Observed) -> Vec<(Target, String)> {
    let mirror = Mirror::of(seen);
    let theirs = mirror.aims().filter(|(carrier, _)| !carrier.is_own);
    theirs.map(|(carrier, rule)| (carrier.target.clone(), rule.list.clone())).collect()
}

/// Before the finalizer goes, the routes are read once more: what was written with a lost answer may not be seen yet.
#[must_use]
pub fn lookup(seen: &Observed) -> Option<Lookup> {
    let due = finalizer::is_held(&seen.kanary) && !seen.routes.is_fresh && is_settled(seen) && clear(seen).is_empty();
    due.then_some(Lookup::ReadRoutes)
}

fn is_certain(seen: &Observed) -> bool {
    seen.routes.is_fresh && is_settled(seen)
}

/// Is it known of both kinds where our entry is? What does not exist has none; nor has what we may not write, unless the
/// permission went away meanwhile.
fn is_settled(seen: &Observed) -> bool {
    let provider = seen.kanary.spec.traffic.mirror().provider;
    settled(&seen.routes.virtual_services, provider == Provider::Istio)
        && settled(&seen.routes.http_routes, provider == Provider::GatewayApi)
}

fn settled<K>(known: &Listed<K>, is_in_use: bool) -> bool {
    match known.unavailable() {
        None | Some(Unavailable::NoCrd | Unavailable::NotServed) => true,
        Some(Unavailable::NotPermitted) => !is_in_use,
        Some(Unavailable::Loading | Unavailable::NotAsked) => false,
    }
}
