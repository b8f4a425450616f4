//! How a pod answers by its own annotations: with them a person makes pods fail or slow down, in a template or on a live
//! pod. They go before what a test has set.

use std::{collections::BTreeMap, time::Duration};

use super::{behaviour::Behaviour, pods::FOR_THE_LAB};

/// The share of requests that fail, e.g. `5%`, and with which status if not with 500: `5% 503`.
pub const ERRORS: &str = "errors";
/// How long each response takes, e.g. `300ms` or `1.5s`.
pub const LATENCY: &str = "latency";
/// What kwok reads, see `stages/`.
const OF_KWOK: [&str; 2] = ["play", "after"];

/// The behaviour with what the annotations say; `Err` says what is wrong with one of them.
pub fn applied(annotations: &BTreeMap<String, String>, mut behaviour: Behaviour) -> Result<Behaviour, String> {
    for (key, value) in annotations {
        let Some(name) = key.strip_prefix(FOR_THE_LAB) else { continue };
        let wrong = |example: &str| format!("the annotation {key} is {value:?}, which is not of the form {example}");
        match name {
            ERRORS => (behaviour.failing, behaviour.code) = errors(value).ok_or_else(|| wrong("`5%` or `5% 503`"))?,
            LATENCY => behaviour.latency = latency(value).ok_or_else(|| wrong("`300ms` or `1.5s`, up to 60s"))?,
            _ if OF_KWOK.contains(&name) => {}
            _ => return Err(format!("the lab knows no annotation {key}; there are {ERRORS}, {LATENCY}, play, after")),
        }
    }
    Ok(behaviour)
}

fn errors(text: &str) -> Option<(f64, u16)> {
    let (share, code) = text.trim().split_once(' ').unwrap_or((text.trim(), "500"));
    let percent: f64 = share.strip_suffix('%')?.parse().ok()?;
    let code: u16 = code.trim().parse().ok()?;
    ((0.0..=100.0).contains(&percent) && (200..600).contains(&code)).then_some((percent / 100.0, code))
}

fn latency(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s')?, 1.0),
    };
    let seconds = number.parse::<f64>().ok()? * unit;
    (0.0..=60.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::{Behaviour, applied};

    fn of(name: &str, value: &str) -> Result<Behaviour, String> {
        applied(&BTreeMap::from([(format!("lab.kanary.k8s.io/{name}"), value.to_owned())]), Behaviour::default())
    }

    #[test]
    fn an_annotation_says_how_a_pod_answers() {
        assert_eq!(of("errors", "5%"), Ok(Behaviour::failing(0.05)));
        assert_eq!(of("errors", "12.5% 503"), Ok(Behaviour { code: 503, ..Behaviour::failing(0.125) }));
        assert_eq!(of("latency", "300ms"), Ok(Behaviour::slow(Duration::from_millis(300))));
        assert_eq!(of("latency", "1.5s"), Ok(Behaviour::slow(Duration::from_millis(1500))));
        assert_eq!(of("play", "slow"), Ok(Behaviour::default()), "it is kwok's");
        let foreign = BTreeMap::from([("team".to_owned(), "shop".to_owned())]);
        assert_eq!(applied(&foreign, Behaviour::failing(1.0)), Ok(Behaviour::failing(1.0)));
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (name, value) in [
            ("errors", "5"),
            ("errors", "101%"),
            ("errors", "-1%"),
            ("errors", "NaN%"),
            ("errors", "5% 99"),
            ("errors", "5 % 503"),
            ("errors", ""),
            ("latency", "300"),
            ("latency", "1e9s"),
            ("latency", "-1s"),
            ("latency", "infs"),
            ("latency", "5m"),
        ] {
            let told = of(name, value);
            assert!(told.as_ref().is_err_and(|told| told.contains(value) && told.contains(name)), "{value}: {told:?}");
        }
        assert!(of("error", "5%").is_err_and(|told| told.contains("errors, latency")));
    }
}
