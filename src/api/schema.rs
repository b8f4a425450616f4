//! Parts of the CRD's schema that are not derived: opaque JSON, and strings with a rule and a message.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const RULES: &str = "x-kubernetes-validations";
const NOT_A_LABEL: &str = "not a valid label: at most 63 letters, digits, '-', '_', '.'; a key may have a prefix/";

/// An object that is stored as written.
pub fn opaque(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", PRESERVE: true})
}

/// A list of objects that are stored as written.
pub fn opaque_list(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": {"type": "object", PRESERVE: true}})
}

/// The Deployment template: only the fields that the controller reads are named, all others are preserved.
pub fn template(_: &mut SchemaGenerator) -> Schema {
    let strings = json!({"type": "object", "additionalProperties": {"type": "string"}});
    // Whatever has it is taken for a part of the canary, the base's pods too once it is promoted.
    let mut labels = strings.clone();
    labels[RULES] = json!([{
        "rule": "!('kanary.k8s.io/canary' in self)",
        "message": "the label kanary.k8s.io/canary marks what belongs to a canary; remove it",
    }]);
    let object = |properties: Value| json!({"type": "object", PRESERVE: true, "properties": properties});
    // By it a canary pod would be taken for one that is in production already.
    let mut annotations = strings.clone();
    annotations[RULES] = json!([{
        "rule": "!('kanary.k8s.io/production-labels' in self)",
        "message": "the annotation kanary.k8s.io/production-labels is what the controller records of a canary pod; remove it",
    }]);
    let labelled = object(json!({"labels": labels, "annotations": annotations}));
    let metadata = object(json!({
        "name": {"type": "string", "maxLength": 253},
        "namespace": {"type": "string", "maxLength": 253},
        "labels": labels,
        "annotations": strings,
    }));
    let some = json!({"type": "string", "minLength": 1});
    let mut container = object(json!({"name": some, "image": some}));
    container["required"] = json!(["name", "image"]);
    let mut pod_spec = object(json!({
        "containers": {"type": "array", "minItems": 1, "items": container},
        "initContainers": {"type": "array", "items": container},
    }));
    pod_spec["required"] = json!(["containers"]);
    let mut pod = object(json!({"metadata": labelled, "spec": pod_spec}));
    pod["required"] = json!(["spec"]);
    let mut spec = object(json!({
        "replicas": {"type": "integer", "minimum": 0, "format": "int32"},
        "minReadySeconds": {"type": "integer", "minimum": 0, "format": "int32"},
        "progressDeadlineSeconds": {"type": "integer", "minimum": 1, "format": "int32"},
        "selector": {"type": "object", PRESERVE: true},
        "template": pod,
    }));
    spec["required"] = json!(["template"]);
    // The API server rejects the Deployment, of the canary and of the base.
    spec[RULES] = json!([{
        "rule": "(has(self.minReadySeconds) ? self.minReadySeconds : 0) < (has(self.progressDeadlineSeconds) ? self.progressDeadlineSeconds : 600)",
        "message": "progressDeadlineSeconds (600 if not set) must be greater than minReadySeconds; raise it, or lower minReadySeconds",
    }]);
    json_schema!({
        "type": "object",
        "required": ["spec"],
        "properties": {"metadata": metadata, "spec": spec},
    })
}

/// A label selector that selects something, not everything.
pub fn selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "properties": {
            "matchLabels": some_labels(),
            "matchExpressions": {
                "type": "array",
                "minItems": 1,
                "maxItems": 16,
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {"type": "string", "maxLength": 316},
                        "operator": {"type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
                        "values": {"type": "array", "maxItems": 16, "items": {"type": "string", "maxLength": 63}},
                    },
                    RULES: [{
                        "rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
                        "message": "In and NotIn need values; Exists and DoesNotExist take none",
                    }, {
                        "rule": "!format.qualifiedName().validate(self.key).hasValue() && (!has(self.values) || self.values.all(v, !format.labelValue().validate(v).hasValue()))",
                        "message": NOT_A_LABEL,
                    }],
                },
            },
        },
    })
}

/// Labels, at least one.
pub fn labels(_: &mut SchemaGenerator) -> Schema {
    some_labels().try_into().unwrap_or_default()
}

/// What can never be a label would never match, so the canary would be valid without evidence.
fn some_labels() -> Value {
    json!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 16,
        "additionalProperties": {"type": "string", "maxLength": 63},
        RULES: [{
            "rule": "self.all(k, !format.qualifiedName().validate(k).hasValue() && !format.labelValue().validate(self[k]).hasValue())",
            "message": NOT_A_LABEL,
        }],
    })
}

/// A finite number.
pub fn number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "number", "default": 0})
}

/// A finite number, 1 if not given.
pub fn number_or_one(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "number", "default": 1})
}

/// A share in percent, zero or more.
pub fn percentage(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "number", "minimum": 0})
}

/// A share in percent, 0 if not given.
pub fn percentage_or_zero(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "number", "minimum": 0, "maximum": 100, "default": 0})
}

/// A string; its type has no schema of its own.
pub fn plain_string(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string"})
}

/// A Deployment's name.
pub fn optional_dns_subdomain(_: &mut SchemaGenerator) -> Schema {
    ruled(
        json_schema!({"type": "string", "nullable": true, "maxLength": 253}),
        "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
        "must be the name of a Deployment: lower-case letters, digits, '-' and '.'",
    )
}

/// A Service's name.
pub fn optional_service_name(_: &mut SchemaGenerator) -> Schema {
    ruled(
        json_schema!({"type": "string", "nullable": true, "maxLength": 63}),
        "self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "must be the name of a Service: a DNS label that begins with a letter",
    )
}

/// An http or https URL.
pub fn optional_url(_: &mut SchemaGenerator) -> Schema {
    ruled(
        json_schema!({"type": "string", "nullable": true, "maxLength": 2048}),
        "isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHost() != ''",
        "must be an http or https URL such as http://prometheus.istio-system:9090",
    )
}

/// A time. The format `date-time` accepts what no library can read: any number of digits, or an offset of 99 hours.
pub fn optional_time(_: &mut SchemaGenerator) -> Schema {
    ruled(
        json_schema!({"type": "string", "nullable": true, "maxLength": 64}),
        "self.matches('^[0-8][0-9]{3}-[0-9]{2}-[0-9]{2}[Tt][0-9:]{8}([.][0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$') && !format.datetime().validate(self).hasValue()",
        "must be an RFC 3339 date-time such as 2030-01-31T08:00:00Z",
    )
}

/// More digits would exceed what CEL and the controller can read; six are a hundred years in hours, nine are nanoseconds.
const A_DURATION: &str = "self.matches('^([0-9]{1,6}([.][0-9]{1,9})?(ms|s|m|h))+$')";

/// A duration that may be zero.
pub fn duration_or_zero(_: &mut SchemaGenerator) -> Schema {
    duration("0s", A_DURATION, "must be a duration such as 90s, 15m or 1h30m")
}

/// A duration above zero.
pub fn positive_duration(_: &mut SchemaGenerator) -> Schema {
    let rule = format!("{A_DURATION} && duration(self) > duration('0s')");
    duration("15m", &rule, "must be a positive duration such as 90s, 15m or 1h30m")
}

/// A duration of a second or more.
pub fn interval(_: &mut SchemaGenerator) -> Schema {
    let rule = format!("{A_DURATION} && duration(self) >= duration('1s')");
    duration("20s", &rule, "must be a duration of at least 1s, such as 20s")
}

fn duration(default: &str, rule: &str, message: &str) -> Schema {
    ruled(json_schema!({"type": "string", "maxLength": 16, "default": default}), rule, message)
}

fn ruled(mut schema: Schema, rule: &str, message: &str) -> Schema {
    schema.insert(RULES.into(), json!([{"rule": rule, "message": message}]));
    schema
}
