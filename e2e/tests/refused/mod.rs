//! The table of mistakes.

/// A mistake that the API server rejects.
pub struct Wrong {
    pub name: &'static str,
    /// Merged into a valid KanaryDeployment.
    pub wrong: &'static str,
    /// The error contains these texts: the field, and the fix.
    pub says: &'static [&'static str],
    /// A similar patch that is valid.
    pub right: &'static str,
}

const fn wrong(name: &'static str, wrong: &'static str, says: &'static [&'static str], right: &'static str) -> Wrong {
    Wrong { name, wrong, says, right }
}

const DURATION: &str = "must be a duration such as 90s, 15m or 1h30m";
const POSITIVE: &str = "must be a positive duration such as 90s, 15m or 1h30m";

/// Mistakes that show without cluster state.
pub const SCHEMA: &[Wrong] = &[
    // Names.
    wrong(
        "a name of 57 characters",
        "metadata: {name: x*57 }",
        &["metadata.name: must be a DNS label", "at most 56 characters"],
        "metadata: {name: x*56 }",
    ),
    wrong(
        "an uppercase name",
        "metadata: {name: Try}",
        &["metadata.name", "Try", "lowercase"],
        "metadata: {name: try}",
    ),
    wrong(
        "a name with a dot",
        "metadata: {name: try.web}",
        &["metadata.name: must be a DNS label (lower-case letters, digits, '-')"],
        "metadata: {name: try-web}",
    ),
    wrong(
        "a name that begins with a digit, with kanary-service",
        "{metadata: {name: 2nd}, spec: {serviceName: web, traffic: {source: kanary-service}}}",
        &["spec.traffic.kanaryService: required when metadata.name begins with a digit"],
        "{metadata: {name: 2nd}, spec: {serviceName: web, traffic: {source: kanary-service, kanaryService: second}}}",
    ),
    wrong(
        "a name that begins with a digit, with both",
        "{metadata: {name: 2nd}, spec: {serviceName: web, traffic: {source: both}}}",
        &["spec.traffic.kanaryService: required when metadata.name begins with a digit"],
        "{metadata: {name: 2nd}, spec: {serviceName: web, traffic: {source: service}}}",
    ),
    wrong(
        "no containers",
        "spec: {template: {spec: {template: {spec: {containers: []}}}}}",
        &["spec.template.spec.template.spec.containers", "at least 1 items"],
        "spec: {template: {spec: {template: {spec: {containers: [{name: web, image: 'web:2'}]}}}}}",
    ),
    wrong(
        "a container without an image",
        "spec: {template: {spec: {template: {spec: {containers: [{name: web}]}}}}}",
        &["spec.template.spec.template.spec.containers[0].image: Required value"],
        "spec: {template: {spec: {template: {spec: {containers: [{name: web, image: 'web:3'}]}}}}}",
    ),
    wrong(
        "an init container without a name",
        "spec: {template: {spec: {template: {spec: {initContainers: [{image: 'web:2'}]}}}}}",
        &["spec.template.spec.template.spec.initContainers[0].name: Required value"],
        "spec: {template: {spec: {template: {spec: {initContainers: [{name: init, image: 'web:2'}]}}}}}",
    ),
    wrong(
        "the controller's record of a pod on the template's pods",
        "spec: {template: {spec: {template: {metadata: {annotations: {kanary.k8s.io/production-labels: app}}}}}}",
        &["spec.template.spec.template.metadata.annotations", "what the controller records of a canary pod; remove it"],
        "spec: {template: {spec: {template: {metadata: {annotations: {example.com/production-labels: app}}}}}}",
    ),
    wrong(
        "settings of a mirror with another source",
        "spec: {serviceName: web, traffic: {source: service, mirror: {percentage: 5}}}",
        &["spec.traffic.mirror: requires source: mirror; set spec.traffic.source, or remove the field"],
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {percentage: 5}}}",
    ),
    wrong(
        "the canary's label on the template's pods",
        "spec: {template: {spec: {template: {metadata: {labels: {kanary.k8s.io/canary: try}}}}}}",
        &["spec.template.spec.template.metadata.labels", "marks what belongs to a canary; remove it"],
        "spec: {template: {spec: {template: {metadata: {labels: {example.com/canary: try}}}}}}",
    ),
    wrong(
        "an uppercase deploymentName",
        "spec: {deploymentName: Web}",
        &["spec.deploymentName", "must be the name of a Deployment: lower-case letters"],
        "spec: {deploymentName: web.1}",
    ),
    wrong(
        "a deploymentName of 254 characters",
        "spec: {deploymentName: x*254 }",
        &["spec.deploymentName", "253"],
        "spec: {deploymentName: x*253 }",
    ),
    wrong(
        "the canary's own name for the base",
        "spec: {deploymentName: try-kanary}",
        &["spec.deploymentName: <name>-kanary is the canary itself", "rename"],
        "spec: {deploymentName: try}",
    ),
    wrong(
        "the canary's own name in the template",
        "spec: {deploymentName: null, template: {metadata: {name: try-kanary}}}",
        &["spec.deploymentName: <name>-kanary is the canary itself", "rename"],
        "spec: {deploymentName: null, template: {metadata: {name: try}}}",
    ),
    wrong(
        "a serviceName that begins with a digit",
        "spec: {serviceName: 1web}",
        &["spec.serviceName", "must be the name of a Service: a DNS label that begins with a letter"],
        "spec: {serviceName: web1}",
    ),
    wrong(
        "a serviceName of 64 characters",
        "spec: {serviceName: x*64 }",
        &["spec.serviceName", "63"],
        "spec: {serviceName: x*63 }",
    ),
    wrong(
        "a serviceName that is none",
        "spec: {serviceName: ''}",
        &["spec.serviceName", "must be the name of a Service"],
        "spec: {serviceName: null}",
    ),
    wrong(
        "a kanaryService with a dot",
        "spec: {serviceName: web, traffic: {source: both, kanaryService: web.canary}}",
        &["spec.traffic.kanaryService", "must be the name of a Service: a DNS label"],
        "spec: {serviceName: web, traffic: {source: both, kanaryService: web-canary}}",
    ),
    wrong(
        "a kanaryService of 64 characters",
        "spec: {serviceName: web, traffic: {source: both, kanaryService: x*64 }}",
        &["spec.traffic.kanaryService", "63"],
        "spec: {serviceName: web, traffic: {source: both, kanaryService: x*63 }}",
    ),
    wrong(
        "a kanaryService that is the production Service",
        "spec: {serviceName: web, traffic: {source: both, kanaryService: web}}",
        &["spec.traffic.kanaryService: must differ from spec.serviceName"],
        "spec: {serviceName: web, traffic: {source: both, kanaryService: web-2}}",
    ),
    wrong(
        "a default kanaryService that is the production Service",
        "spec: {serviceName: try-kanary, traffic: {source: both}}",
        &["spec.traffic.kanaryService: the default <name>-kanary is the production Service itself; set another name"],
        "spec: {serviceName: try-kanary, traffic: {source: both, kanaryService: other}}",
    ),
    wrong("a runID of 254 characters", "spec: {runID: x*254 }", &["spec.runID", "253"], "spec: {runID: x*253 }"),
    // The template.
    wrong("no template", "spec: {template: null}", &["spec.template: Required value"], "{}"),
    wrong("a template without a spec", "spec: {template: {spec: null}}", &["spec.template.spec: Required value"], "{}"),
    wrong(
        "a template without pods",
        "spec: {template: {spec: {template: null}}}",
        &["spec.template.spec.template: Required value"],
        "{}",
    ),
    wrong(
        "a template whose pods have no spec",
        "spec: {template: {spec: {template: {spec: null}}}}",
        &["spec.template.spec.template.spec: Required value"],
        "{}",
    ),
    wrong(
        "a template's field outside the spec",
        "spec: {template: {replicas: 2}}",
        &["unknown field \"spec.template.replicas\""],
        "spec: {template: {spec: {replicas: 2, unheardOf: {by: this build}}}}",
    ),
    wrong(
        "fewer than no replicas in the template",
        "spec: {template: {spec: {replicas: -1}}}",
        &["spec.template.spec.replicas", "greater than or equal to 0"],
        "spec: {template: {spec: {replicas: 0}}}",
    ),
    wrong(
        "replicas as a string",
        "spec: {template: {spec: {replicas: '2'}}}",
        &["spec.template.spec.replicas", "must be of type integer"],
        "spec: {template: {spec: {replicas: 2}}}",
    ),
    wrong(
        "negative minReadySeconds",
        "spec: {template: {spec: {minReadySeconds: -1}}}",
        &["spec.template.spec.minReadySeconds", "greater than or equal to 0"],
        "spec: {template: {spec: {minReadySeconds: 0}}}",
    ),
    wrong(
        "no time for progress",
        "spec: {template: {spec: {progressDeadlineSeconds: 0}}}",
        &["spec.template.spec.progressDeadlineSeconds", "greater than or equal to 1"],
        "spec: {template: {spec: {progressDeadlineSeconds: 1}}}",
    ),
    wrong(
        "a selector that is a string",
        "spec: {template: {spec: {selector: app=web}}}",
        &["spec.template.spec.selector", "must be of type object"],
        "spec: {template: {spec: {selector: {matchLabels: {app: web}}}}}",
    ),
    wrong(
        "a label that is a number",
        "spec: {template: {metadata: {labels: {version: 2}}}}",
        &["spec.template.metadata.labels.version", "must be of type string"],
        "spec: {template: {metadata: {labels: {version: '2'}}}}",
    ),
    wrong(
        "a pod's annotation that is a boolean",
        "spec: {template: {spec: {template: {metadata: {annotations: {inject: true}}}}}}",
        &["spec.template.spec.template.metadata.annotations.inject", "must be of type string"],
        "spec: {template: {spec: {template: {metadata: {annotations: {inject: 'true'}}}}}}",
    ),
    wrong(
        "a template's name of 254 characters",
        "spec: {template: {metadata: {name: x*254 }}}",
        &["spec.template.metadata.name", "253"],
        "spec: {template: {metadata: {name: x*253 }}}",
    ),
    // Scale.
    wrong(
        "two scales",
        "spec: {scale: {static: {replicas: 1}, hpa: {maxReplicas: 2}}}",
        &["spec.scale: set static or hpa, not both"],
        "spec: {scale: {hpa: {maxReplicas: 2}}}",
    ),
    wrong(
        "no pod",
        "spec: {scale: {static: {replicas: 0}}}",
        &["spec.scale.static.replicas", "greater than or equal to 1"],
        "spec: {scale: {static: {}}}",
    ),
    wrong(
        "an hpa without maxReplicas",
        "spec: {scale: {hpa: {minReplicas: 1}}}",
        &["spec.scale.hpa.maxReplicas: Required value"],
        "spec: {scale: {hpa: {maxReplicas: 1, minReplicas: 1}}}",
    ),
    wrong(
        "an hpa of at most no pod",
        "spec: {scale: {hpa: {maxReplicas: 0}}}",
        &["spec.scale.hpa.maxReplicas", "greater than or equal to 1"],
        "spec: {scale: {hpa: {maxReplicas: 1}}}",
    ),
    wrong(
        "an hpa of at least no pod",
        "spec: {scale: {hpa: {maxReplicas: 2, minReplicas: 0}}}",
        &["spec.scale.hpa.minReplicas", "greater than or equal to 1"],
        "spec: {scale: {hpa: {maxReplicas: 2, minReplicas: 2}}}",
    ),
    wrong(
        "an hpa with a minimum above its maximum",
        "spec: {scale: {hpa: {maxReplicas: 2, minReplicas: 3}}}",
        &["spec.scale.hpa: minReplicas must not exceed maxReplicas"],
        "spec: {scale: {hpa: {maxReplicas: 3, minReplicas: 2}}}",
    ),
    wrong(
        "metrics that are words",
        "spec: {scale: {hpa: {maxReplicas: 2, metrics: [cpu]}}}",
        &["spec.scale.hpa.metrics[0]", "must be of type object"],
        "spec: {scale: {hpa: {maxReplicas: 2, metrics: [{type: Resource}]}}}",
    ),
    wrong(
        "an hpa's own target",
        "spec: {scale: {hpa: {maxReplicas: 2, scaleTargetRef: {kind: Deployment, name: web}}}}",
        &["unknown field \"spec.scale.hpa.scaleTargetRef\""],
        "spec: {scale: {hpa: {maxReplicas: 2, behavior: {scaleDown: {}}}}}",
    ),
    // Traffic.
    wrong(
        "an unknown source",
        "spec: {serviceName: web, traffic: {source: everything}}",
        &["spec.traffic.source", "\"none\", \"service\", \"kanary-service\", \"both\", \"mirror\""],
        "spec: {serviceName: web, traffic: {source: mirror}}",
    ),
    wrong(
        "source service without serviceName",
        "spec: {traffic: {source: service}}",
        &["spec.serviceName: required for this spec.traffic.source; name the production Service, or use source: none"],
        "spec: {traffic: {source: none}}",
    ),
    wrong(
        "source mirror without serviceName",
        "spec: {traffic: {source: mirror}}",
        &["spec.serviceName: required for this spec.traffic.source"],
        "spec: {traffic: {}}",
    ),
    wrong(
        "a mirror of nothing that waits for requests",
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {percentage: 0, confirm: requests}}}",
        &["spec.traffic.mirror.percentage: must be above 0 with confirm: requests"],
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {percentage: 0}}}",
    ),
    wrong(
        "pods that are ready too late for the default deadline",
        "spec: {template: {spec: {minReadySeconds: 600}}}",
        &["spec.template.spec", "must be greater than minReadySeconds; raise it, or lower minReadySeconds"],
        "spec: {template: {spec: {minReadySeconds: 600, progressDeadlineSeconds: 601}}}",
    ),
    wrong(
        "a deadline before its pods are ready",
        "spec: {template: {spec: {minReadySeconds: 30, progressDeadlineSeconds: 30}}}",
        &["spec.template.spec", "must be greater than minReadySeconds; raise it, or lower minReadySeconds"],
        "spec: {template: {spec: {minReadySeconds: 29, progressDeadlineSeconds: 30}}}",
    ),
    wrong(
        "a mirror of 101 percent",
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {percentage: 101}}}",
        &["spec.traffic.mirror.percentage", "less than or equal to 100"],
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {percentage: 100}}}",
    ),
    wrong(
        "a mirror with a negative percentage",
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {percentage: -1}}}",
        &["spec.traffic.mirror.percentage", "greater than or equal to 0"],
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {percentage: 0}}}",
    ),
    wrong(
        "an unknown mesh",
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {provider: linkerd}}}",
        &["spec.traffic.mirror.provider", "\"istio\", \"gateway-api\""],
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {provider: gateway-api}}}",
    ),
    wrong(
        "an unknown way to confirm",
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {confirm: hope}}}",
        &["spec.traffic.mirror.confirm", "\"accepted\", \"requests\""],
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {confirm: requests}}}",
    ),
    wrong(
        "a VirtualService without a name",
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {virtualService: {name: ''}}}}",
        &["spec.traffic.mirror.virtualService.name", "at least 1 char"],
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {virtualService: {name: web, routes: [one]}}}}",
    ),
    wrong(
        "more routes than 16",
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {virtualService: {name: web, routes: [&r a, *r, *r, *r, *r, *r, *r, *r, *r, *r, *r, *r, *r, *r, *r, *r, *r]}}}}",
        &["spec.traffic.mirror.virtualService.routes", "at most 16 items"],
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {virtualService: {name: web, routes: [&r a, *r, *r, *r, *r, *r, *r, *r, *r, *r, *r, *r, *r, *r, *r, *r]}}}}",
    ),
    wrong(
        "an HTTPRoute without a name",
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {provider: gateway-api, httpRoute: {rules: [one]}}}}",
        &["spec.traffic.mirror.httpRoute.name: Required value"],
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {provider: gateway-api, httpRoute: {name: web, rules: [one]}}}}",
    ),
    wrong(
        "an HTTPRoute for the provider that is the default",
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {httpRoute: {name: web}}}}",
        &["spec.traffic.mirror.httpRoute: requires provider: gateway-api; with istio use virtualService"],
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {provider: gateway-api, httpRoute: {name: web}}}}",
    ),
    wrong(
        "a VirtualService for the Gateway API",
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {provider: gateway-api, virtualService: {name: web}}}}",
        &["spec.traffic.mirror.virtualService: requires provider: istio; with gateway-api use httpRoute"],
        "spec: {serviceName: web, traffic: {source: mirror, mirror: {provider: istio, virtualService: {name: web}}}}",
    ),
    // Time.
    wrong(
        "a schedule that is not a date",
        "spec: {schedule: tomorrow}",
        &["spec.schedule", "date-time"],
        "spec: {schedule: '2030-01-01T08:00:00Z'}",
    ),
    wrong(
        "a schedule without a time of day",
        "spec: {schedule: '2030-01-01'}",
        &["spec.schedule", "date-time"],
        "spec: {schedule: '2020-01-01T08:00:00+02:00'}",
    ),
    wrong(
        "a negative period",
        "spec: {validation: {validationPeriod: '-5s'}}",
        &["spec.validation.validationPeriod", POSITIVE],
        "spec: {validation: {validationPeriod: 5s}}",
    ),
    wrong(
        "a period in letters",
        "spec: {validation: {validationPeriod: abc}}",
        &["spec.validation.validationPeriod", POSITIVE],
        "spec: {validation: {validationPeriod: 1h30m}}",
    ),
    wrong(
        "no period",
        "spec: {validation: {validationPeriod: 0s}}",
        &["spec.validation.validationPeriod", POSITIVE],
        "spec: {validation: {validationPeriod: 1ms}}",
    ),
    wrong(
        "a period of eleven thousand years",
        "spec: {validation: {validationPeriod: 99999999h}}",
        &["spec.validation.validationPeriod", POSITIVE],
        "spec: {validation: {validationPeriod: 87600h}}",
    ),
    wrong(
        "a period without a unit",
        "spec: {validation: {validationPeriod: '15'}}",
        &["spec.validation.validationPeriod", POSITIVE],
        "spec: {validation: {validationPeriod: 1.5h}}",
    ),
    wrong(
        "a period that is a number",
        "spec: {validation: {validationPeriod: 15}}",
        &["spec.validation.validationPeriod", "must be of type string"],
        "spec: {validation: {validationPeriod: 15s}}",
    ),
    wrong(
        "a negative delay",
        "spec: {validation: {initialDelay: '-5s'}}",
        &["spec.validation.initialDelay", DURATION],
        "spec: {validation: {initialDelay: 0s}}",
    ),
    wrong(
        "a delay of eleven thousand years",
        "spec: {validation: {initialDelay: 99999999h}}",
        &["spec.validation.initialDelay", DURATION],
        "spec: {validation: {initialDelay: 5m}}",
    ),
    wrong(
        "an interval under a second",
        "spec: {validation: {maxIntervalPeriod: 500ms}}",
        &["spec.validation.maxIntervalPeriod", "must be a duration of at least 1s, such as 20s"],
        "spec: {validation: {maxIntervalPeriod: 1s}}",
    ),
    wrong(
        "an interval of eleven thousand years",
        "spec: {validation: {maxIntervalPeriod: 99999999h}}",
        &["spec.validation.maxIntervalPeriod", "must be a duration of at least 1s, such as 20s"],
        "spec: {validation: {maxIntervalPeriod: 1h}}",
    ),
    // The items.
    wrong(
        "an unknown cleanup",
        "spec: {validation: {cleanup: never}}",
        &["spec.validation.cleanup", "\"rolloutStarted\", \"rolloutComplete\""],
        "spec: {validation: {cleanup: rolloutComplete}}",
    ),
    wrong(
        "a manual status that is neither",
        "spec: {validation: {manual: {status: maybe}}}",
        &["spec.validation.manual.status", "\"valid\", \"invalid\""],
        "spec: {validation: {manual: {status: invalid}}}",
    ),
    wrong(
        "silence that means neither",
        "spec: {validation: {manual: {statusAfterDeadline: consent}}}",
        &["spec.validation.manual.statusAfterDeadline", "\"none\", \"valid\", \"invalid\""],
        "spec: {validation: {manual: {statusAfterDeadline: none}}}",
    ),
    wrong(
        "a reason of 1025 characters",
        "spec: {validation: {manual: {reason: x*1025 }}}",
        &["spec.validation.manual.reason", "1024"],
        "spec: {validation: {manual: {reason: x*1024 }}}",
    ),
    wrong(
        "a user of 257 characters",
        "spec: {validation: {manual: {by: x*257 }}}",
        &["spec.validation.manual.by", "256"],
        "spec: {validation: {manual: {by: x*256 }}}",
    ),
    wrong(
        "a template hash of 65 characters",
        "spec: {validation: {manual: {templateHash: x*65 }}}",
        &["spec.validation.manual.templateHash", "64"],
        "spec: {validation: {manual: {templateHash: x*64 }}}",
    ),
    wrong(
        "an item of no kind",
        "spec: {validation: {items: [{name: a}]}}",
        &["spec.validation.items[]: set exactly one of manual, labelWatch, promQL"],
        "spec: {validation: {items: [{name: a, manual: {}}]}}",
    ),
    wrong(
        "an item of two kinds",
        "spec: {validation: {items: [{manual: {}, promQL: {query: up}}]}}",
        &["spec.validation.items[]: set exactly one of manual, labelWatch, promQL"],
        "spec: {validation: {items: [{manual: {}}, {promQL: {query: up}}]}}",
    ),
    wrong(
        "an item of an unknown kind",
        "spec: {validation: {items: [{promql: {query: up}}]}}",
        &["unknown field \"spec.validation.items[0].promql\""],
        "spec: {validation: {items: [{promQL: {query: up}}]}}",
    ),
    wrong(
        "two items of one name",
        "spec: {validation: {items: [{name: a, manual: {}}, {name: a, promQL: {query: up}}]}}",
        &["spec.validation.items: two items have the same name; names must be unique"],
        "spec: {validation: {items: [{name: a, manual: {}}, {name: b, promQL: {query: up}}]}}",
    ),
    wrong(
        "an item with another item's default name",
        "spec: {validation: {items: [{name: manual-1, manual: {}}, {manual: {}}]}}",
        &["spec.validation.items[].name: <kind>-<number> is reserved for items without a name; choose another"],
        "spec: {validation: {items: [{name: manual-one, manual: {}}, {manual: {}}]}}",
    ),
    wrong(
        "an item with an empty name",
        "spec: {validation: {items: [{name: '', manual: {}}]}}",
        &["spec.validation.items[0].name", "at least 1 char"],
        "spec: {validation: {items: [{name: A name, manual: {}}]}}",
    ),
    wrong(
        "an item with a name of 64 characters",
        "spec: {validation: {items: [{name: x*64 , manual: {}}]}}",
        &["spec.validation.items[0].name", "63"],
        "spec: {validation: {items: [{name: x*63 , manual: {}}]}}",
    ),
    wrong(
        "more items than 16",
        "spec: {validation: {items: [&m {manual: {}}, *m, *m, *m, *m, *m, *m, *m, *m, *m, *m, *m, *m, *m, *m, *m, *m]}}",
        &["spec.validation.items", "at most 16 items"],
        "spec: {validation: {items: [&m {manual: {}}, *m, *m, *m, *m, *m, *m, *m, *m, *m, *m, *m, *m, *m, *m, *m]}}",
    ),
    wrong(
        "an item's manual status that is neither",
        "spec: {validation: {items: [{manual: {status: 'yes'}}]}}",
        &["spec.validation.items[0].manual.status", "\"valid\", \"invalid\""],
        "spec: {validation: {items: [{manual: {status: valid, statusAfterDeadline: invalid}}]}}",
    ),
    // labelWatch.
    wrong(
        "a labelWatch for nothing",
        "spec: {validation: {items: [{labelWatch: {}}]}}",
        &["spec.validation.items[].labelWatch: set at least one of podInvalidationLabels"],
        "spec: {validation: {items: [{labelWatch: {podInvalidationLabels: {bad: 'yes'}}}]}}",
    ),
    wrong(
        "a labelWatch for no label of a pod",
        "spec: {validation: {items: [{labelWatch: {podInvalidationLabels: {}}}]}}",
        &["spec.validation.items[0].labelWatch.podInvalidationLabels", "at least 1 properties"],
        "spec: {validation: {items: [{labelWatch: {podInvalidationLabels: {example.com/bad: ''}}}]}}",
    ),
    wrong(
        "a labelWatch for no label of the Deployment",
        "spec: {validation: {items: [{labelWatch: {deploymentInvalidationLabels: {}}}]}}",
        &["spec.validation.items[0].labelWatch.deploymentInvalidationLabels", "at least 1 properties"],
        "spec: {validation: {items: [{labelWatch: {deploymentInvalidationLabels: {bad: 'yes'}}}]}}",
    ),
    wrong(
        "a label that no pod can have",
        "spec: {validation: {items: [{labelWatch: {podInvalidationLabels: {bad: 'yes, very'}}}]}}",
        &["spec.validation.items[0].labelWatch.podInvalidationLabels", "not a valid label"],
        "spec: {validation: {items: [{labelWatch: {podInvalidationLabels: {bad: yes-very}}}]}}",
    ),
    wrong(
        "a label's key that no Deployment can have",
        "spec: {validation: {items: [{labelWatch: {deploymentInvalidationLabels: {so bad: x}}}]}}",
        &["spec.validation.items[0].labelWatch.deploymentInvalidationLabels", "not a valid label"],
        "spec: {validation: {items: [{labelWatch: {deploymentInvalidationLabels: {example.com/so-bad: x}}}]}}",
    ),
    wrong(
        "a pod selector for everything",
        "spec: {validation: {items: [{labelWatch: {podInvalidationSelector: {}}}]}}",
        &["spec.validation.items[0].labelWatch.podInvalidationSelector", "at least 1 properties"],
        "spec: {validation: {items: [{labelWatch: {podInvalidationSelector: {matchLabels: {bad: 'yes'}}}}]}}",
    ),
    wrong(
        "a Deployment selector for everything",
        "spec: {validation: {items: [{labelWatch: {deploymentInvalidationSelector: {}}}]}}",
        &["spec.validation.items[0].labelWatch.deploymentInvalidationSelector", "at least 1 properties"],
        "spec: {validation: {items: [{labelWatch: {deploymentInvalidationSelector: {matchExpressions: [{key: bad, operator: Exists}]}}}]}}",
    ),
    wrong(
        "a selector for everything, without labels",
        "spec: {validation: {items: [{labelWatch: {podInvalidationSelector: {matchLabels: {}}}}]}}",
        &["spec.validation.items[0].labelWatch.podInvalidationSelector.matchLabels", "at least 1 properties"],
        "spec: {validation: {items: [{labelWatch: {podInvalidationSelector: {matchLabels: {bad: x}}}}]}}",
    ),
    wrong(
        "a selector for everything, without expressions",
        "spec: {validation: {items: [{labelWatch: {podInvalidationSelector: {matchExpressions: []}}}]}}",
        &["spec.validation.items[0].labelWatch.podInvalidationSelector.matchExpressions", "at least 1 items"],
        "spec: {validation: {items: [{labelWatch: {podInvalidationSelector: {matchExpressions: [{key: bad, operator: Exists}]}}}]}}",
    ),
    wrong(
        "an unknown operator",
        "spec: {validation: {items: [{labelWatch: {podInvalidationSelector: {matchExpressions: [{key: bad, operator: Like}]}}}]}}",
        &["podInvalidationSelector.matchExpressions[0].operator", "\"In\", \"NotIn\", \"Exists\", \"DoesNotExist\""],
        "spec: {validation: {items: [{labelWatch: {podInvalidationSelector: {matchExpressions: [{key: bad, operator: In, values: [a]}]}}}]}}",
    ),
    wrong(
        "an expression without a key",
        "spec: {validation: {items: [{labelWatch: {podInvalidationSelector: {matchExpressions: [{operator: Exists}]}}}]}}",
        &["podInvalidationSelector.matchExpressions[0].key: Required value"],
        "spec: {validation: {items: [{labelWatch: {podInvalidationSelector: {matchExpressions: [{key: a, operator: DoesNotExist}]}}}]}}",
    ),
    wrong(
        "an expression with an empty list of values",
        "spec: {validation: {items: [{labelWatch: {podInvalidationSelector: {matchExpressions: [{key: bad, operator: In}]}}}]}}",
        &["podInvalidationSelector.matchExpressions[0]", "In and NotIn need values; Exists and DoesNotExist take none"],
        "spec: {validation: {items: [{labelWatch: {podInvalidationSelector: {matchExpressions: [{key: bad, operator: NotIn, values: [a]}]}}}]}}",
    ),
    wrong(
        "an Exists expression with values",
        "spec: {validation: {items: [{labelWatch: {podInvalidationSelector: {matchExpressions: [{key: bad, operator: Exists, values: [a]}]}}}]}}",
        &["podInvalidationSelector.matchExpressions[0]", "In and NotIn need values; Exists and DoesNotExist take none"],
        "spec: {validation: {items: [{labelWatch: {podInvalidationSelector: {matchExpressions: [{key: bad, operator: Exists, values: []}]}}}]}}",
    ),
    // promQL.
    wrong(
        "a promQL without a query",
        "spec: {validation: {items: [{promQL: {failureLimit: 1}}]}}",
        &["spec.validation.items[0].promQL.query: Required value"],
        "spec: {validation: {items: [{promQL: {query: up, failureLimit: 1}}]}}",
    ),
    wrong(
        "an empty query",
        "spec: {validation: {items: [{promQL: {query: ''}}]}}",
        &["spec.validation.items[0].promQL.query", "at least 1 char"],
        "spec: {validation: {items: [{promQL: {query: up}}]}}",
    ),
    wrong(
        "a query of 16385 characters",
        "spec: {validation: {items: [{promQL: {query: x*16385 }}]}}",
        &["spec.validation.items[0].promQL.query", "16384"],
        "spec: {validation: {items: [{promQL: {query: x*16384 }}]}}",
    ),
    wrong(
        "fewer failures than none",
        "spec: {validation: {items: [{promQL: {query: up, failureLimit: -1}}]}}",
        &["spec.validation.items[0].promQL.failureLimit", "greater than or equal to 0"],
        "spec: {validation: {items: [{promQL: {query: up, failureLimit: 0}}]}}",
    ),
    wrong(
        "no name for the pod's label",
        "spec: {validation: {items: [{promQL: {query: up, podNameKey: ''}}]}}",
        &["spec.validation.items[0].promQL.podNameKey", "at least 1 char"],
        "spec: {validation: {items: [{promQL: {query: up, podNameKey: instance}}]}}",
    ),
    wrong(
        "two ways to read the answer",
        "spec: {validation: {items: [{promQL: {query: up, valueInRange: {max: 1}, continuousValueDeviation: {maxDeviationPercent: 5}}}]}}",
        &[
            "spec.validation.items[].promQL: set at most one of valueInRange, continuousValueDeviation, discreteValueOutOfList",
        ],
        "spec: {validation: {items: [{promQL: {query: up, continuousValueDeviation: {maxDeviationPercent: 5}}}]}}",
    ),
    wrong(
        "a range upside down",
        "spec: {validation: {items: [{promQL: {query: up, valueInRange: {min: 2, max: 1.5}}}]}}",
        &["spec.validation.items[].promQL.valueInRange: min must not exceed max"],
        "spec: {validation: {items: [{promQL: {query: up, valueInRange: {min: 1.5, max: 2}}}]}}",
    ),
    wrong(
        "a range above its default end",
        "spec: {validation: {items: [{promQL: {query: up, valueInRange: {min: 2}}}]}}",
        &["spec.validation.items[].promQL.valueInRange: min must not exceed max"],
        "spec: {validation: {items: [{promQL: {query: up, valueInRange: {}}}]}}",
    ),
    wrong(
        "a bound that is not a number",
        "spec: {validation: {items: [{promQL: {query: up, valueInRange: {max: '0.3'}}}]}}",
        &["spec.validation.items[0].promQL.valueInRange.max", "must be of type number"],
        "spec: {validation: {items: [{promQL: {query: up, valueInRange: {max: 0.3}}}]}}",
    ),
    wrong(
        "a deviation without a limit",
        "spec: {validation: {items: [{promQL: {query: up, continuousValueDeviation: {}}}]}}",
        &["spec.validation.items[0].promQL.continuousValueDeviation.maxDeviationPercent: Required value"],
        "spec: {validation: {items: [{promQL: {query: up, continuousValueDeviation: {maxDeviationPercent: 0}}}]}}",
    ),
    wrong(
        "a negative deviation",
        "spec: {validation: {items: [{promQL: {query: up, continuousValueDeviation: {maxDeviationPercent: -0.1}}}]}}",
        &["spec.validation.items[0].promQL.continuousValueDeviation.maxDeviationPercent", "greater than or equal to 0"],
        "spec: {validation: {items: [{promQL: {query: up, continuousValueDeviation: {maxDeviationPercent: 250}}}]}}",
    ),
    wrong(
        "values neither good nor bad",
        "spec: {validation: {items: [{promQL: {query: up, discreteValueOutOfList: {key: code}}}]}}",
        &["spec.validation.items[].promQL.discreteValueOutOfList: set goodValues or badValues"],
        "spec: {validation: {items: [{promQL: {query: up, discreteValueOutOfList: {key: code, badValues: ['500']}}}]}}",
    ),
    wrong(
        "values of no label",
        "spec: {validation: {items: [{promQL: {query: up, discreteValueOutOfList: {badValues: ['500']}}}]}}",
        &["spec.validation.items[0].promQL.discreteValueOutOfList.key: Required value"],
        "spec: {validation: {items: [{promQL: {query: up, discreteValueOutOfList: {key: code, goodValues: ['200']}}}]}}",
    ),
    wrong(
        "a tolerance of 101 percent",
        "spec: {validation: {items: [{promQL: {query: up, discreteValueOutOfList: {key: code, badValues: ['500'], tolerancePercent: 101}}}]}}",
        &["spec.validation.items[0].promQL.discreteValueOutOfList.tolerancePercent", "less than or equal to 100"],
        "spec: {validation: {items: [{promQL: {query: up, discreteValueOutOfList: {key: code, badValues: ['500'], tolerancePercent: 100}}}]}}",
    ),
    wrong(
        "a Prometheus by FTP",
        "spec: {validation: {items: [{promQL: {query: up, prometheus: {url: 'ftp://prometheus'}}}]}}",
        &["spec.validation.items[0].promQL.prometheus.url", "must be an http or https URL such as http://"],
        "spec: {validation: {items: [{promQL: {query: up, prometheus: {url: 'https://prometheus'}}}]}}",
    ),
    wrong(
        "a Prometheus without a host",
        "spec: {validation: {items: [{promQL: {query: up, prometheus: {url: 'prometheus:9090'}}}]}}",
        &["spec.validation.items[0].promQL.prometheus.url", "must be an http or https URL such as http://"],
        "spec: {validation: {items: [{promQL: {query: up, prometheus: {url: 'http://prometheus:9090'}}}]}}",
    ),
    wrong(
        "two kinds of credentials",
        "spec: {validation: {items: [{promQL: {query: up, prometheus: {bearerTokenSecretRef: {name: a}, basicAuthSecretRef: {name: b}}}}]}}",
        &["spec.validation.items[].promQL.prometheus: set bearerTokenSecretRef or basicAuthSecretRef, not both"],
        "spec: {validation: {items: [{promQL: {query: up, prometheus: {basicAuthSecretRef: {name: b}, caSecretRef: {name: c, key: d}}}}]}}",
    ),
    wrong(
        "a key of a basic-auth Secret",
        "spec: {validation: {items: [{promQL: {query: up, prometheus: {basicAuthSecretRef: {name: b, key: k}}}}]}}",
        &["unknown field \"spec.validation.items[0].promQL.prometheus.basicAuthSecretRef.key\""],
        "spec: {validation: {items: [{promQL: {query: up, prometheus: {basicAuthSecretRef: {name: b}}}}]}}",
    ),
    wrong(
        "a Secret without a name",
        "spec: {validation: {items: [{promQL: {query: up, prometheus: {bearerTokenSecretRef: {name: ''}}}}]}}",
        &["spec.validation.items[0].promQL.prometheus.bearerTokenSecretRef.name", "at least 1 char"],
        "spec: {validation: {items: [{promQL: {query: up, prometheus: {bearerTokenSecretRef: {name: a, key: b}}}}]}}",
    ),
];

/// Borderline cases: the API server rejects them, or the controller can decode them.
pub const ODD: &[&str] = &[
    "spec: {validation: {validationPeriod: 30m1h}}",
    "spec: {validation: {validationPeriod: 1.5h30m}}",
    "spec: {validation: {validationPeriod: 1m1m1m}}",
    "spec: {validation: {validationPeriod: 1.1234567891s}}",
    "spec: {validation: {validationPeriod: 999999h999999m}}",
    "spec: {validation: {initialDelay: 0h0m0s0ms}}",
    "spec: {validation: {maxIntervalPeriod: 1000.0ms}}",
    "spec: {schedule: '2030-01-01t08:00:00z'}",
    "spec: {schedule: '2030-01-01T08:00:00.12345678901Z'}",
    "spec: {schedule: '2030-01-01T08:00:00,5Z'}",
    "spec: {schedule: '2030-01-01T08:00:00x5Z'}",
    "spec: {schedule: '2030-01-01T08:00:60Z'}",
    "spec: {schedule: '2030-01-01T08:00:00+26:00'}",
    "spec: {schedule: '2030-01-01T08:00:00+99:99'}",
    "spec: {schedule: '2030-02-30T08:00:00Z'}",
    "spec: {schedule: '0000-01-01T08:00:00Z'}",
    "spec: {schedule: '9999-12-31T23:59:59-23:59'}",
    "spec: {schedule: ''}",
    "spec: {scale: {static: {replicas: 3000000000}}}",
    "spec: {scale: {static: {replicas: 2.0}}}",
    "spec: {scale: {hpa: {maxReplicas: 3000000000}}}",
    "spec: {validation: {items: [{promQL: {query: up, failureLimit: 3000000000}}]}}",
    "spec: {validation: {items: [{promQL: {query: up, valueInRange: {max: 1e300}}}]}}",
    "spec: {serviceName: web, traffic: {source: mirror, mirror: {percentage: 50.0}}}",
    "spec: {template: {metadata: {labels: {}, annotations: {}}}}",
    "spec: {template: {spec: {replicas: 2.0, progressDeadlineSeconds: 9000000000}}}",
    "spec: {template: {spec: {template: {metadata: {}}}}}",
];

/// A mistake that shows only with cluster state.
pub struct Trouble {
    pub name: &'static str,
    /// Objects that conflict; the base `web` exists too, unless they contain it.
    pub setting: &'static str,
    /// Merged into a valid KanaryDeployment.
    pub kanary: &'static str,
    pub condition: &'static str,
    pub reason: &'static str,
    pub says: &'static [&'static str],
    /// What the controller creates before it reports the mistake.
    pub makes: &'static [&'static str],
    pub cure: Cure,
}

/// What the message says that users should do.
pub enum Cure {
    /// It is another KanaryDeployment.
    None,
    Kanary(&'static str),
    Object(&'static str),
    Create(&'static str),
    Delete(&'static str),
}

const SERVICE: &str =
    "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}";

/// Mistakes that show only with cluster state.
pub const CLUSTER: &[Trouble] = &[
    Trouble {
        name: "foreign_namespace",
        setting: "",
        kanary: "spec: {template: {metadata: {namespace: elsewhere}}}",
        condition: "Stalled",
        reason: "ForeignNamespace",
        says: &["spec.template.metadata.namespace is elsewhere", "remove the field"],
        makes: &[],
        cure: Cure::Kanary("spec: {template: {metadata: {namespace: null}}}"),
    },
    Trouble {
        name: "deployment_taken",
        setting: "
apiVersion: apps/v1
kind: Deployment
metadata: {name: try-kanary}
spec:
  replicas: 0
  selector: {matchLabels: {app: other}}
  template:
    metadata: {labels: {app: other}}
    spec: {containers: [{name: web, image: 'web:1'}]}",
        kanary: "{}",
        condition: "Stalled",
        reason: "NameTaken",
        says: &[
            "Deployment try-kanary exists and is not owned by this KanaryDeployment; delete it, or choose another name",
        ],
        makes: &[],
        cure: Cure::Delete("{apiVersion: apps/v1, kind: Deployment, metadata: {name: try-kanary}}"),
    },
    Trouble {
        name: "autoscaler_taken",
        setting: "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: try-kanary}
spec:
  maxReplicas: 2
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: other}",
        kanary: "spec: {scale: {hpa: {maxReplicas: 2}}}",
        condition: "Stalled",
        reason: "NameTaken",
        says: &["HorizontalPodAutoscaler try-kanary exists and is not owned by this KanaryDeployment; delete it"],
        makes: &[],
        cure: Cure::Delete("{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: try-kanary}}"),
    },
    Trouble {
        name: "service_taken",
        setting: "
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: try-kanary}, spec: {selector: {app: other}, ports: [{port: 80}]}}",
        kanary: "spec: {serviceName: web, traffic: {source: kanary-service}}",
        condition: "Stalled",
        reason: "NameTaken",
        says: &[
            "Service try-kanary exists and is not owned by this KanaryDeployment; delete it, or choose another name",
        ],
        makes: &[],
        cure: Cure::Kanary("spec: {traffic: {kanaryService: another}}"),
    },
    Trouble {
        name: "service_missing",
        setting: "",
        kanary: "spec: {serviceName: web, traffic: {source: service}}",
        condition: "Traffic",
        reason: "ServiceNotFound",
        says: &["waiting for Service web (spec.serviceName) to exist"],
        makes: &[],
        cure: Cure::Create(SERVICE),
    },
    Trouble {
        name: "service_external",
        setting: "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: ExternalName, externalName: example.com}}",
        kanary: "spec: {serviceName: web, traffic: {source: both}}",
        condition: "Stalled",
        reason: "ServiceUnsupported",
        says: &["Service web (spec.serviceName) is of type ExternalName", "name a Service with a selector"],
        makes: &[],
        cure: Cure::Object(
            "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: ClusterIP, externalName: null, selector: {app: web}, ports: [{port: 80}]}}",
        ),
    },
    Trouble {
        name: "service_without_selector",
        setting: "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}",
        kanary: "spec: {serviceName: web, traffic: {source: service}}",
        condition: "Stalled",
        reason: "ServiceUnsupported",
        says: &["Service web (spec.serviceName) has no selector", "name a Service with a selector"],
        makes: &[],
        cure: Cure::Object("{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}}}"),
    },
    Trouble {
        name: "service_without_ports",
        setting: "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {clusterIP: None, selector: {app: web}}}",
        kanary: "spec: {serviceName: web, traffic: {source: kanary-service}}",
        condition: "Stalled",
        reason: "ServiceUnsupported",
        says: &["Service web (spec.serviceName) has no ports", "add a port, or use source: service"],
        makes: &[],
        cure: Cure::Kanary("spec: {traffic: {source: service}}"),
    },
    Trouble {
        name: "service_of_one_replica_set",
        setting: "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web, pod-template-hash: abc}, ports: [{port: 80}]}}",
        kanary: "spec: {serviceName: web, traffic: {source: service}}",
        condition: "Stalled",
        reason: "ServiceUnsupported",
        says: &["Service web (spec.serviceName) selects pods by pod-template-hash", "select by an application label"],
        makes: &[],
        cure: Cure::Object(
            "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {pod-template-hash: null}}}",
        ),
    },
    Trouble {
        name: "service_of_another_application",
        setting: "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: payments}, ports: [{port: 80}]}}",
        kanary: "spec: {serviceName: web, traffic: {source: kanary-service}}",
        condition: "Stalled",
        reason: "ServiceUnsupported",
        says: &["does not select the pods of Deployment web", "app=payments", "correct spec.deploymentName"],
        makes: &[],
        cure: Cure::Object("{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}}}"),
    },
    Trouble {
        name: "template_without_a_label_of_the_service",
        setting: "
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web, tier: front}, ports: [{port: 80}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec: {containers: [{name: web, image: 'web:1'}]}",
        kanary: "spec: {traffic: {source: none}}",
        condition: "Stalled",
        reason: "ServiceLosesPods",
        says: &["its pods do not have the label tier=front", "Service web", "change the selector first"],
        makes: &[],
        cure: Cure::Kanary("spec: {template: {spec: {template: {metadata: {labels: {tier: front}}}}}}"),
    },
    Trouble {
        name: "ambiguous_autoscalers",
        setting: "
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  maxReplicas: 2
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}",
        kanary: "spec: {serviceName: web, traffic: {source: service}, scale: {hpa: {maxReplicas: 2}}}",
        condition: "Stalled",
        reason: "AmbiguousHPA",
        says: &[
            "HorizontalPodAutoscaler web scales",
            "so Kubernetes would stop scaling both; use spec.scale.static, or source: kanary-service",
        ],
        makes: &[],
        cure: Cure::Kanary("spec: {scale: {hpa: null, static: {replicas: 1}}}"),
    },
    Trouble {
        name: "labels_that_the_base_does_not_select",
        setting: "",
        kanary: "spec: {template: {spec: {template: {metadata: {labels: {app: other}}}}}}",
        condition: "Stalled",
        reason: "PromotionRefused",
        says: &[
            "the API server would refuse to promote spec.template",
            "spec.template.metadata.labels",
            "`selector` does not match template `labels`",
        ],
        makes: &[],
        cure: Cure::Kanary("spec: {template: {spec: {template: {metadata: {labels: {app: web}}}}}}"),
    },
    Trouble {
        name: "a_base_that_selects_everything",
        setting: "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchExpressions: [{key: other, operator: DoesNotExist}]}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: 'web:1'}]}",
        kanary: "{}",
        condition: "Stalled",
        reason: "SelectorTooWide",
        says: &[
            "the selector of Deployment web selects the canary's pods whatever labels they have; make it require a label",
        ],
        makes: &[],
        cure: Cure::None,
    },
    Trouble {
        name: "unknown_field_in_the_pods",
        setting: "",
        kanary: "spec: {template: {spec: {template: {spec: {containerz: []}}}}}",
        condition: "Stalled",
        reason: "PromotionRefused",
        says: &[
            "the API server would refuse to promote spec.template",
            "unknown field \"spec.template.spec.containerz\"",
        ],
        makes: &[],
        cure: Cure::Kanary("spec: {template: {spec: {template: {spec: {containerz: null}}}}}"),
    },
    Trouble {
        name: "no_selector_and_no_base",
        setting: "",
        kanary: "spec: {deploymentName: new, createBase: true}",
        condition: "Reconciling",
        reason: "RequestFailed",
        says: &["create the base Deployment new", "spec.selector: Required value"],
        makes: &[],
        cure: Cure::Create(
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: new}, spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: 'web:1'}]}}}}",
        ),
    },
    Trouble {
        name: "a_strategy_that_cannot_move",
        setting: "",
        kanary: "spec: {template: {spec: {strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}}}}",
        condition: "Stalled",
        reason: "PromotionRefused",
        says: &["spec.strategy.rollingUpdate.maxUnavailable", "may not be 0 when `maxSurge` is 0"],
        makes: &[],
        cure: Cure::Kanary("spec: {template: {spec: {strategy: {rollingUpdate: {maxSurge: 1}}}}}"),
    },
    Trouble {
        name: "metrics_that_are_none",
        setting: "",
        kanary: "spec: {scale: {hpa: {maxReplicas: 2, metrics: [{type: Wishes}]}}}",
        condition: "Reconciling",
        reason: "RequestFailed",
        says: &["create HorizontalPodAutoscaler try-kanary", "spec.metrics[0].type"],
        makes: &[],
        cure: Cure::Kanary("spec: {scale: {hpa: {metrics: null}}}"),
    },
    Trouble {
        name: "quota_exceeded",
        setting: "{apiVersion: v1, kind: ResourceQuota, metadata: {name: small}, spec: {hard: {requests.cpu: 1}}}",
        kanary: "spec: {template: {spec: {template: {spec: {containers: [{name: web, image: 'web:2', resources: {requests: {cpu: 2}}}]}}}}}",
        condition: "CanaryReady",
        reason: "ReplicaFailure",
        says: &["0 of 1 canary pods available", "exceeded quota: small, requested: requests.cpu=2"],
        makes: &["deployments"],
        cure: Cure::Object(
            "{apiVersion: v1, kind: ResourceQuota, metadata: {name: small}, spec: {hard: {requests.cpu: 9}}}",
        ),
    },
    Trouble {
        name: "quota_of_services_exceeded",
        setting: "
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: ResourceQuota, metadata: {name: one}, spec: {hard: {services: 1}}}",
        kanary: "spec: {serviceName: web, traffic: {source: kanary-service}}",
        condition: "Reconciling",
        reason: "RequestFailed",
        says: &["create Service try-kanary", "exceeded quota: one, requested: services=1"],
        makes: &[],
        cure: Cure::Object("{apiVersion: v1, kind: ResourceQuota, metadata: {name: one}, spec: {hard: {services: 2}}}"),
    },
    Trouble {
        name: "pods_that_admission_refuses",
        setting: "
apiVersion: v1
kind: LimitRange
metadata: {name: small}
spec: {limits: [{type: Container, max: {memory: 1Gi}}]}",
        kanary: "spec: {template: {spec: {template: {spec: {containers: [{name: web, image: 'web:2', resources: {limits: {memory: 2Gi}}}]}}}}}",
        condition: "CanaryReady",
        reason: "ReplicaFailure",
        says: &["0 of 1 canary pods available", "maximum memory usage per Container is 1Gi"],
        makes: &["deployments"],
        cure: Cure::Delete("{apiVersion: v1, kind: LimitRange, metadata: {name: small}}"),
    },
];
