//! Values that are read only if they are as expected: what no decision needs must not make an object unreadable.
//!
//! A time of the year 10000, a null in a list or a number that is too large is stored by API servers, and is not a value here.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

/// What is there, if it is as expected; anything else is skipped.
pub(super) struct Lenient<T>(pub Option<T>);

/// The JSON that a value can be read from; by default none.
pub(super) trait Expected: Sized {
    fn of_text(_: &str) -> Option<Self> {
        None
    }

    fn of_number(_: i64) -> Option<Self> {
        None
    }

    fn of_truth(_: bool) -> Option<Self> {
        None
    }

    fn of_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn of_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Expected> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData)).map(Self)
    }
}

/// Null, and what is not as expected, is the default.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Default + Expected>(deserializer: D) -> Result<T, D::Error> {
    Lenient::deserialize(deserializer).map(|Lenient(value)| value.unwrap_or_default())
}

struct Any<T>(PhantomData<T>);

impl<'de, T: Expected> Visitor<'de> for Any<T> {
    type Value = Option<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(T::of_truth(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(T::of_number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).ok().and_then(T::of_number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(T::of_text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        T::of_list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::of_map(map)
    }
}

impl Expected for String {
    fn of_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Expected for i64 {
    fn of_number(number: i64) -> Option<Self> {
        Some(number)
    }
}

impl Expected for i32 {
    fn of_number(number: i64) -> Option<Self> {
        i32::try_from(number).ok()
    }
}

impl Expected for bool {
    fn of_truth(truth: bool) -> Option<Self> {
        Some(truth)
    }
}

impl Expected for Time {
    fn of_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

/// A time of which it matters most that there is one: the deletion of a pod may be due in a year that has five digits.
pub(super) struct Due(pub Time);

impl Expected for Due {
    fn of_text(text: &str) -> Option<Self> {
        Some(Self(Time(text.parse().unwrap_or(Timestamp::MAX))))
    }
}

impl<T: Expected> Expected for Vec<T> {
    fn of_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut items = Vec::new();
        while let Some(Lenient(item)) = list.next_element()? {
            items.extend(item);
        }
        Ok(Some(items))
    }
}

impl<T: Expected> Expected for BTreeMap<String, T> {
    fn of_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        let mut entries = Self::new();
        while let Some((key, Lenient(value))) = map.next_entry()? {
            entries.extend(value.map(|value| (key, value)));
        }
        Ok(Some(entries))
    }
}

/// Implements [`Expected`] for a struct all of whose fields are lenient.
macro_rules! expected_map {
    ($type:ty) => {
        impl crate::objects::lenient::Expected for $type {
            fn of_map<'de, A: serde::de::MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
                <$type as serde::Deserialize>::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Some)
            }
        }
    };
}
pub(super) use expected_map;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Owner {
    api_version: Lenient<String>,
    kind: Lenient<String>,
    name: Lenient<String>,
    uid: Lenient<String>,
    controller: Lenient<bool>,
    block_owner_deletion: Lenient<bool>,
}

impl Expected for OwnerReference {
    fn of_map<'de, A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        let owner = Owner::deserialize(MapAccessDeserializer::new(map))?;
        let text = |Lenient(text): Lenient<String>| text.unwrap_or_default();
        Ok(Some(Self {
            api_version: text(owner.api_version),
            kind: text(owner.kind),
            name: text(owner.name),
            uid: text(owner.uid),
            controller: owner.controller.0,
            block_owner_deletion: owner.block_owner_deletion.0,
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<T: Expected>(value: &serde_json::Value) -> Option<T> {
        serde_json::from_str::<Lenient<T>>(&value.to_string()).expect("it is JSON").0
    }

    #[test]
    fn what_is_not_as_expected_is_skipped() {
        let oddities = [json!(null), json!(true), json!(1.5), json!(u64::MAX), json!([[{}]]), json!({"a": [null]})];
        for oddity in &oddities {
            assert_eq!(read::<String>(oddity), None, "{oddity}");
            assert_eq!(read::<i64>(oddity), None, "{oddity}");
            assert_eq!(read::<Time>(oddity), None, "{oddity}");
        }
        assert_eq!(read::<Vec<String>>(&json!(["a", null, 3, "b"])), Some(vec!["a".into(), "b".into()]));
        assert_eq!(
            read::<BTreeMap<String, String>>(&json!({"a": "b", "c": 1})),
            Some([("a".into(), "b".into())].into())
        );
        assert_eq!(read::<i32>(&json!(3_000_000_000_u64)), None);
    }

    #[test]
    fn a_time_out_of_range_is_none_but_a_deletion_is_due() {
        for year in ["10000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "99999-01-01T00:00:00Z"] {
            assert_eq!(read::<Time>(&json!(year)), None);
            assert_eq!(read::<Due>(&json!(year)).map(|Due(time)| time), Some(Time(Timestamp::MAX)));
        }
        assert_eq!(read::<Time>(&json!("1970-01-01T00:00:00Z")), Some(Time(Timestamp::UNIX_EPOCH)));
    }
}
